//! What people, administrators and attackers do while the plan's faults strike.
//!
//! A workload is one async function and one row here. It says nothing about what must come of it: that is the
//! oracle's business. What only holds without faults it asks for when [`World::is_calm`].

mod approvals;
mod attacks;
mod clouds;
mod people;
mod random;
mod system;

use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::world::{Options, World};

/// What is tried on a workload, each also what comes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trials {
    /// Each fault by itself. A run with many requests takes too long for more.
    Singles,
    /// Random plans.
    Seeds,
    /// Every pair of faults.
    Pairs,
}

/// A script, and the world that it is played in.
pub struct Workload {
    /// The name on the command line.
    pub name: &'static str,
    /// What happens, in a few words.
    pub about: &'static str,
    /// How many controllers act on everything.
    pub n_controllers: usize,
    /// How many projects there are.
    pub n_projects: usize,
    /// What is tried on it.
    pub trials: Trials,
    /// Whether the watch stays dead.
    pub is_blind: bool,
    /// Whether the plan says how much people do.
    pub is_open: bool,
    /// How often policies without a live request are read: seldom, as in production, or often enough to be seen.
    pub read_settled_every: Duration,
    pub(crate) script: for<'a> fn(&'a mut World) -> LocalBoxFuture<'a, ()>,
}

/// A row with the usual world: one controller, three projects.
const fn row(
    name: &'static str,
    about: &'static str,
    script: for<'a> fn(&'a mut World) -> LocalBoxFuture<'a, ()>,
) -> Workload {
    Workload {
        name,
        about,
        n_controllers: 1,
        n_projects: 3,
        trials: Trials::Seeds,
        is_blind: false,
        is_open: false,
        // Each open intent is seen again while the run lasts.
        read_settled_every: Duration::from_mins(2),
        script,
    }
}

impl Workload {
    const fn in_pairs(self) -> Self {
        Self { trials: Trials::Pairs, ..self }
    }

    const fn with_controllers(self, n_controllers: usize) -> Self {
        Self { n_controllers, ..self }
    }

    const fn with_projects(self, n_projects: usize) -> Self {
        Self { n_projects, ..self }
    }

    const fn heavy(self) -> Self {
        Self { trials: Trials::Singles, ..self }
    }

    const fn open(self) -> Self {
        Self { is_open: true, ..self }
    }

    const fn read_seldom(self) -> Self {
        Self { read_settled_every: Duration::from_hours(1), ..self }
    }

    const fn blind(self) -> Self {
        Self { is_blind: true, ..self }
    }

