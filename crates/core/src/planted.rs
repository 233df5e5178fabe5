//! Bugs that the simulation plants, one at a time, to see that its oracle finds them.
//!
//! Only under the feature `planted-bugs`, which nothing but the simulator's own tests may enable (`cargo xtask check`
//! looks). Without it [`planted!`](crate::planted!) is its last argument and this module holds nothing else.

/// `planted!("name", wrong, right)` is `right`; while the bug of that name is planted in this thread, it is `wrong`.
#[macro_export]
macro_rules! planted {
    ($bug:literal, $wrong:expr, $right:expr) => {{
        #[cfg(feature = "planted-bugs")]
        let value = if $crate::planted::is($bug) { $wrong } else { $right };
        #[cfg(not(feature = "planted-bugs"))]
        let value = $right;
        value
    }};
}

#[cfg(feature = "planted-bugs")]
mod chosen {
    use std::cell::Cell;

    thread_local! {
        static BUG: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// Plants a bug in this thread, in place of any other.
    pub fn plant(bug: Option<&'static str>) {
        BUG.set(bug);
    }

    /// Whether this bug is planted in this thread.
    pub fn is(bug: &str) -> bool {
        BUG.get() == Some(bug)
    }
}

#[cfg(feature = "planted-bugs")]
pub use chosen::{is, plant};
