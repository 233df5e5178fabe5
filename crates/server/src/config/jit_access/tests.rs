//! Every variable, with what becomes of it.

use std::collections::BTreeSet;

use serde_json::json;

use super::super::tests::{Folder, PLAIN};
use super::*;

/// Variables; then the setting, what is in force (nothing: the empty text), and a part of the note about it.
type Row = (&'static [(&'static str, &'static str)], &'static str, &'static str, &'static str);

const ROWS: &[Row] = &[
    (&[("RESOURCE_SCOPE", " folders/7 ")], "scope", "folders/7", "its new name is scope"),
    (
        &[("GOOGLE_CLOUD_PROJECT", "access-data")],
        "scope",
        "projects/access-data",
        "scope: projects/access-data",
    ),
    (
        &[("RESOURCE_CATALOG", "policyANALYZER")],
        "eligible.catalog",
        "PolicyAnalyzer",
        "eligible.catalog: PolicyAnalyzer",
    ),
    (
        &[("RESOURCE_CATALOG", "AssetInventory")],
        "eligible.catalog",
        "AssetInventory",
        "eligible.catalog",
    ),
    (
        &[("RESOURCE_CUSTOMER_ID", "C0123abcd")],
        "eligible.customerId",
        "C0123abcd",
        "eligible.customerId",
    ),
    (
        &[("AVAILABLE_PROJECTS_QUERY", "parent:folders/7")],
        "eligible.projectsQuery",
        "parent:folders/7",
        "eligible.projectsQuery",
    ),
    (&[("ACTIVATION_TIMEOUT", "90")], "eligible.maxDuration", "90m", "eligible.maxDuration: 90m"),
    (&[("ACTIVATION_TIMEOUT", "  ")], "eligible.maxDuration", "", ""),
    (&[("ELEVATION_DURATION", "60")], "eligible.maxDuration", "60m", "ELEVATION_DURATION is read"),
    (
        &[("ACTIVATION_TIMEOUT", "90"), ("ELEVATION_DURATION", "60")],
        "eligible.maxDuration",
        "60m",
        "ACTIVATION_TIMEOUT is not used: ELEVATION_DURATION comes first",
    ),
    (
        &[("ACTIVATION_REQUEST_TIMEOUT", "45")],
        "eligible.approvalTimeout",
        "45m",
        "eligible.approvalTimeout: 45m",
    ),
    (
        &[("ACTIVATION_REQUEST_TIMEOUT", "45"), ("ACTIVATION_TIMEOUT", "30")],
        "eligible.approvalTimeout",
        "30m",
        "eligible.approvalTimeout is 30m",
    ),
    (
        &[("ACTIVATION_REQUEST_TIMEOUT", "600")],
        "eligible.approvalTimeout",
        "2h",
        "no longer than eligible.maxDuration",
    ),
    (
        &[("JUSTIFICATION_PATTERN", r"BUG-\d+")],
        "eligible.justificationPattern",
        r"BUG-\d+",
        "eligible.justificationPattern",
    ),
    (
        &[("JUSTIFICATION_HINT", "A bug, please")],
        "eligible.justificationHint",
        "A bug, please",
        "eligible.justificationHint",
    ),
    (&[("ACTIVATION_REQUEST_MAX_ROLES", "5")], "eligible.maxRoles", "5", "eligible.maxRoles: 5"),
    (
        &[("ACTIVATION_REQUEST_MIN_REVIEWERS", "2")],
        "eligible.minApprovers",
        "2",
        "eligible.minApprovers",
    ),
    (
        &[("ACTIVATION_REQUEST_MAX_REVIEWERS", "3")],
        "eligible.maxApprovers",
        "3",
        "eligible.maxApprovers",
    ),
    (
        &[("IAP_BACKEND_SERVICE_ID", "77")],
        "iap.audience",
        "/projects/123/global/backendServices/77",
        "iap.audience",
    ),
    (
        &[("IAP_BACKEND_SERVICE_ID", "77"), ("K_SERVICE", "jit")],
        "iap.audience",
        "/projects/123/global/backendServices/77",
        "IAP_BACKEND_SERVICE_ID is read",
    ),
    (
        &[("GAE_SERVICE", "default")],
        "iap.audience",
        "/projects/123/apps/access-web",
        "GAE_SERVICE is read",
    ),
    (
        &[("K_SERVICE", "jit")],
        "iap.audience",
        "/projects/123/locations/europe-west1/services/jit",
        "K_SERVICE is read",
    ),
    (&[("IAP_VERIFY_AUDIENCE", "TRUE")], "iap.audience", "", "IAP_VERIFY_AUDIENCE can go"),
    (
        &[("BACKEND_CONNECT_TIMEOUT", "3")],
        "google.connectTimeout",
        "3s",
        "google.connectTimeout: 3s",
    ),
    (&[("BACKEND_READ_TIMEOUT", "40")], "google.readTimeout", "40s", "google.readTimeout: 40s"),
    (
        &[("BACKEND_WRITE_TIMEOUT", "5")],
        "google.writeTimeout",
        "",
        "BACKEND_WRITE_TIMEOUT is not used yet",
    ),
    (&[("PORT", "8099")], "listen.app", "0.0.0.0:8099", "listen.app: 0.0.0.0:8099"),
];

