//! Look-ups that are under way or fresh are shared: one call serves everybody who needs its answer.
//!
//! Not a cache library: age must be measured on the injected clock, so that simulated time governs it.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use curfew_core::planted;
use curfew_ports::{Clock, PortError};
use tokio::sync::OnceCell;

/// How old a shared answer may be; the age counts from the moment the call was made.
pub(crate) const AGE_MAX: Duration = Duration::from_secs(5);

fn age_max() -> Duration {
    planted!("answers-for-ten-seconds", Duration::from_secs(10), AGE_MAX)
}

/// How many answers are kept before old ones are dropped.
const KEPT_MAX: usize = 4_096;

/// Answers of one kind of look-up, by what was asked.
pub(crate) struct Shared<K, V> {
    clock: Arc<dyn Clock>,
    answers: Mutex<HashMap<K, Answer<V>>>,
}

struct Answer<V> {
    asked_at: Duration,
    cell: Arc<OnceCell<V>>,
}

impl<V> Answer<V> {
    fn is_fresh(&self, now: Duration) -> bool {
        now.saturating_sub(self.asked_at) < planted!("answers-for-ever", Duration::MAX, age_max())
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Shared<K, V> {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, answers: Mutex::new(HashMap::new()) }
    }

    /// The answer to `key`, asked by `ask` unless a fresh one is there or under way. Errors are not kept.
    pub(crate) async fn get<F>(&self, key: &K, ask: impl FnOnce() -> F) -> Result<V, PortError>
    where
        F: Future<Output = Result<V, PortError>>,
    {
        let cell = self.cell(key);
        cell.get_or_try_init(ask).await.cloned()
    }

    /// Whether there is an answer that is fresh.
    pub(crate) fn has_fresh(&self, key: &K) -> bool {
        let now = self.clock.elapsed();
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(key).is_some_and(|answer| answer.is_fresh(now) && answer.cell.initialized())
    }

    fn cell(&self, key: &K) -> Arc<OnceCell<V>> {
        let now = self.clock.elapsed();
        let is_fresh = |answer: &Answer<V>| answer.is_fresh(now);
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = answers.get(key).filter(|answer| is_fresh(answer)) {
            return answer.cell.clone();
        }
        if answers.len() >= KEPT_MAX {
            answers.retain(|_, answer| is_fresh(answer));
        }
        let cell = Arc::new(OnceCell::new());
        answers.insert(key.clone(), Answer { asked_at: now, cell: cell.clone() });
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Utc};
    use std::sync::atomic::{AtomicU32, Ordering};

    struct At(Mutex<Duration>);

    impl Clock for At {
        fn now(&self) -> DateTime<Utc> {
            DateTime::UNIX_EPOCH
        }
        fn elapsed(&self) -> Duration {
            *self.0.lock().unwrap()
        }
    }

    async fn ask(calls: &AtomicU32) -> Result<u32, PortError> {
        tokio::task::yield_now().await;
        Ok(calls.fetch_add(1, Ordering::Relaxed))
    }

    #[tokio::test]
    async fn one_call_serves_everybody_while_it_is_fresh() {
        let clock = Arc::new(At(Mutex::new(Duration::ZERO)));
        let shared = Shared::new(clock.clone());
        let calls = AtomicU32::new(0);
        let both = tokio::join!(shared.get(&"a", || ask(&calls)), shared.get(&"a", || ask(&calls)));
        assert_eq!((both.0.unwrap(), both.1.unwrap()), (0, 0));
        *clock.0.lock().unwrap() = Duration::from_millis(4_999);
        assert_eq!(shared.get(&"a", || ask(&calls)).await.unwrap(), 0);
        *clock.0.lock().unwrap() = AGE_MAX;
        assert_eq!(shared.get(&"a", || ask(&calls)).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn an_error_is_not_kept() {
        let shared: Shared<&str, u32> = Shared::new(Arc::new(At(Mutex::new(Duration::ZERO))));
        let fail = || async { Err(PortError::new(curfew_ports::RetryClass::Unavailable, "ask")) };
        assert!(shared.get(&"a", fail).await.is_err());
        assert_eq!(shared.get(&"a", || async { Ok(7) }).await.unwrap(), 7);
    }
}
