//! The real protocol. The numbers of states are asserted so that nobody narrows the model unnoticed.

use curfew_model::model::{Protocol, Search, Start};

use crate::support::{real, verify};

/// Set to `large`, the last search takes minutes instead of seconds, and gigabytes instead of megabytes. For that run use
/// `cargo test`: under nextest a test that takes five minutes is ended.
const BOUNDS: &str = "CURFEW_MODEL_BOUNDS";

#[test]
fn two_controllers_on_one_request_are_safe_with_any_two_faults() {
    assert_eq!(verify(real(2, 1, 2)), 1_580_587);
}

#[test]
fn one_controller_on_two_requests_is_safe_with_any_fault() {
    assert_eq!(verify(real(1, 2, 1)), 2_041_031);
}

#[test]
fn two_controllers_on_one_request_settle_after_any_fault() {
    verify(Protocol { search: Search::Settling, ..real(2, 1, 1) });
}

#[test]
fn one_controller_on_two_requests_settles() {
    verify(Protocol { search: Search::Settling, ..real(1, 2, 0) });
}

#[test]
fn one_fault_fewer_is_safe_too_and_on_demand_larger_bounds() {
    if std::env::var_os(BOUNDS).is_none_or(|bounds| bounds != "large") {
        assert_eq!(verify(real(2, 1, 1)), 316_952);
        return;
    }
    assert_eq!(verify(real(2, 1, 3)), 5_944_412);
    assert_eq!(verify(real(1, 2, 2)), 19_563_399);
    assert_eq!(verify(Protocol { start: Start::FirstIsOver, ..real(2, 2, 0) }), 10_481_674);
}
