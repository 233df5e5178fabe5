//! `cargo xtask sbom`: the bill of materials of a program that is shipped, and the licences that go with it.
//!
//! What cargo resolves for the whole workspace is more than what one program is linked of: cargo unites the features that
//! all members ask for. So the packages come from `cargo tree`, which resolves as a build of that one package does.

mod document;
mod licences;
mod packages;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use crate::workspace::Workspace;

/// What to describe, and where to put it.
#[derive(Args)]
pub(crate) struct Sbom {
    /// The package of the program.
    #[arg(long, default_value = "curfew-server")]
    package: String,
    /// The program's name.
    #[arg(long, default_value = "curfew")]
    program: String,
    /// The target that it is built for; this machine's by default.
    #[arg(long)]
    target: Option<String>,
    /// The folder that gets `<program>.cdx.json` (`CycloneDX` 1.6) and `<program>.licences.txt`.
    #[arg(long, default_value = "target/sbom")]
    out: PathBuf,
}

impl Sbom {
    /// Writes both files, and says where.
    pub(crate) fn write(&self, workspace: &Workspace) -> Result<()> {
        let packages = packages::of(workspace, &self.package, self.target.as_deref())?;
        let document = document::document(&packages, &self.program)?;
        let folder = workspace.root.join(&self.out);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let files = [
            ("cdx.json", format!("{document:#}\n")),
            ("licences.txt", licences::text(&packages, &self.program)?),
        ];
        for (ending, text) in files {
            let path = folder.join(format!("{}.{ending}", self.program));
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
            println!("{}", path.display());
        }
        Ok(())
    }
}
