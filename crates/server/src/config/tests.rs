//! What a configuration must say, and how it is told.

use std::collections::BTreeMap;
use std::path::Path;

use curfew_core::danger::Dangerous;
use curfew_core::resource::Resource;
use curfew_intake::ListSource;
use tempfile::TempDir;

use super::{
    Config, FactsKeySource, FormKeySource, Platform, SigningKey, StoreKind, Wrapped, parse,
};

pub(super) const PLAIN: &str = "
installation: prod
scope: projects/access-web
baseUrl: https://access.example.com
store: {kind: embedded}
iap: {audience: /projects/1/locations/europe-west1/services/curfew}
operators: ['user:olga@example.com', 'group:sre@example.com']
signing: {file: ./intake.key, keyId: intake-1}
keys: [{id: intake-1, publicKey: ./intake.pub, level: SESSION, verbs: [REQUEST, DIRECT], from: 2026-01-01, until: 2036-01-01T12:00:00Z}]
factsKey: {file: ./facts.key}
";

pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [private, public] = ["intake.key", "intake.pub"].map(|name| folder.path().join(name));
        crate::keys::make_signing_key(&private, &public).unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn read(&self, text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        parse(text, self.path(), &environment.collect::<BTreeMap<_, _>>(), &Platform::known())
            .map_err(|error| error.to_string())
    }
}

#[test]
fn a_plain_configuration_is_enough() {
    let folder = Folder::new();
    let config = folder.read(PLAIN, &[]).unwrap();
    assert!(
        matches!(&config.store.kind, StoreKind::Embedded(path) if *path == folder.path().join("curfew.db"))
    );
    assert_eq!(config.listen.ops.to_string(), "127.0.0.1:9464");
    assert_eq!(config.rules.duration_max, chrono::TimeDelta::hours(2));
    assert_eq!((config.operators.people.len(), config.operators.groups.len()), (1, 1));
    assert!(config.keys.get("intake-1").is_some());
}

#[test]
fn every_wrong_value_is_refused_by_the_name_of_its_setting() {
    let folder = Folder::new();
    for (right, wrong, setting) in [
        ("installation: prod", "installation: Prod", "installation"),
        ("scope: projects/access-web", "scope: projects/123456", "scope"),
        ("https://access.example.com", "http://access.example.com", "baseUrl"),
        ("kind: embedded", "kind: sqlite", "store.kind"),
        (
            "audience: /projects/1/locations/europe-west1/services/curfew",
            "audience: ' '",
            "iap.audience",
        ),
        ("user:olga@example.com", "olga@example.com", "operators[0]"),
        ("group:sre@example.com", "domain:example.com", "operators[1]"),
        ("level: SESSION", "level: session", "keys[0].level"),
        ("verbs: [REQUEST, DIRECT]", "verbs: [EVERYTHING]", "keys[0].verbs"),
        ("from: 2026-01-01", "from: yesterday", "keys[0].from"),
        ("until: 2036-01-01T12:00:00Z", "until: 2025-01-01", "keys"),
        ("publicKey: ./intake.pub", "publicKey: ./nothing.pub", "keys[0].publicKey"),
        ("factsKey:", "eligible: {maxDuration: 25h}\nfactsKey:", "eligible.maxDuration"),
        ("factsKey:", "eligible: {catalog: Everything}\nfactsKey:", "eligible.catalog"),
        ("factsKey:", "eligible: {customerId: x}\nfactsKey:", "eligible.customerId"),
        ("factsKey:", "eligible: {dangerous: allow}\nfactsKey:", "eligible.dangerous"),
        ("factsKey:", "eligible: {from: [folders/7, nowhere]}\nfactsKey:", "eligible.from[1]"),
        (
            "factsKey:",
            "eligible: {justificationPattern: '('}\nfactsKey:",
            "eligible.justificationPattern",
        ),
        ("factsKey:", "eligible: {approvalTimeout: 169h}\nfactsKey:", "eligible.approvalTimeout"),
        ("factsKey:", "eligible: {minApprovers: 0}\nfactsKey:", "eligible.minApprovers"),
        ("factsKey:", "eligible: {minApprovers: 11}\nfactsKey:", "eligible.minApprovers"),
        ("factsKey:", "eligible: {maxApprovers: 51}\nfactsKey:", "eligible.maxApprovers"),
        ("factsKey:", "google: {connectTimeout: 0s}\nfactsKey:", "google.connectTimeout"),
        ("factsKey:", "google: {readTimeout: 10}\nfactsKey:", "google.readTimeout"),
        ("factsKey:", "google: {writeTimeout: 6m}\nfactsKey:", "google.writeTimeout"),
        ("factsKey:", "eligible: {maxRoles: 11}\nfactsKey:", "eligible.maxRoles"),
        ("factsKey:", "eligible: {defaultDuration: 3h}\nfactsKey:", "eligible.defaultDuration"),
        ("factsKey:", "listen: {app: everywhere}\nfactsKey:", "listen.app"),
    ] {
        let text = PLAIN.replace(right, wrong);
        assert_ne!(text, PLAIN, "{right}");
        let error = folder.read(&text, &[]).unwrap_err();
        assert!(error.starts_with(&format!("{setting}: ")), "{wrong}: {error}");
    }
}