#[test]
fn every_variable_is_the_setting_that_took_its_place() {
    for (variables, setting, expected, note) in ROWS {
        let (value, notes) = filled(json!({}), variables).unwrap();
        let found = get(&value, setting).map(plain).unwrap_or_default();
        assert_eq!(found, *expected, "{variables:?}");
        assert!(note.is_empty() || notes.iter().any(|one| one.contains(note)), "{notes:?}");
    }
}

#[test]
fn every_variable_of_the_table_has_a_row_and_a_note() {
    let mut tested: BTreeSet<&str> =
        ROWS.iter().flat_map(|(variables, ..)| variables.iter().map(|(name, _)| *name)).collect();
    for variable in VARIABLES {
        if let Meaning::Unused(_) = variable.meaning {
            let (value, notes) = filled(json!({}), &[(variable.name, "secret-1")]).unwrap();
            assert_eq!(value, json!({}), "{}", variable.name);
            assert_eq!(notes.len(), 1, "{}", variable.name);
            assert!(notes[0].contains(variable.name) && notes[0].contains("not used yet"));
            assert!(!notes[0].contains("secret-1"), "a password is in no note");
            tested.insert(variable.name);
        }
        assert!(tested.contains(variable.name), "{} is not tested", variable.name);
    }
}

#[test]
fn what_is_configured_wins_and_the_difference_is_told() {
    for (configured, variable, note) in [
        (
            json!({"eligible": {"maxDuration": "1h"}}),
            ("ACTIVATION_TIMEOUT", "90"),
            "eligible.maxDuration says 1h, the variable 90m",
        ),
        (
            json!({"eligible": {"maxDuration": "1h"}}),
            ("ACTIVATION_TIMEOUT", "60"),
            "ACTIVATION_TIMEOUT can go",
        ),
        (
            json!({"eligible": {"maxRoles": 3}}),
            ("ACTIVATION_REQUEST_MAX_ROLES", "4"),
            "says 3, the variable 4",
        ),
        (
            json!({"iap": {"audience": "/projects/1/apps/a"}}),
            ("IAP_BACKEND_SERVICE_ID", "7"),
            "says /projects/1/apps/a",
        ),
        (
            json!({"scope": "projects/access-web"}),
            ("RESOURCE_SCOPE", "folders/1"),
            "says projects/access-web, the variable folders/1",
        ),
    ] {
        let (value, notes) = filled(configured.clone(), &[variable]).unwrap();
        assert_eq!(value, configured);
        assert!(notes.len() == 1 && notes[0].contains(note), "{notes:?}");
    }
    let quiet = [("GOOGLE_CLOUD_PROJECT", "x"), ("K_SERVICE", "x")];
    let configured = json!({"scope": "projects/a", "iap": {"audience": "/projects/1/apps/a"}});
    assert_eq!(filled(configured, &quiet).unwrap().1, Vec::<String>::new());
}

