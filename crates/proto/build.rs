//! Generates the messages of `proto/curfew/v1` and embeds their descriptors; needs no `protoc`.

use std::error::Error;
use std::path::{Path, PathBuf};

const ROOT: &str = "../../proto";
const PACKAGE: &str = "curfew.v1";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={ROOT}/curfew");
    println!("cargo::rerun-if-changed={ROOT}/google");
    let mut compiler = protox::Compiler::new([ROOT])?;
    compiler.include_imports(true).include_source_info(true);
    for file in ["request", "payload", "store", "intake"] {
        compiler.open_file(Path::new(ROOT).join("curfew/v1").join(file).with_extension("proto"))?;
    }

    // The compiler's own encoding keeps the HTTP annotations, which the decoded form would lose.
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;

    let mut config = prost_build::Config::new();
    config.btree_map(["."]);
    let pool = compiler.descriptor_pool();
    for message in pool.all_messages().filter(|m| m.package_name() == PACKAGE && !m.is_map_entry())
    {
        let name = message.full_name();
        config.message_attribute(
            format!(".{name}"),
            format!(
                "#[derive(::prost_reflect::ReflectMessage)]\n\
                 #[prost_reflect(message_name = {name:?}, descriptor_pool = \"crate::DESCRIPTOR_POOL\")]"
            ),
        );
    }
    config.compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
