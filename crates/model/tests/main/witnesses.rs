//! What must be possible, lest the safety be that of a system in which nothing happens.

use curfew_model::model::{Protocol, Search};
use curfew_model::properties;

use crate::support::{examples, real};

#[test]
fn everything_that_is_to_be_possible_is() {
    let found = examples(Protocol { search: Search::Witnesses, ..real(2, 1, 1) });
    let mut wanted: Vec<&str> = properties::witnesses().iter().map(|one| one.name).collect();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}
