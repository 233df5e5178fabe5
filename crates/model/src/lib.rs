//! The policy-write protocol as a model, searched exhaustively with `stateright`.
//!
//! What is modelled: the requests' documents with their facts and the one entry that ends a request ([`document`]),
//! one IAM policy with its etag, writes that land late or never ([`state`]), and controllers that take passes and
//! turns on what may be an old view of all that ([`step`]). The steps bear the names of the controller's functions.
//! What a step records or writes is decided by [`decide`], a table that the tests compare with `curfew_core::reconcile`
//! entry by entry. What must hold is in [`properties`]; [`variant`] leaves out one rule at a time, and the search must
//! then find what goes wrong.
//!
//! What makes the model larger than the controller, so that what holds here holds there:
//!
//! - any pause may be of any length (the controller abandons a turn after five seconds);
//! - a turn may be taken with any requests at any time (the controller has reasons for each);
//! - a view of a document may be old for ever, a read of the policy may show any former content;
//! - a controller may give up a grant that it has not seen bound whenever it looks, as if its clock had passed the
//!   activation deadline or the binding had been refused, while another controller still activates it.
//!
//! What is left out: bindings that other people remove or alter, limits of a policy, unreadable policies, forged or
//! rolled-back documents, approvals and extensions, and the write intents, which nothing decides by. `curfew-sim`
//! exercises those on the real controller.

pub mod decide;
pub mod document;
pub mod model;
pub mod properties;
pub mod settle;
pub mod state;
pub mod step;
pub mod variant;
