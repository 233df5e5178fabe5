//! The embedded store's file, and the disk that it lies on.

use std::path::Path;

use super::mend::quoted;
use super::report::Finding;

/// Below this a busy day's requests and the log of SQLite may fill the disk.
const FREE_BYTES_WARN: u64 = 1 << 30;

/// Below this the store is about to refuse writes.
const FREE_BYTES_MIN: u64 = 64 << 20;

/// The permission bits of everybody but the owner.
const GROUP_AND_OTHERS: u32 = 0o077;

/// Whether anybody else may open the file. `mode` are its permission bits; `None` where there is no file yet.
pub(crate) fn judge_file(path: &Path, mode: Result<Option<u32>, String>) -> Finding {
    let shown = path.display();
    match mode {
        Err(why) => Finding::failed(format!("{shown}: {why}")),
        Ok(None) => Finding::skipped(format!("{shown} is not there yet: `curfew all` makes it")),
        Ok(Some(mode)) if mode & GROUP_AND_OTHERS == 0 => {
            Finding::passed(format!("{shown} is its owner's alone"))
        }
        Ok(Some(mode)) => Finding::failed(format!(
            "{shown} is open to others than its owner (mode {mode:04o}): who writes it can end access, who reads it sees every request"
        ))
        .mend(format!("chmod 600 {}", quoted(&shown.to_string()))),
    }
}

/// Whether there is room. `free` is what this user may still use, in bytes.
pub(crate) fn judge_disk(folder: &Path, free: &Result<u64, String>) -> Finding {
    let shown = folder.display();
    let look = format!("df -h {}", quoted(&shown.to_string()));
    match free {
        Err(why) => Finding::skipped(format!("{shown}: {why}")),
        Ok(free) if *free < FREE_BYTES_MIN => Finding::failed(format!(
            "{} MiB are left for {shown}: the store cannot go on",
            free >> 20
        ))
        .mend(look),
        Ok(free) if *free < FREE_BYTES_WARN => {
            Finding::warning(format!("{} MiB are left for {shown}", free >> 20)).mend(look)
        }
        Ok(free) => Finding::passed(format!("{} GiB are left for {shown}", free >> 30)),
    }
}

/// The file's permission bits.
#[cfg(unix)]
pub(crate) fn mode(path: &Path) -> Result<Option<u32>, String> {
    use std::os::unix::fs::PermissionsExt as _;
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.permissions().mode() & 0o7777)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// What this user may still write where the folder lies.
pub(crate) fn free(folder: &Path) -> Result<u64, String> {
    let seen = rustix::fs::statvfs(folder).map_err(|error| error.to_string())?;
    Ok(seen.f_bavail.saturating_mul(seen.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::super::report::Outcome;
    use super::*;

    #[test]
    fn a_file_that_others_may_open_is_named_with_its_command() {
        let judged = |mode| judge_file(Path::new("/var/lib/curfew/a b.db"), mode);
        assert_eq!(judged(Ok(Some(0o600))).outcome, Outcome::Passed);
        assert_eq!(judged(Ok(None)).outcome, Outcome::Skipped);
        assert_eq!(judged(Err("denied".into())).outcome, Outcome::Failed);
        for mode in [0o644, 0o660, 0o601] {
            let finding = judged(Ok(Some(mode)));
            assert_eq!(finding.outcome, Outcome::Failed);
            assert_eq!(finding.mend, ["chmod 600 '/var/lib/curfew/a b.db'"]);
        }
    }

    #[test]
    fn little_room_is_warned_of_and_none_fails() {
        let judged = |free| judge_disk(Path::new("/x"), &Ok(free)).outcome;
        assert_eq!(judged(2 << 30), Outcome::Passed);
        assert_eq!(judged(FREE_BYTES_WARN - 1), Outcome::Warning);
        assert_eq!(judged(FREE_BYTES_MIN), Outcome::Warning);
        assert_eq!(judged(FREE_BYTES_MIN - 1), Outcome::Failed);
    }

    #[test]
    fn this_machine_tells_of_its_own_files() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(mode(&folder.path().join("none")), Ok(None));
        assert!(mode(folder.path()).unwrap().is_some());
        assert!(free(folder.path()).unwrap() > 0);
        assert!(free(&folder.path().join("none")).is_err());
    }
}
