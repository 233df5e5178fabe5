//! Cases against real Firestore are compiled everywhere, and run where a project for them is named: elsewhere they are
//! told as ignored.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(real_firestore)");
    println!("cargo::rerun-if-env-changed=CURFEW_TEST_FIRESTORE_PROJECT");
    if std::env::var_os("CURFEW_TEST_FIRESTORE_PROJECT").is_some() {
        println!("cargo::rustc-cfg=real_firestore");
    }
}
