//! The rows of the catalogue of bad requests: one wrong field each.

use serde_json::{Value, json};

use super::world::ZONE_A;

/// Field that is changed, its value, and the status, reason and field of the refusal.
pub(super) type Row = (&'static str, Value, u16, &'static str, &'static str);

/// Fields that the server owns, or that do not exist at all.
const OWNED: [&str; 30] = [
    "name",
    "id",
    "requestId",
    "status",
    "phase",
    "approvals",
    "approvedBy",
    "requestedAt",
    "nonce",
    "digest",
    "bodyDigest",
    "requester",
    "subject",
    "email",
    "authentication",
    "facts",
    "entries",
    "live",
    "spec",
    "grant",
    "expiresAt",
    "installation",
    "schema",
    "type",
    "durationSeconds",
    "__proto__",
    "approver",
    "createdBy",
    "generation",
    "epoch",
];

pub(super) fn rows() -> Vec<Row> {
    let owned = OWNED.map(|field| (field, json!({"x": 1}), 400, "FIELD_INVALID", field));
    [
        resource_rows(),
        role_rows(),
        role_rows_further(),
        narrowing_rows(),
        duration_rows(),
        start_rows(),
        text_rows(),
        bidi_rows(),
        people_rows(),
        decision_rows(),
        spelling_rows(),
        owned.to_vec(),
    ]
    .concat()
}

fn long(length: usize) -> Value {
    json!("x".repeat(length))
}

fn role(role: &str) -> Value {
    json!([{"role": role}])
}

fn resource_rows() -> Vec<Row> {
    vec![
        ("resource", Value::Null, 400, "FIELD_REQUIRED", "resource"),
        ("resource", json!(""), 400, "FIELD_REQUIRED", "resource"),
        ("resource", json!(7), 400, "FIELD_INVALID", "resource"),
        ("resource", json!(["projects/demo-web"]), 400, "FIELD_INVALID", "resource"),
        ("resource", json!({"name": "projects/demo-web"}), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("projects/123456"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("projects/-"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("projects/../demo-web"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("projects/Demo-Web"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("projects/demo-web/"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("projects/demo-web\n"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("projects/demo-web\u{0}"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("projects/dеmo-web"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("demo-web"), 400, "FIELD_INVALID", "resource"),
        (
            "resource",
            json!("//cloudresourcemanager.googleapis.com/projects/demo-web"),
            400,
            "FIELD_INVALID",
            "resource",
        ),
        ("resource", long(10_000), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("folders/-"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("organizations/x"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("folders/2"), 403, "NOT_ELIGIBLE", "roles"),
        ("resource", json!("organizations/1"), 403, "NOT_ELIGIBLE", "roles"),
        ("resource", json!("projects/no-such-project"), 403, "RESOURCE_UNKNOWN", "resource"),
        ("resource", json!("projects/elsewhere"), 403, "OUT_OF_SCOPE", "resource"),
        ("resource", json!("projects/demo-curfew"), 403, "PROTECTED_RESOURCE", "resource"),
        ("resource", json!("projects/demo-prod"), 403, "NOT_ELIGIBLE", "roles"),
    ]
}

fn role_rows() -> Vec<Row> {
    vec![
        ("roles", Value::Null, 400, "ROLES_OUT_OF_BOUNDS", "roles"),
        ("roles", json!([]), 400, "ROLES_OUT_OF_BOUNDS", "roles"),
        ("roles", json!("roles/compute.viewer"), 400, "FIELD_INVALID", "roles"),
        ("roles", json!(["roles/compute.viewer"]), 400, "FIELD_INVALID", "roles[0]"),
        ("roles", json!([null]), 400, "FIELD_INVALID", "roles[0]"),
        ("roles", json!([{}]), 400, "FIELD_REQUIRED", "roles[0].role"),
        ("roles", json!([{"role": null}]), 400, "FIELD_REQUIRED", "roles[0].role"),
        ("roles", json!([{"role": 1}]), 400, "FIELD_INVALID", "roles[0].role"),
        (
            "roles",
            json!([{"role": "roles/compute.viewer", "entitlement": "iam-x"}]),
            400,
            "FIELD_INVALID",
            "roles[0].entitlement",
        ),
        (
            "roles",
            json!([{"role": "roles/compute.viewer", "permissionsHash": "0"}]),
            400,
            "FIELD_INVALID",
            "roles[0].permissionsHash",
        ),
        (
            "roles",
            json!([{"role": "roles/compute.viewer", "resourceCondition": 1}]),
            400,
            "FIELD_INVALID",
            "roles[0].resourceCondition",
        ),
        (
            "roles",
            json!([{"role": "roles/compute.viewer", "resourceCondition": "true"}]),
            403,
            "RESOURCE_CONDITION_NOT_OFFERED",
            "roles[0].resourceCondition",
        ),
        (
            "roles",
            json!([{"role": "roles/compute.viewer", "resourceCondition": ZONE_A}]),
            403,
            "RESOURCE_CONDITION_NOT_OFFERED",
            "roles[0].resourceCondition",
        ),
        (
            "roles",
            json!([{"role": "roles/compute.viewer", "resourceCondition": "has({}.jitAccessConstraint)"}]),
            403,
            "RESOURCE_CONDITION_NOT_OFFERED",
            "roles[0].resourceCondition",
        ),
    ]
}

fn role_rows_further() -> Vec<Row> {
    vec![
        (
            "roles",
            json!([{"role": "roles/compute.viewer", "resourceCondition": "a // "}]),
            403,
            "RESOURCE_CONDITION_NOT_OFFERED",
            "roles[0].resourceCondition",
        ),
        (
            "roles",
            json!([{"role": "roles/compute.viewer", "resourceCondition": "(".repeat(1_000)}]),
            403,
            "RESOURCE_CONDITION_NOT_OFFERED",
            "roles[0].resourceCondition",
        ),
        (
            "roles",
            json!([{"role": "roles/compute.viewer"}, {"role": "roles/compute.viewer"}]),
            400,
            "ROLES_OUT_OF_BOUNDS",
            "roles",
        ),
        (
            "roles",
            Value::Array(vec![json!({"role": "roles/compute.viewer"}); 4]),
            400,
            "ROLES_OUT_OF_BOUNDS",
            "roles",
        ),
        ("roles", role("roles/owner"), 400, "FIELD_INVALID", "roles[0].role"),
        ("roles", role("roles/editor"), 400, "FIELD_INVALID", "roles[0].role"),
        ("roles", role("roles/ Owner"), 400, "FIELD_INVALID", "roles[0].role"),
        ("roles", role("roles/compute.*"), 400, "FIELD_INVALID", "roles[0].role"),
        ("roles", role("ROLES/compute.viewer"), 400, "FIELD_INVALID", "roles[0].role"),
        (
            "roles",
            role("organizations/../roles/compute.viewer"),
            400,
            "FIELD_INVALID",
            "roles[0].role",
        ),
        (
            "roles",
            role(&format!("roles/{}", "x".repeat(1_000))),
            400,
            "FIELD_INVALID",
            "roles[0].role",
        ),
        ("roles", role("rolеs/compute.viewer"), 400, "FIELD_INVALID", "roles[0].role"),
        ("roles", role("roles/compute.viewer\u{200b}"), 400, "FIELD_INVALID", "roles[0].role"),
        ("roles", role("roles/resourcemanager.projectIamAdmin"), 403, "NOT_ELIGIBLE", "roles"),
        ("roles", role("projects/demo-web/roles/mine"), 403, "NOT_ELIGIBLE", "roles"),
        ("roles", role("roles/logging.admin"), 403, "NOT_ELIGIBLE", "roles"),
    ]
}

fn narrowing_rows() -> Vec<Row> {
    vec![
        ("resourceNames", json!("projects/x"), 400, "FIELD_INVALID", "resourceNames"),
        ("resourceNames", json!([1]), 400, "FIELD_INVALID", "resourceNames[0]"),
        ("resourceNames", json!([""]), 400, "FIELD_INVALID", "resourceNames[0]"),
        (
            "resourceNames",
            json!(["a", "b\") || true || (\"\" == \""]),
            400,
            "FIELD_INVALID",
            "resourceNames[1]",
        ),
        ("resourceNames", json!(["a/../b"]), 400, "FIELD_INVALID", "resourceNames[0]"),
        ("resourceNames", json!(["a*"]), 400, "FIELD_INVALID", "resourceNames[0]"),
        ("resourceNames", json!([null]), 400, "FIELD_INVALID", "resourceNames[0]"),
        ("resourceNames", json!(["x".repeat(10_000)]), 400, "FIELD_INVALID", "resourceNames[0]"),
        ("resourceNames", json!(["projects/dеmo-web"]), 400, "FIELD_INVALID", "resourceNames[0]"),
        ("resourceNames", json!(["a", "zones/ａ"]), 400, "FIELD_INVALID", "resourceNames[1]"),
        ("resourceNames", json!(["a\u{202e}b"]), 400, "FIELD_INVALID", "resourceNames[0]"),
        (
            "resourceNames",
            json!(["a", "b", "c", "d"]),
            400,
            "RESOURCE_NAMES_NOT_ALLOWED",
            "resourceNames",
        ),
    ]
}

fn duration_rows() -> Vec<Row> {
    vec![
        ("duration", json!(3_600), 400, "FIELD_INVALID", "duration"),
        ("duration", json!(1e308), 400, "FIELD_INVALID", "duration"),
        ("duration", json!(""), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("-1s"), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("1h30"), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("PT1H"), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("NaN"), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("1ms"), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("9223372036854775808s"), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("１h"), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("1h٣0m"), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("60ѕ"), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("60s\u{200b}"), 400, "FIELD_INVALID", "duration"),
        ("duration", long(10_000), 400, "FIELD_INVALID", "duration"),
        ("duration", json!(["60s"]), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("0s"), 400, "DURATION_OUT_OF_BOUNDS", "duration"),
        ("duration", json!("59s"), 400, "DURATION_OUT_OF_BOUNDS", "duration"),
        ("duration", json!("7201s"), 400, "DURATION_OUT_OF_BOUNDS", "duration"),
        ("duration", json!("2147483647s"), 400, "DURATION_OUT_OF_BOUNDS", "duration"),
    ]
}

fn start_rows() -> Vec<Row> {
    vec![
        ("startAt", json!("tomorrow"), 400, "FIELD_INVALID", "startAt"),
        ("startAt", json!(1_800_000_000), 400, "FIELD_INVALID", "startAt"),
        ("startAt", json!("２027-01-15T09:00:00Z"), 400, "FIELD_INVALID", "startAt"),
        ("startAt", json!("2027-01-15T09:00:00Ζ"), 400, "FIELD_INVALID", "startAt"),
        ("startAt", json!("2027-01-15Т09:00:00Z"), 400, "FIELD_INVALID", "startAt"),
        ("startAt", json!(""), 400, "FIELD_INVALID", "startAt"),
        ("startAt", long(10_000), 400, "FIELD_INVALID", "startAt"),
        ("startAt", json!({"seconds": 1}), 400, "FIELD_INVALID", "startAt"),
        ("startAt", json!("2027-01-15T07:59:59Z"), 400, "START_OUT_OF_BOUNDS", "startAt"),
        ("startAt", json!("0001-01-01T00:00:00Z"), 400, "START_OUT_OF_BOUNDS", "startAt"),
        ("startAt", json!("9999-12-31T23:59:59Z"), 400, "START_OUT_OF_BOUNDS", "startAt"),
    ]
}

fn text_rows() -> Vec<Row> {
    vec![
        ("justification", Value::Null, 400, "FIELD_REQUIRED", "justification"),
        ("justification", json!(""), 400, "FIELD_REQUIRED", "justification"),
        ("justification", json!(" \n\t"), 400, "FIELD_REQUIRED", "justification"),
        ("justification", json!(["why"]), 400, "FIELD_INVALID", "justification"),
        ("justification", json!("a\u{0}b"), 400, "FIELD_INVALID", "justification"),
        ("justification", json!("a\rb"), 400, "FIELD_INVALID", "justification"),
        ("justification", json!("\u{1b}[2J"), 400, "FIELD_INVALID", "justification"),
        ("justification", long(1_001), 400, "FIELD_INVALID", "justification"),
        ("ticket", json!(1), 400, "FIELD_INVALID", "ticket"),
        ("ticket", json!(""), 400, "FIELD_INVALID", "ticket"),
        ("ticket", json!("a\nb"), 400, "FIELD_INVALID", "ticket"),
        ("ticket", long(101), 400, "FIELD_INVALID", "ticket"),
    ]
}

/// Every character that Unicode lists as `Bidi_Control` (<https://www.unicode.org/reports/tr9/>).
const BIDI_CONTROLS: [char; 12] = [
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}',
    '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
];

fn bidi_rows() -> Vec<Row> {
    let row = |field, control| {
        (field, json!(format!("BUG-1 {control}evil")), 400, "FIELD_INVALID", field)
    };
    let rows = ["justification", "ticket"].map(|field| BIDI_CONTROLS.map(|one| row(field, one)));
    rows.concat()
}

fn people_rows() -> Vec<Row> {
    vec![
        ("principal", json!(7), 400, "FIELD_INVALID", "principal"),
        ("principal", json!(["user:alice@example.com"]), 400, "FIELD_INVALID", "principal"),
        ("principal", long(10_000), 400, "FIELD_INVALID", "principal"),
        (
            "principal",
            json!(format!("user:{}@example.com", "x".repeat(1_000))),
            400,
            "FIELD_INVALID",
            "principal",
        ),
        ("principal", json!("user:аlice@example.com"), 400, "FIELD_INVALID", "principal"),
        ("principal", json!(""), 400, "FIELD_INVALID", "principal"),
        ("principal", json!("alice@example.com"), 400, "FIELD_INVALID", "principal"),
        ("principal", json!("allUsers"), 400, "FIELD_INVALID", "principal"),
        ("principal", json!("domain:example.com"), 400, "FIELD_INVALID", "principal"),
        ("principal", json!("group:devs@example.com"), 400, "FIELD_INVALID", "principal"),
        (
            "principal",
            json!("user:alice@example.com,user:bob@example.com"),
            400,
            "FIELD_INVALID",
            "principal",
        ),
        (
            "principal",
            json!("principalSet://iam.googleapis.com/x"),
            400,
            "FIELD_INVALID",
            "principal",
        ),
        ("principal", json!("user:bob@example.com"), 403, "RECEIVER_NOT_ALLOWED", "principal"),
        (
            "principal",
            json!("serviceAccount:d@demo-web.iam.gserviceaccount.com"),
            403,
            "RECEIVER_NOT_ALLOWED",
            "principal",
        ),
    ]
}

fn decision_rows() -> Vec<Row> {
    vec![
        (
            "chosenApprovers",
            json!(["bob@example.com"]),
            400,
            "APPROVERS_NOT_ALLOWED",
            "chosenApprovers",
        ),
        (
            "chosenApprovers",
            json!(["bob@example.com", "nobody"]),
            400,
            "FIELD_INVALID",
            "chosenApprovers[1]",
        ),
        (
            "chosenApprovers",
            json!(["alice@example.com"]),
            400,
            "APPROVERS_NOT_ALLOWED",
            "chosenApprovers",
        ),
        (
            "chosenApprovers",
            json!(vec!["b@x.io"; 11]),
            400,
            "APPROVERS_NOT_ALLOWED",
            "chosenApprovers",
        ),
        ("chosenApprovers", json!("bob@example.com"), 400, "FIELD_INVALID", "chosenApprovers"),
        ("breakGlass", json!(true), 400, "BREAK_GLASS_NOT_OFFERED", "breakGlass"),
        ("breakGlass", json!("true"), 400, "FIELD_INVALID", "breakGlass"),
        ("breakGlass", json!(""), 400, "FIELD_INVALID", "breakGlass"),
        ("breakGlass", json!(0), 400, "FIELD_INVALID", "breakGlass"),
        ("breakGlass", json!(1), 400, "FIELD_INVALID", "breakGlass"),
        ("breakGlass", json!([]), 400, "FIELD_INVALID", "breakGlass"),
        ("breakGlass", json!({}), 400, "FIELD_INVALID", "breakGlass"),
    ]
}

fn spelling_rows() -> Vec<Row> {
    vec![
        ("start_at", json!("2027-01-15T09:00:00Z"), 400, "FIELD_INVALID", "start_at"),
        ("Resource", json!("projects/demo-web"), 400, "FIELD_INVALID", "Resource"),
        ("", json!("x"), 400, "FIELD_INVALID", "\"\""),
        ("", Value::Null, 400, "FIELD_INVALID", "\"\""),
        ("approvedBy", Value::Null, 400, "FIELD_INVALID", "approvedBy"),
        (
            "roles",
            json!([{"role": "roles/compute.viewer", "": 1}]),
            400,
            "FIELD_INVALID",
            "roles[0].\"\"",
        ),
    ]
}