#[test]
fn a_bad_value_is_an_error_that_names_the_variable() {
    let folder = Folder::new();
    for (name, value) in [
        ("RESOURCE_SCOPE", "projects/123456"),
        ("RESOURCE_SCOPE", "everything"),
        ("RESOURCE_CATALOG", "Asset Inventory"),
        ("RESOURCE_CUSTOMER_ID", "0123abcd"),
        ("ACTIVATION_TIMEOUT", "2h"),
        ("ACTIVATION_TIMEOUT", "0"),
        ("ACTIVATION_TIMEOUT", "-5"),
        ("ACTIVATION_TIMEOUT", "1.5"),
        ("ACTIVATION_TIMEOUT", "1441"),
        ("ACTIVATION_TIMEOUT", "4294967295"),
        ("ELEVATION_DURATION", "an hour"),
        ("ACTIVATION_REQUEST_TIMEOUT", "0"),
        ("JUSTIFICATION_PATTERN", "("),
        ("JUSTIFICATION_PATTERN", "(?=BUG)"),
        ("ACTIVATION_REQUEST_MAX_ROLES", "0"),
        ("ACTIVATION_REQUEST_MAX_ROLES", "11"),
        ("ACTIVATION_REQUEST_MAX_ROLES", "ten"),
        ("ACTIVATION_REQUEST_MIN_REVIEWERS", "0"),
        ("ACTIVATION_REQUEST_MIN_REVIEWERS", "11"),
        ("ACTIVATION_REQUEST_MAX_REVIEWERS", "0"),
        ("ACTIVATION_REQUEST_MAX_REVIEWERS", "51"),
        ("IAP_BACKEND_SERVICE_ID", "jit-backend"),
        ("IAP_VERIFY_AUDIENCE", "false"),
        ("IAP_VERIFY_AUDIENCE", "no"),
        ("IAP_VERIFY_AUDIENCE", "1"),
        ("BACKEND_CONNECT_TIMEOUT", "0"),
        ("BACKEND_CONNECT_TIMEOUT", "5s"),
        ("BACKEND_READ_TIMEOUT", "301"),
        ("PORT", "http"),
        ("PORT", "65536"),
    ] {
        let text = PLAIN.replace("scope: projects/access-web\n", "");
        assert_ne!(text, PLAIN);
        let scope = ("GOOGLE_CLOUD_PROJECT", "access-web");
        assert!(folder.read(&text, &[scope]).is_ok());
        let error = folder.read(&text, &[scope, (name, value)]).unwrap_err();
        let named =
            error.starts_with(&format!("{name}: ")) || error.starts_with(&format!("{name} ("));
        assert!(named, "{name}={value}: {error}");
    }
}

#[test]
fn an_audience_that_cannot_be_made_is_an_error() {
    for name in ["GAE_SERVICE", "K_SERVICE", "IAP_BACKEND_SERVICE_ID"] {
        let environment = BTreeMap::from([(name.to_owned(), "7".to_owned())]);
        let mut value = json!({});
        let filled = fill(&mut value, &environment, &Platform::unknown(), &mut Origins::default());
        let error = filled.unwrap_err().to_string();
        assert!(error.starts_with(name) && error.contains("iap.audience"), "{error}");
    }
}

#[test]
fn the_documentation_has_every_variable_and_the_reference() {
    let documentation = include_str!("../../../../../docs/configuration.md");
    for variable in VARIABLES {
        let becomes = match variable.meaning {
            Meaning::Setting(path, _) => format!("`{path}`"),
            Meaning::Unused(why) => format!("not used yet: {why}"),
            Meaning::Special if variable.name == "IAP_BACKEND_SERVICE_ID" => {
                "`iap.audience`".into()
            }
            Meaning::Special => "nothing".into(),
        };
        let row = format!("| `{}` | {becomes} |", variable.name);
        assert_eq!(documentation.matches(&row).count(), 1, "{row}");
    }
    let reference = format!("```yaml\n{}```\n", super::super::REFERENCE);
    assert!(documentation.contains(&reference), "the reference is not `curfew config reference`");
}

fn filled(
    mut value: Value,
    variables: &[(&str, &str)],
) -> Result<(Value, Vec<String>), ConfigError> {
    let environment =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment = environment.collect();
    let notes = fill(&mut value, &environment, &Platform::known(), &mut Origins::default())?;
    Ok((value, notes))
}
