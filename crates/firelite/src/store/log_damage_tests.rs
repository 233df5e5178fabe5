//! Write-ahead logs that are broken.

use std::fs;

use rusqlite::Connection;
use tempfile::TempDir;

use super::{
    tests::{INDEXES, file, get, metrics, open, set},
    *,
};
use crate::{query::tests::indexes_json, value::strategies::text};

const HEADER: usize = 32;
const FRAME: usize = 24 + 4_096;
/// Each commit writes one of two documents.
const COMMITS: i64 = 12;

#[tokio::test]
async fn a_log_broken_before_its_last_commits_is_refused() {
    let sample = Sample::new().await;
    let [.., before_last, _last] = sample.ends[..] else { panic!("few commits") };
    for frame in 0..before_last {
        for within in [0, 5, 9, 17, 23, 24, 2_000, FRAME - 1] {
            let seen = sample.flipped(HEADER + frame * FRAME + within).await;
            // What joins the last commit to the one before it looks like lost power, too.
            if frame + 1 == before_last && (16..24).contains(&within) {
                assert_eq!(seen, Ok(COMMITS - 2));
                continue;
            }
            let text = seen.unwrap_err();
            let how = "is damaged: its -wal is broken within commits that were acknowledged; ";
            assert!(text.contains(how), "{frame} {within}: {text}");
        }
    }
}

#[tokio::test]
async fn a_log_with_a_broken_header_is_refused() {
    let sample = Sample::new().await;
    for at in 0..HEADER {
        let text = sample.flipped(at).await.unwrap_err();
        assert!(text.contains("is damaged: the header of its -wal is broken; "), "{at}: {text}");
    }
}

/// That is how lost power leaves the commit that was being written.
#[tokio::test]
async fn a_log_broken_in_its_last_commit_holds_the_commits_before() {
    let sample = Sample::new().await;
    let [.., before_last, last] = sample.ends[..] else { panic!("few commits") };
    for frame in before_last..last {
        assert_eq!(sample.flipped(HEADER + frame * FRAME + 40).await, Ok(COMMITS - 1), "{frame}");
    }
}

#[tokio::test]
async fn a_log_cut_anywhere_holds_the_whole_commits_before() {
    let sample = Sample::new().await;
    for frame in 0..=sample.log.len() / FRAME {
        for more in [0, 10, 1_000] {
            let end = (HEADER + frame * FRAME + more).min(sample.log.len());
            let whole = sample.ends.iter().filter(|end| **end <= frame).count();
            let whole = i64::try_from(whole).unwrap();
            assert_eq!(sample.commits_of(&sample.log[..end]).await, Ok(whole), "{frame}");
        }
    }
}

/// What stands behind the last commit was never acknowledged, even if commits ended there once.
#[tokio::test]
async fn frames_of_an_older_commit_behind_the_last_are_no_damage() {
    let sample = Sample::new().await;
    let third = HEADER + sample.ends[2] * FRAME;
    let last = *sample.ends.last().unwrap();
    let [first_of_last, end] =
        [sample.ends[sample.ends.len() - 2], last].map(|f| HEADER + f * FRAME);
    let torn = [&sample.log[..third], &sample.log[first_of_last..end]].concat();
    assert_eq!(sample.commits_of(&torn).await, Ok(3));
    let mut twice = torn;
    twice.extend_from_slice(&sample.log[first_of_last..end]);
    assert_eq!(sample.commits_of(&twice).await, Ok(3));
}

/// A file with a log of [`COMMITS`] commits, as a killed server leaves them.
struct Sample {
    file: Vec<u8>,
    log: Vec<u8>,
    /// After how many frames each commit ends.
    ends: Vec<usize>,
}

impl Sample {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let (store, writer) = open(&directory, INDEXES, Micros::now);
        drop(store);
        writer.stop().await.unwrap();
        let (store, writer) = open(&directory, INDEXES, Micros::now);
        let mut ends = Vec::new();
        for n in 1..=COMMITS {
            store.commit(vec![set(&format!("d{}", n % 2), text(&n.to_string()))]).await.unwrap();
            let bytes = fs::metadata(log(&directory)).unwrap().len();
            ends.push((usize::try_from(bytes).unwrap() - HEADER) / FRAME);
        }
        let [file, log] = [file(&directory), log(&directory)].map(|path| fs::read(path).unwrap());
        drop(store);
        writer.stop().await.unwrap();
        assert_eq!(log.len(), HEADER + ends.last().unwrap() * FRAME);
        assert!(ends.is_sorted_by(|a, b| a < b), "{ends:?}");
        Self { file, log, ends }
    }

    async fn flipped(&self, at: usize) -> Result<i64, String> {
        let mut log = self.log.clone();
        log[at] ^= 0x14;
        self.commits_of(&log).await
    }

    /// How many commits a file with this log has, the newest of which it shows whole; or why it is
    /// refused.
    async fn commits_of(&self, log_bytes: &[u8]) -> Result<i64, String> {
        let directory = TempDir::new().unwrap();
        fs::write(file(&directory), &self.file).unwrap();
        fs::write(log(&directory), log_bytes).unwrap();
        let indexes = Indexes::parse(&indexes_json("c", INDEXES)).unwrap();
        let opened = Store::open(&file(&directory), &indexes, Micros::now, &metrics());
        let (store, writer) = opened.map_err(|error| error.to_string())?;
        let revision = *store.revision().borrow();
        for n in [revision, revision - 1].into_iter().filter(|n| *n > 0) {
            let stored = get(&store, &format!("d{}", n % 2)).await.unwrap();
            assert_eq!(stored.fields["a"], text(&n.to_string()));
        }
        drop(store);
        writer.stop().await.unwrap();
        let verdict = Connection::open(file(&directory)).unwrap();
        let verdict: String =
            verdict.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
        Ok(revision)
    }
}

fn log(directory: &TempDir) -> PathBuf {
    directory.path().join("firelite.db-wal")
}
