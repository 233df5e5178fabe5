//! The demo as real processes: what people see, what the cloud holds, and what survives a kill. What must hold does so
//! whether intake and controller share a process or not.

mod approval;
mod binary;
mod damaged_store;
pub(crate) mod demo;
mod disguises;
mod doctor;
mod ends;
mod firestore_local;
mod flow;
mod forgery;
mod forms;
mod full_disk;
mod installation;
mod keys;
mod kill;
mod killed_endings;
mod latency;
mod listing;
mod metrics;
mod migration;
mod nodes;
mod outside;
mod parts;
mod permissions;
mod policy_analyzer;
mod requesters;
mod seed;
mod store_faults;

/// Each of these functions as two tests, one for each [`demo::Shape`].
macro_rules! in_both_shapes {
    ($($test:ident,)+) => {
        mod single {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test($crate::e2e::demo::Shape::Single).await;
                }
            )+
        }

        mod split {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test($crate::e2e::demo::Shape::Split).await;
                }
            )+
        }
    };
}
use in_both_shapes;