    /// All workloads.
    pub const ALL: &'static [Self] = &[
        row("single", "one grant, and its revocation", |world| Box::pin(people::single(world)))
            .in_pairs(),
        row("natural-end", "one grant until its own end", |world| {
            Box::pin(people::natural_end(world))
        }),
        row("burst", "many grants at once on one project", |world| Box::pin(people::burst(world)))
            .in_pairs(),
        row("many-projects", "many grants at once, each elsewhere", |world| {
            Box::pin(people::many_projects(world))
        })
        .with_projects(6),
        row(
            "siblings",
            "the same role twice for the same person, and two roles at once",
            |world| Box::pin(people::siblings(world)),
        )
        .in_pairs(),
        row("revoke-race", "revocations at every moment of a grant", |world| {
            Box::pin(people::revoke_race(world))
        })
        .in_pairs(),
        row("late-write", "a revocation while a write is under way that lands late", |world| {
            Box::pin(people::late_write(world))
        })
        .in_pairs(),
        row("slow-intent", "a revocation while a turn waits before its write", |world| {
            Box::pin(people::slow_intent(world))
        }),
        row(
            "scheduled",
            "starts in the future, and somebody who loses the right meanwhile",
            |world| Box::pin(people::scheduled(world)),
        ),
        row("expiry-storm", "everything ends in the same second", |world| {
            Box::pin(people::expiry_storm(world))
        }),
        row("restart", "controllers that stop, are killed and come back", |world| {
            Box::pin(people::restart(world))
        })
        .in_pairs(),
        row("two-controllers", "two controllers act on everything", |world| {
            Box::pin(people::together(world))
        })
        .with_controllers(2)
        .in_pairs(),
        row("three-controllers", "three controllers, and revocations at every moment", |world| {
            Box::pin(people::revoke_race(world))
        })
        .with_controllers(3),
        row("two-late", "two controllers, and a write that lands late", |world| {
            Box::pin(people::late_write(world))
        })
        .with_controllers(2)
        .in_pairs(),
        row("read-seldom", "two controllers, and policies that are read once an hour", |world| {
            Box::pin(people::read_seldom(world))
        })
        .with_controllers(2)
        .read_seldom(),
        row("approval", "a peer approves, and takes it back", |world| {
            Box::pin(approvals::approval(world))
        })
        .in_pairs(),
        row("deny-race", "a yes and a no at once", |world| Box::pin(approvals::deny_race(world)))
            .in_pairs(),
        row("deny-race-two", "a yes and a no at once, before two controllers", |world| {
            Box::pin(approvals::deny_race(world))
        })
        .with_controllers(2),
        row(
            "approve-end-race",
            "approved, and at once withdrawn, revoked or taken back",
            |world| Box::pin(approvals::approve_end_race(world)),
        ),
        row(
            "lost-approver",
            "approved by somebody who is no peer when the time has come",
            |world| Box::pin(approvals::lost_approver(world)),
        ),
        row("leaving-approver", "an approver leaves just when the grant is made", |world| {
            Box::pin(approvals::leaving_approver(world))
        }),
        row("undecided", "nobody decides in time", |world| Box::pin(approvals::undecided(world)))
            .heavy(),
        row("chosen", "others decide than those who were asked", |world| {
            Box::pin(approvals::chosen(world))
        }),
        row("disguise", "requesters approve under every name, and strangers do", |world| {
            Box::pin(approvals::disguise(world))
        }),
        row(
            "forged-approvals",
            "approvals that were given to something else, or by nobody",
            |world| Box::pin(approvals::forged_approvals(world)),
        ),
        row("held-back", "an approval that is put into the store when it is old", |world| {
            Box::pin(approvals::held_back(world))
        })
        .heavy(),
        row("edit-approved", "what was approved is exchanged, or filed anew", |world| {
            Box::pin(approvals::edit_approved(world))
        }),
        row("role-changed", "a role permits more than when it was approved", |world| {
            Box::pin(approvals::role_changed(world))
        }),
        row("distrusted", "approvals that were signed with a key that is distrusted", |world| {
            Box::pin(approvals::distrusted(world))
        }),
        row("unanswered-approver", "nobody says who is a peer while people decide", |world| {
            Box::pin(approvals::unanswered_approver(world))
        }),
        row("restore-approved", "the store is what it was before an approval was used", |world| {
            Box::pin(approvals::restore_approved(world))
        })
        .heavy(),
        row("bounds", "longer than anybody may have it", |world| {
            Box::pin(approvals::bounds(world))
        }),
        row("foreign-edits", "somebody else writes the same policies all the time", |world| {
            Box::pin(clouds::foreign_edits(world))
        })
        .in_pairs(),
        row("drift", "bindings are removed and altered from outside", |world| {
            Box::pin(clouds::drift(world))
        }),
        row("policy-full", "more bindings than a policy takes", |world| {
            Box::pin(clouds::policy_full(world))
        })
        .heavy(),
        row("crowded", "a policy with as many members as it takes", |world| {
            Box::pin(clouds::crowded(world))
        })
        .heavy(),
        row("refused", "a member that the cloud refuses, among others", |world| {
            Box::pin(clouds::refused(world))
        }),
        row("clock-jump", "the controllers' clock is put wrong, and right again", |world| {
            Box::pin(clouds::clock_jump(world))
        }),
        row("unanswering", "nobody says who is eligible, for longer than requests wait", |world| {
            Box::pin(clouds::unanswering(world))
        })
        .heavy(),
        row("recovering", "nobody answers for a while, and then everybody, in time", |world| {
            Box::pin(clouds::recovering(world))
        })
        .heavy(),
        row("poisoned", "a project that always fails, beside others", |world| {
            Box::pin(clouds::poisoned(world))
        })
        .heavy(),
        row("outage", "nothing runs while grants end and requests come", |world| {
            Box::pin(clouds::outage(world))
        })
        .heavy()
        .with_projects(16),
        row("overtaking", "a revocation behind many grants", |world| {
            Box::pin(clouds::overtaking(world))
        })
        .heavy()
        .with_projects(10),
        row("blind", "the watch is dead for ever", |world| Box::pin(clouds::blind(world))).blind(),
        row("protected", "everything is asked for that reaches the access system", |world| {
            Box::pin(system::protected(world))
        }),
        row(
            "own-access",
            "the controller's own access among grants, under their titles",
            |world| Box::pin(system::own(world)),
        ),
        row("recreate", "a document is deleted, and its id filed anew by somebody else", |world| {
            Box::pin(attacks::recreate(world))
        }),
        row("edit", "filed requests are edited, before and after their grant", |world| {
            Box::pin(attacks::edit(world))
        }),
        row("two-places", "a document that does not verify, and names two policies", |world| {
            Box::pin(attacks::two_places(world))
        }),
        row("restore", "the store is what it was some time ago", |world| {
            Box::pin(attacks::restore(world))
        }),
        row("forged", "facts, acts and flags that nobody has signed", |world| {
            Box::pin(attacks::forged(world))
        }),
        row("random", "anybody does anything", |world| Box::pin(random::anything(world))).open(),
        row("random-two", "anybody does anything, with two controllers", |world| {
            Box::pin(random::anything(world))
        })
        .open()
        .with_controllers(2),
    ];

    /// The workload of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|workload| workload.name == name)
    }

    pub(crate) fn options(&self, seed: u64) -> Options {
        Options {
            seed,
            n_projects: self.n_projects,
            n_controllers: self.n_controllers,
            read_settled_every: self.read_settled_every,
            ..Options::default()
        }
    }
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
