//! Cases against real Firestore exist only where a project for them is named: elsewhere they would assert nothing.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(real_firestore)");
    println!("cargo::rerun-if-env-changed=CURFEW_TEST_FIRESTORE_PROJECT");
    if std::env::var_os("CURFEW_TEST_FIRESTORE_PROJECT").is_some() {
        println!("cargo::rustc-cfg=real_firestore");
    }
}
