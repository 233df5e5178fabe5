//! The access system itself: the nodes that hold it, those above them, and the access that it works by.

use curfew_core::id::RequestId;
use curfew_ports::RetryClass;

use super::{ms, secs};
use crate::fault::{Call, Fault};
use crate::nodes::{folder_above, folder_beside, folder_of_keys, keys, org, project, system};
use crate::scene::{CONTROLLER, Filing, installation, operator, own_access, person};
use crate::world::World;

/// People ask for everything that reaches the system, and whoever can write the store helps them.
pub(super) async fn protected(world: &mut World) {
    world.with(|data| data.store.claim_written(&system()));
    // At first nobody says where one of the protected nodes lies.
    let unavailable = Fault::Refuse(RetryClass::Unavailable);
    world.faults().once(Call::Ancestry, &folder_of_keys().to_string(), unavailable);
    let both_roles = |who, node| Filing { n_roles: 2, ..Filing::by(who, 0).on(node) };
    let on_it = world.file(&Filing::by("alice", 0).on(system()));
    let by_a_peer = world.file(&Filing::of_peers("bob", 0).on(keys()));
    world.file(&both_roles("carol", folder_above()));
    world.file(&both_roles("alice", org()));
    // What does not reach it, and what lies beside it.
    let harmless = world.file(&Filing::by("bob", 0).on(folder_above()));
    world.file(&both_roles("carol", folder_beside()));
    let elsewhere = world.file(&Filing::by("dave", 0));
    world.advance(ms(500)).await;
    world.approve(&by_a_peer, &person("carol"));
    let pause = world.random().millis_below(1_000);
    world.advance(pause).await;
    // A granted request becomes one on the system; one on the system stands under the id of another.
    let spec = world.with(|data| data.store.document(&on_it).and_then(|it| it.spec.clone()));
    world.edit(&elsewhere, |stored| stored.spec = spec);
    world.delete(&on_it);
    world.file(&Filing { id: Some(on_it), ..both_roles("alice", system()) });
    // A binding of a grant is copied to where the system lies.
    let mut copied = world.bindings(&harmless);
    copied.iter_mut().filter_map(|it| it.condition.as_mut()).for_each(|condition| {
        condition.description = "v1 copied from elsewhere".into();
    });
    world.change_policy(&system(), |policy| policy.bindings.extend(copied));
    world.advance(secs(3)).await;
    world.revoke(&harmless, &operator());
    world.advance(secs(15)).await;
}

/// The controller's own access stands beside grants, is changed by others, and bears the titles of requests.
pub(super) async fn own(world: &mut World) {
    let ids =
        [("alice", 0), ("bob", 0), ("carol", 1)].map(|(who, n)| world.file(&Filing::by(who, n)));
    world.advance(secs(2)).await;
    title_own_access(world, 0, &ids[0]);
    let pause = world.random().millis_below(20);
    world.advance(pause).await;
    world.revoke(&ids[0], &operator());
    let more = own_access("grants and takes back, as said elsewhere");
    world.change_policy(&project(1), |policy| policy.bindings.push(more));
    title_own_access(world, 1, &ids[2]);
    world.advance(secs(2)).await;
    world.withdraw(&ids[2], &person("carol"));
    world.file(&Filing::by("carol", 1));
    world.advance(secs(5)).await;
}

/// Somebody gives the controller's own access the title of a request.
fn title_own_access(world: &World, n: usize, id: &RequestId) {
    let title = installation().title(id);
    world.change_policy(&project(n), |policy| {
        let is_own = |members: &[String]| members.iter().any(|member| member == CONTROLLER);
        for binding in policy.bindings.iter_mut().filter(|it| is_own(&it.members)) {
            if let Some(condition) = &mut binding.condition {
                condition.title.clone_from(&title);
            }
        }
    });
}
