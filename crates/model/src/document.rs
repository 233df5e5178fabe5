//! A request's document, as far as the protocol looks at it.

/// What the controller has recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fact {
    /// The entry that ends the request was looked at.
    Seen,
    /// `ELIGIBLE`, `APPROVAL` and `GRANT`, which a self-activation records in one commit.
    Grant,
    /// The binding was seen in the policy.
    Bound,
    /// Why access is over.
    Outcome,
    /// Nothing is left, and how that is known.
    Ended(Ending),
}

/// How it is known that nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// There was no grant.
    NeverGranted,
    /// A policy write that leaves none of it was answered.
    Answered,
    /// A read showed none of it.
    SeenGone,
}

/// How many kinds of facts there are. Each is recorded once.
const FACTS_MAX: usize = 5;

/// Facts in order, oldest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Facts([Option<Fact>; FACTS_MAX]);

impl Facts {
    /// The facts, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Fact> + '_ {
        self.0.iter().map_while(|fact| *fact)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same with one more.
    ///
    /// # Panics
    ///
    /// If there were already as many as there are kinds: the model would be wrong.
    #[must_use]
    pub fn with(mut self, fact: Fact) -> Self {
        assert!(self.len() < FACTS_MAX, "each kind of fact is recorded once");
        self.0.iter_mut().filter(|slot| slot.is_none()).take(1).for_each(|slot| *slot = Some(fact));
        self
    }

    /// The facts after the first `n`.
    #[must_use]
    pub fn after(self, n: usize) -> Self {
        self.iter().skip(n).collect()
    }

    /// Whether these are the first facts here.
    pub fn starts_with(&self, first: &Self) -> bool {
        first.iter().zip(self.iter()).filter(|(a, b)| a == b).count() == first.len()
    }
}

impl FromIterator<Fact> for Facts {
    fn from_iter<I: IntoIterator<Item = Fact>>(facts: I) -> Self {
        facts.into_iter().fold(Self::default(), Self::with)
    }
}

/// A document. Its parts only grow, so that two versions are the same exactly if their contents are: there is no
/// `updateTime` beside them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Document {
    /// What the controller has recorded.
    pub facts: Facts,
    /// Whether somebody has filed an entry that ends the request: a withdrawal or a revocation.
    pub is_withdrawn: bool,
}

impl Document {
    /// Whether this is recorded.
    pub fn has(&self, fact: Fact) -> bool {
        self.facts.iter().any(|recorded| recorded == fact)
    }

    /// Records a fact.
    pub fn record(&mut self, fact: Fact) {
        self.facts = self.facts.with(fact);
    }

    /// How many facts stand up to and including the outcome.
    pub fn outcome_at(&self) -> Option<usize> {
        let index = self.facts.iter().position(|fact| fact == Fact::Outcome);
        index.map(|index| index.saturating_add(1))
    }

    /// How it is known that nothing is left, if it is.
    pub fn ended(&self) -> Option<Ending> {
        self.facts.iter().find_map(|fact| match fact {
            Fact::Ended(how) => Some(how),
            Fact::Seen | Fact::Grant | Fact::Bound | Fact::Outcome => None,
        })
    }

    /// Whether the request has a grant that is neither over nor ended, and whose binding was seen.
    pub fn is_active(&self) -> bool {
        self.has(Fact::Bound) && !self.has(Fact::Outcome) && self.ended().is_none()
    }
}