#[test]
fn every_setting_reaches_what_it_is_for() {
    let folder = Folder::new();
    let more = "eligible: {catalog: PolicyAnalyzer, projectsQuery: 'labels.a:b', dangerous: refuse, from: [folders/7],
    justificationPattern: 'BUG-[0-9]+', justificationHint: a bug, minApprovers: 2, maxApprovers: 3, approvalTimeout: 45m}
google: {connectTimeout: 3s, readTimeout: 40s}
formKey: {file: ./form.key}
";
    let config = folder.read(&format!("{PLAIN}{more}"), &[]).unwrap();
    assert_eq!(config.lists_from, ListSource::PolicyAnalyzer);
    assert_eq!(config.projects_query.as_deref(), Some("labels.a:b"));
    assert_eq!(config.rules.dangerous, Dangerous::Refuse);
    assert_eq!(config.rules.from, [Resource::parse("folders/7").unwrap()]);
    assert_eq!(config.justification_pattern.unwrap().to_string(), "BUG-[0-9]+");
    assert_eq!(config.justification_hint, "a bug");
    assert_eq!((config.rules.peers.chosen_min, config.rules.peers.chosen_max), (2, 3));
    assert_eq!(config.rules.peers.decide_within, chrono::TimeDelta::minutes(45));
    let seconds = [config.timeouts.connect, config.timeouts.read, config.timeouts.write];
    assert_eq!(seconds.map(|time| time.as_secs()), [3, 40, 40]);
    assert!(
        matches!(config.form_key, FormKeySource::File(path) if path == folder.path().join("form.key"))
    );
}

#[test]
fn a_public_key_may_stand_in_the_configuration_itself() {
    let folder = Folder::new();
    let pem = std::fs::read_to_string(folder.path().join("intake.pub")).unwrap();
    let inline = PLAIN.replace("./intake.pub", &format!("{pem:?}"));
    let key =
        |text: &str| folder.read(text, &[]).map(|config| config.keys.get("intake-1").cloned());
    assert_eq!(key(&inline).unwrap().unwrap().public_key, key(PLAIN).unwrap().unwrap().public_key);
    let broken = inline.replace("-----END", "-----DNE");
    assert!(key(&broken).unwrap_err().starts_with("keys[0].publicKey: "));
}

#[test]
fn cloud_run_gets_its_port_and_no_embedded_store() {
    let folder = Folder::new();
    let error = folder.read(PLAIN, &[("K_SERVICE", "curfew")]).unwrap_err();
    assert!(error.starts_with("store.kind: "), "{error}");
    let config = folder.read(PLAIN, &[("PORT", "8099")]).unwrap();
    assert_eq!(config.listen.app.to_string(), "0.0.0.0:8099");
}

#[test]
fn googles_firestore_needs_a_project_and_an_emulator_none() {
    let folder = Folder::new();
    let text = PLAIN.replace("kind: embedded", "kind: firestore");
    assert!(folder.read(&text, &[]).unwrap_err().starts_with("store.project: "));
    let config = folder.read(&text, &[("FIRESTORE_EMULATOR_HOST", "127.0.0.1:8423")]).unwrap();
    assert!(
        matches!(&config.store.kind, StoreKind::Loopback(at, _) if at == "http://127.0.0.1:8423")
    );
}

#[test]
fn the_token_of_a_local_store_comes_from_the_file_or_the_environment_or_is_the_emulators() {
    let folder = Folder::new();
    let local = ("FIRESTORE_EMULATOR_HOST", "127.0.0.1:8423");
    let given = ("CURFEW_STORE_TOKEN", "from-outside");
    let plain = PLAIN.replace("kind: embedded", "kind: firestore");
    let filed = format!("{plain}endpoints: {{storeToken: from-file}}\n");
    for (text, environment, expected) in [
        (&plain, vec![local], "owner"),
        (&plain, vec![local, given], "from-outside"),
        (&filed, vec![local, given], "from-file"),
    ] {
        let config = folder.read(text, &environment).unwrap();
        assert!(
            matches!(&config.store.kind, StoreKind::Loopback(_, token) if token == expected),
            "{expected}"
        );
    }
}

