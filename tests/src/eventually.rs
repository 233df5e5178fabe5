//! Waiting for what another process does, with a deadline and never for a fixed time.

use std::time::Duration;

use tokio::time::Instant;

/// Between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Looks again and again until there is something, and fails with `what` if there is nothing in time.
pub(crate) async fn eventually<T, F>(what: &str, within: Duration, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

#[tokio::test]
#[should_panic(expected = "not within 30ms: the end of the world")]
async fn what_never_comes_fails_by_its_name() {
    let never = || async { None::<()> };
    eventually("the end of the world", Duration::from_millis(30), never).await;
}
