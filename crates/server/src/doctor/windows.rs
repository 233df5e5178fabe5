//! The windows of configured keys: which count now, and for how long.

use chrono::{DateTime, TimeDelta, Utc};
use curfew_trust::{KeyConfig, Verb};

use super::report::Finding;

/// A new key takes an administrator, a change of the configuration and a restart of every process.
const NOTICE: TimeDelta = TimeDelta::days(30);

/// The window of the key that signs here.
pub(crate) fn judge_signing(key: &KeyConfig, now: DateTime<Utc>) -> Finding {
    let id = &key.id;
    if !key.verbs.contains(&Verb::Request) {
        return Finding::failed(format!("{id} signs here, and may not file requests"))
            .mend(format!("add REQUEST to keys[{id}].verbs"));
    }
    let found = if now < key.from {
        Finding::failed(format!("{id} counts from {} on only", date(key.from)))
            .mend(format!("set keys[{id}].from to an earlier time"))
    } else if key.distrusted_from.is_some_and(|from| from <= now) {
        Finding::failed(format!("{id} is distrusted: nothing that it signs counts"))
    } else if key.until <= now {
        Finding::failed(format!(
            "{id} has expired on {}: nothing that it signs counts",
            date(key.until)
        ))
    } else if key.until <= after(now) {
        Finding::warning(format!("{id} expires on {}, in {}", date(key.until), days(key, now)))
    } else {
        return Finding::passed(format!("{id} counts until {}", date(key.until)));
    };
    if found.mend.is_empty() { found.mends(rotate(id)) } else { found }
}

/// Whether the controller believes anybody who files requests, now and for some time to come.
pub(crate) fn judge_believed(keys: &[&KeyConfig], now: DateTime<Utc>) -> Finding {
    let files = |key: &&&KeyConfig| key.verbs.contains(&Verb::Request);
    let counting: Vec<&&KeyConfig> =
        keys.iter().filter(files).filter(|key| key.counts_at(now)).collect();
    let Some(last) = counting.iter().map(|key| key.until).max() else {
        let ids: Vec<&str> = keys.iter().filter(files).map(|key| key.id.as_str()).collect();
        let named = if ids.is_empty() { "none is configured".to_owned() } else { ids.join(", ") };
        return Finding::failed(format!("no key that may file requests counts now: {named}"))
            .mends(rotate(ids.first().copied().unwrap_or("intake-1")));
    };
    let others = keys.iter().filter(|key| key.counts_at(now) && key.until <= after(now));
    let soon: Vec<String> =
        others.map(|key| format!("{} expires on {}", key.id, date(key.until))).collect();
    if soon.is_empty() {
        return Finding::passed(format!(
            "{} of {} keys may file requests, until {}",
            counting.len(),
            keys.len(),
            date(last)
        ));
    }
    let first = keys.iter().find(|key| key.counts_at(now) && key.until <= after(now));
    Finding::warning(soon.join(", ")).mends(first.into_iter().flat_map(|key| rotate(&key.id)))
}

fn after(now: DateTime<Utc>) -> DateTime<Utc> {
    now.checked_add_signed(NOTICE).unwrap_or(now)
}

fn date(at: DateTime<Utc>) -> String {
    at.date_naive().to_string()
}

fn days(key: &KeyConfig, now: DateTime<Utc>) -> String {
    match key.until.signed_duration_since(now).num_days() {
        0 => "less than a day".into(),
        1 => "1 day".into(),
        n => format!("{n} days"),
    }
}

/// A new key beside the old one: first the controller must believe it, then intake may sign with it.
fn rotate(id: &str) -> Vec<String> {
    vec![
        format!("make a new key, add it to `keys` beside {id}, and restart the controller (docs/keys.md)"),
        "then name it in `signing`, and restart intake; leave the old key in `keys` while its requests live".into(),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use curfew_core::entry::Level;
    use curfew_trust::{KeyFileSigner, generate_key_file};

    use super::super::report::Outcome;
    use super::*;

    fn at(day: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + day * 86_400, 0).unwrap()
    }

    fn key(id: &str, from: i64, until: i64) -> KeyConfig {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        generate_key_file(&path).unwrap();
        let public_key = KeyFileSigner::open(&path, id).unwrap().public_key().clone();
        KeyConfig {
            id: id.into(),
            owner: id.into(),
            public_key,
            level: Level::Session,
            verbs: BTreeSet::from([Verb::Request]),
            from: at(from),
            until: at(until),
            distrusted_from: None,
        }
    }

    #[test]
    fn a_signing_key_is_judged_by_its_window() {
        for (from, until, outcome) in [
            (-9, 31, Outcome::Passed),
            (-9, 30, Outcome::Warning),
            (-9, 1, Outcome::Warning),
            (-9, 0, Outcome::Failed),
            (-9, -1, Outcome::Failed),
            (0, 99, Outcome::Passed),
            (1, 99, Outcome::Failed),
        ] {
            let finding = judge_signing(&key("intake-1", from, until), at(0));
            assert_eq!(finding.outcome, outcome, "{from} {until}: {finding:?}");
            assert_eq!(finding.mend.is_empty(), outcome == Outcome::Passed);
            assert!(finding.message.contains("intake-1"));
        }
        let distrusted = |day| KeyConfig { distrusted_from: Some(at(day)), ..key("k", -9, 99) };
        assert_eq!(judge_signing(&distrusted(0), at(0)).outcome, Outcome::Failed);
        assert_eq!(judge_signing(&distrusted(1), at(0)).outcome, Outcome::Passed);
        let decides = KeyConfig { verbs: BTreeSet::from([Verb::Decide]), ..key("k", -9, 99) };
        assert_eq!(judge_signing(&decides, at(0)).outcome, Outcome::Failed);
    }

    #[test]
    fn somebody_must_be_believed_now_and_what_ends_soon_is_named() {
        let [old, now, soon, later] =
            [key("old", -9, -1), key("now", -9, 99), key("soon", -9, 5), key("later", 5, 99)];
        let judged = |keys: &[&KeyConfig]| judge_believed(keys, at(0));
        assert_eq!(judged(&[&old, &now]).outcome, Outcome::Passed);
        let finding = judged(&[&now, &soon]);
        assert_eq!(finding.outcome, Outcome::Warning);
        assert!(finding.message.contains("soon") && !finding.message.contains("now"));
        let finding = judged(&[&old, &later]);
        assert_eq!(finding.outcome, Outcome::Failed);
        assert!(finding.message.contains("old, later"), "{finding:?}");
        let writer = KeyConfig { verbs: BTreeSet::from([Verb::Decide]), ..now.clone() };
        assert_eq!(judged(&[&writer]).outcome, Outcome::Failed);
        assert_eq!(judged(&[]).outcome, Outcome::Failed);
    }
}