const KMS_KEYS: &str = "projects/access-keys/locations/europe-west1/keyRings/curfew/cryptoKeys";

/// The plain configuration with other keys.
fn keyed(signing: &str, form: &str, facts: &str) -> String {
    let text = PLAIN
        .replace("signing: {file: ./intake.key, keyId: intake-1}", signing)
        .replace("factsKey: {file: ./facts.key}", &format!("{facts}\n{form}"));
    text.replace("KMS", KMS_KEYS)
}

const SIGNING: &str = "signing: {kms: KMS/intake/cryptoKeyVersions/1, keyId: intake-1}";
const FORM: &str = "formKey: {kms: KMS/forms/cryptoKeyVersions/2}";
const FACTS: &str = "factsKey: {kms: KMS/facts, file: ./facts.wrapped}";

#[test]
fn keys_may_be_in_cloud_kms() {
    let folder = Folder::new();
    let config = folder.read(&keyed(SIGNING, FORM, FACTS), &[]).unwrap();
    let SigningKey::Kms(version) = config.signing.unwrap().key else { panic!("a file") };
    assert_eq!(version.as_str(), format!("{KMS_KEYS}/intake/cryptoKeyVersions/1"));
    assert!(
        matches!(config.form_key, FormKeySource::Kms(it) if it.as_str().ends_with("forms/cryptoKeyVersions/2"))
    );
    let Some(FactsKeySource::Wrapped { kms, wrapped }) = config.facts_key else { panic!("a file") };
    assert_eq!(kms.as_str(), format!("{KMS_KEYS}/facts"));
    // Only the controller reads it: intake starts where the file is not.
    assert!(wrapped.read().unwrap_err().contains("facts.wrapped"));
    std::fs::write(folder.path().join("facts.wrapped"), "AAEC\nAw==\n").unwrap();
    assert_eq!(wrapped.read().unwrap(), [0, 1, 2, 3]);
    std::fs::write(folder.path().join("facts.wrapped"), "%").unwrap();
    assert!(wrapped.read().unwrap_err().contains("base64"));

    let text = keyed(SIGNING, FORM, "factsKey: {kms: KMS/facts, wrapped: AAECAw==}");
    let config = folder.read(&text, &[]).unwrap();
    let Some(FactsKeySource::Wrapped { wrapped: Wrapped::Bytes(bytes), .. }) = config.facts_key
    else {
        panic!("a file")
    };
    assert_eq!(bytes, [0, 1, 2, 3]);
}

#[test]
fn a_key_that_is_not_told_where_or_twice_is_refused() {
    let folder = Folder::new();
    for (signing, form, facts, setting) in [
        ("signing: {keyId: intake-1}", "", FACTS, "signing: name either"),
        ("signing: {file: a, kms: KMS/a/cryptoKeyVersions/1, keyId: i}", FORM, FACTS, "signing: "),
        ("signing: {kms: KMS/intake, keyId: intake-1}", FORM, FACTS, "signing.kms: "),
        (SIGNING, "", FACTS, "formKey: with signing.kms"),
        (SIGNING, "formKey: {}", FACTS, "formKey: name either"),
        (SIGNING, "formKey: {file: a, kms: KMS/a/cryptoKeyVersions/1}", FACTS, "formKey: "),
        (SIGNING, "formKey: {kms: KMS/forms}", FACTS, "formKey.kms: "),
        (SIGNING, FORM, "factsKey: {}", "factsKey: name either"),
        (SIGNING, FORM, "factsKey: {wrapped: AAEC}", "factsKey: name either"),
        (SIGNING, FORM, "factsKey: {kms: KMS/facts}", "factsKey: Cloud KMS holds"),
        (SIGNING, FORM, "factsKey: {kms: KMS/facts, file: a, wrapped: AAEC}", "factsKey: "),
        (SIGNING, FORM, "factsKey: {kms: KMS/facts, wrapped: '%'}", "factsKey.wrapped: "),
        (SIGNING, FORM, "factsKey: {kms: KMS/facts, wrapped: ''}", "factsKey.wrapped: "),
        (SIGNING, FORM, "factsKey: {kms: facts, file: a}", "factsKey.kms: "),
        (
            SIGNING,
            FORM,
            "factsKey: {kms: KMS/facts/cryptoKeyVersions/1, file: a}",
            "factsKey.kms: ",
        ),
    ] {
        let error = folder.read(&keyed(signing, form, facts), &[]).unwrap_err();
        assert!(error.starts_with(setting), "{signing} {form} {facts}: {error}");
    }
    let numbered = keyed(SIGNING, FORM, FACTS).replace("access-keys", "123456");
    assert!(folder.read(&numbered, &[]).unwrap_err().contains("by the id"));
}
