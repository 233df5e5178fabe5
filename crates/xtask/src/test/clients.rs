//! Google's own Firestore clients, for Python and for Node, on the embedded store: each runs its everyday operations
//! against `curfew firestore-local` on a fresh file.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::background::{ANSWER_TIMEOUT, Server, free_address};
use super::emulator::RUNNING_VARIABLE;
use super::summary::Summary;
use super::tools::Tools;
use crate::process;
use crate::workspace::Workspace;

const PYTHON_PROGRAM: &str = "tests/python/firestore_client.py";

/// Holds the program, `package.json` and the lock file.
const NODE_FOLDER: &str = "tests/node";

const NODE_PROGRAM: &str = "firestore_client.mjs";

/// A copy of that folder: its packages are installed beside it, outside of what git sees.
const NODE_COPY: &str = "target/node";

/// What an installation depends on.
const NODE_LOCK: &str = "package-lock.json";

/// npm writes this last.
const NODE_INSTALLED: &str = "node_modules/.package-lock.json";

/// The database of a run and the log of its server.
const SERVER_FOLDER: &str = "target/firestore-clients";

/// Installs what runs in Node and in browsers, and tells where; a missing Node is in the summary already.
pub(super) fn packages(
    workspace: &Workspace,
    tools: &Tools,
    summary: &mut Summary,
) -> Result<Option<PathBuf>> {
    let copy = workspace.root.join(NODE_COPY);
    let installed = tools.node && summary.step("Node packages", || install(workspace, &copy))?;
    Ok(installed.then_some(copy))
}

/// Runs both clients. `python` is the interpreter that has Google's library and `node` the folder that has it, where
/// there is one; what is missing is in the summary already.
pub(super) fn run(
    workspace: &Workspace,
    binaries: &Path,
    python: Option<&Path>,
    node: Option<&Path>,
    summary: &mut Summary,
) -> Result<()> {
    if python.is_none() && node.is_none() {
        return Ok(());
    }
    let started =
        summary.try_time("embedded store", || Store::start(workspace, binaries).map(Some));
    let Some(store) = started else { return Ok(()) };
    if let Some(python) = python {
        let mut client = store.client(python);
        client.current_dir(&workspace.root).arg(PYTHON_PROGRAM);
        summary.step("Firestore from Python", || process::succeeds(&mut client))?;
    }
    if let Some(node) = node {
        let mut client = store.client(Path::new("node"));
        client.current_dir(node).arg(NODE_PROGRAM);
        summary.step("Firestore from Node", || process::succeeds(&mut client))?;
    }
    Ok(())
}

/// The running server.
struct Store {
    address: SocketAddr,
    _server: Server,
}

impl Store {
    fn start(workspace: &Workspace, binaries: &Path) -> Result<Self> {
        let folder = workspace.root.join(SERVER_FOLDER);
        emptied(&folder)?;
        let address = free_address()?;
        let mut command = Command::new(binaries.join("curfew"));
        // `owner` is the token that Google's clients send to an emulator.
        command.args(["firestore-local", "--owner", "--listen", &address.to_string()]);
        command.arg("--path").arg(folder.join("store.db"));
        let server =
            Server::start(&mut command, &folder.join("server.log"), address, is_listening)?;
        Ok(Self { address, _server: server })
    }

    /// A program that is told where the server is.
    fn client(&self, program: &Path) -> Command {
        let mut client = Command::new(program);
        client.env(RUNNING_VARIABLE, self.address.to_string());
        client
    }
}

fn is_listening(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, ANSWER_TIMEOUT).is_ok()
}

/// Copies the program and installs its packages, unless those of this lock file are there.
fn install(workspace: &Workspace, copy: &Path) -> Result<bool> {
    let source = workspace.root.join(NODE_FOLDER);
    let up_to_date = is_installed(&source, copy)?;
    std::fs::create_dir_all(copy).with_context(|| format!("cannot make {}", copy.display()))?;
    for name in [NODE_PROGRAM, "package.json", NODE_LOCK] {
        std::fs::copy(source.join(name), copy.join(name))
            .with_context(|| format!("cannot copy {name} to {}", copy.display()))?;
    }
    if up_to_date {
        return Ok(true);
    }
    let mut npm = Command::new("npm");
    npm.current_dir(copy).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]);
    process::succeeds(&mut npm)
}

fn is_installed(source: &Path, copy: &Path) -> Result<bool> {
    let wanted = std::fs::read(source.join(NODE_LOCK))
        .with_context(|| format!("{} has no {NODE_LOCK}", source.display()))?;
    let present = std::fs::read(copy.join(NODE_LOCK)).is_ok_and(|present| present == wanted);
    Ok(present && copy.join(NODE_INSTALLED).is_file())
}

fn emptied(folder: &PathBuf) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot empty {}", folder.display()))
        }
        _ => std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_installed_again_when_the_lock_file_changes_or_an_installation_broke_off() {
        let folder = std::env::temp_dir().join(format!("curfew-xtask-node-{}", std::process::id()));
        let (source, copy) = (folder.join("source"), folder.join("copy"));
        emptied(&source).unwrap();
        emptied(&copy.join("node_modules")).unwrap();
        assert!(is_installed(&source, &copy).is_err(), "a missing lock file is a mistake");
        std::fs::write(source.join(NODE_LOCK), "1").unwrap();
        assert!(!is_installed(&source, &copy).unwrap());
        std::fs::write(copy.join(NODE_LOCK), "1").unwrap();
        assert!(!is_installed(&source, &copy).unwrap(), "npm did not finish");
        std::fs::write(copy.join(NODE_INSTALLED), "").unwrap();
        assert!(is_installed(&source, &copy).unwrap());
        std::fs::write(source.join(NODE_LOCK), "2").unwrap();
        assert!(!is_installed(&source, &copy).unwrap());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
