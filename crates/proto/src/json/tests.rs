use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::v1;
use crate::walk::salvage_dynamic;
use crate::walk::tests::{any_message, any_of};

#[test]
fn a_body_is_read() {
    let body = br#"{
        "resource": "projects/demo-web", "roles": [{"role": "roles/compute.viewer"}], "duration": "1h30m",
        "startAt": "2026-01-31T10:00:00.5+01:00", "justification": "BUG-1 \ud83d\ude92", "breakGlass": false, "ticket": null
    }"#;
    let read: v1::CreateRequestBody = from_json(body).unwrap();
    assert_eq!(
        read,
        v1::CreateRequestBody {
            resource: "projects/demo-web".into(),
            roles: vec![v1::RoleBody {
                role: "roles/compute.viewer".into(),
                resource_condition: None
            }],
            duration: Some("1h30m".into()),
            start_at: Some(prost_types::Timestamp { seconds: 1_769_850_000, nanos: 500_000_000 }),
            justification: "BUG-1 🚒".into(),
            ..v1::CreateRequestBody::default()
        }
    );
}

#[test]
fn an_error_names_its_field_and_what_is_wrong() {
    for (body, field, message) in [
        (r#"{"resource": 1}"#, "resource", "must be a string"),
        (r#"{"resource": ["a"]}"#, "resource", "must be a string"),
        (r#"{"roles": {}}"#, "roles", "must be a list"),
        (r#"{"roles": [null]}"#, "roles[0]", "must be an object"),
        (r#"{"roles": [{}, {"role": false}]}"#, "roles[1].role", "must be a string"),
        (r#"{"resourceNames": ["a", 1]}"#, "resourceNames[1]", "must be a string"),
        (r#"{"breakGlass": "true"}"#, "breakGlass", "must be true or false"),
        (r#"{"breakGlass": 1}"#, "breakGlass", "must be true or false"),
        (r#"{"startAt": 5}"#, "startAt", "RFC 3339"),
        (r#"{"startAt": "2026-01-31"}"#, "startAt", "RFC 3339"),
        (r#"{"startAt": "2026-01-31 10:00:00Z"}"#, "startAt", "RFC 3339"),
        (r#"{"startAt": "2026-02-30T10:00:00Z"}"#, "startAt", "RFC 3339"),
        (r#"{"startAt": "2026-06-30T23:59:60Z"}"#, "startAt", "no leap second"),
        (r#"{"startAt": "0000-06-30T23:59:59Z"}"#, "startAt", "between the years 1 and 9999"),
        (r#"{"startAt": {"seconds": 1}}"#, "startAt", "RFC 3339"),
        (r#"{"resource_names": []}"#, "resource_names", "is not a known field"),
        (r#"{"Resource": "a"}"#, "Resource", "is not a known field"),
        (r#"{"roles": [{"role": "a", "x.y": 1}]}"#, "roles[0].x.y", "is not a known field"),
        (r#"{"": 1}"#, "\"\"", "is not a known field"),
        (r#"{"": 1, "": 2}"#, "\"\"", "occurs twice"),
        (r#"{"roles": [{"": 1}]}"#, "roles[0].\"\"", "is not a known field"),
        (r#"{"unknown": null}"#, "unknown", "is not a known field"),
        (r#"{"resource": "a", "resource": "a"}"#, "resource", "occurs twice"),
        (r#"{"roles": [{"role": "a", "role": "b"}]}"#, "roles[0].role", "occurs twice"),
        (r#"{"resource": NaN}"#, "resource", "expected value"),
        (r#"{"resource": 1e999}"#, "resource", "number out of range"),
        (r#"{"resource": "\ud800"}"#, "resource", "hex escape"),
        (r#"{"resource": "a""#, "", "EOF"),
        (r#"{"resource": "a"} {}"#, "", "trailing characters"),
        (r#"{"resource": "a",}"#, "", "trailing comma"),
        ("\u{feff}{}", "", "expected value"),
        ("", "", "EOF"),
        ("[]", "", "must be an object"),
        ("null", "", "must be an object"),
        ("\"resource\"", "", "must be an object"),
    ] {
        let error = from_json::<v1::CreateRequestBody>(body.as_bytes()).unwrap_err();
        assert_eq!(error.field, field, "{body} {error}");
        assert!(error.message.contains(message), "{body} {error}");
    }
}

#[test]
fn null_says_of_every_field_that_it_is_left_out() {
    let names = v1::CreateRequestBody::default().descriptor();
    let nulls: Vec<String> =
        names.fields().map(|field| format!("{:?}: null", field.json_name())).collect();
    assert_eq!(nulls.len(), 10);
    let body = format!("{{{}}}", nulls.join(", "));
    let read: v1::CreateRequestBody = from_json(body.as_bytes()).unwrap();
    assert_eq!(read, v1::CreateRequestBody::default());
    let read: v1::RoleBody = from_json(br#"{"role": null, "resourceCondition": null}"#).unwrap();
    assert_eq!(read, v1::RoleBody::default());
}

#[test]
fn a_number_that_does_not_fit_is_refused() {
    for (number, message) in [
        ("2147483648", "between -2147483648 and 2147483647"),
        ("-2147483649", "between -2147483648 and 2147483647"),
        ("18446744073709551616", "must be an integer"),
        ("1.0", "must be an integer"),
        ("1e2", "must be an integer"),
        ("-0", "must be an integer"),
        ("\"1\"", "must be an integer"),
    ] {
        let error =
            from_json::<v1::ErrorBody>(format!(r#"{{"code": {number}}}"#).as_bytes()).unwrap_err();
        assert_eq!(error.field, "code");
        assert!(error.message.contains(message), "{number} {error}");
    }
    let error = from_json::<v1::Approvals>(br#"{"required": -1}"#).unwrap_err();
    assert!(error.message.contains("between 0 and 4294967295"), "{error}");
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(nested(NESTING_MAX).as_bytes()).is_ok());
    let error = parse(nested(NESTING_MAX + 1).as_bytes()).unwrap_err();
    assert!(error.message.contains("nests deeper"), "{error}");
    assert!(parse(nested(1_000_000).as_bytes()).is_err());
    let objects = format!("{}1{}", "{\"a\":".repeat(NESTING_MAX + 1), "}".repeat(NESTING_MAX + 1));
    assert!(parse(objects.as_bytes()).unwrap_err().message.contains("nests deeper"));
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let error = from_json::<v1::ReasonBody>(b"{\"reason\": \"\xff\"}").unwrap_err();
    assert_eq!(error.field, "reason");
    assert!(error.message.contains("unicode"), "{error}");
}

#[test]
fn enums_are_their_names() {
    let read: v1::Entry = from_json(br#"{"type": "CLOSE_REVIEW", "verdict": "DENY"}"#).unwrap();
    assert_eq!(read.r#type(), v1::entry::Type::CloseReview);
    assert_eq!(read.verdict(), v1::entry::Verdict::Deny);
    for body in [r#"{"type": "closeReview"}"#, r#"{"type": "APPROVE"}"#] {
        let error = from_json::<v1::Entry>(body.as_bytes()).unwrap_err();
        assert_eq!(error, FieldError::new("type", "is not one of the known names"));
    }
    assert!(from_json::<v1::Entry>(br#"{"type": 1}"#).is_err());
}

#[test]
fn durations_are_whole_seconds_with_an_s() {
    let read: v1::Entitlement = from_json(br#"{"maxDuration": "7200s"}"#).unwrap();
    assert_eq!(read.max_duration, Some(prost_types::Duration { seconds: 7_200, nanos: 0 }));
    for text in ["7200", "1.5s", "s", "07s", "+1s", "1h", "315576000001s", "99999999999999999999s"]
    {
        let body = json!({"maxDuration": text}).to_string();
        assert!(from_json::<v1::Entitlement>(body.as_bytes()).is_err(), "{text:?}");
    }
}

#[test]
fn a_reply_has_every_field_but_optional_ones_that_are_unset() {
    let request = v1::AccessRequest {
        name: "requests/0123456789abcdefghjkmnpqrs".into(),
        entries: vec![v1::Entry {
            nonce: "0123456789abcdefghjkmnpqrs".into(),
            r#type: Some(v1::entry::Type::Withdraw.into()),
            reason: Some(String::new()),
            ..v1::Entry::default()
        }],
        status: Some(v1::AccessRequestStatus {
            phase: v1::Phase::AwaitingApproval.into(),
            decide_by: Some(prost_types::Timestamp { seconds: 1_769_850_000, nanos: 120_000_000 }),
            approvals: Some(v1::Approvals { required: 1, ..v1::Approvals::default() }),
            ..v1::AccessRequestStatus::default()
        }),
        ..v1::AccessRequest::default()
    };
    assert_eq!(
        to_json(&request),
        json!({
            "name": "requests/0123456789abcdefghjkmnpqrs",
            "entries": [{"nonce": "0123456789abcdefghjkmnpqrs", "type": "WITHDRAW", "counted": false, "reason": ""}],
            "status": {
                "phase": "AWAITING_APPROVAL",
                "conditions": [],
                "decideBy": "2026-01-31T09:00:00.120Z",
                "approvals": {"required": 1, "given": 0, "by": [], "waitingFor": []},
            },
        })
    );
}

proptest! {
    #[test]
    fn every_message_survives_its_text(message in any_message(1)) {
        let text = crate::walk::write::<Value>(&message).to_string();
        let (read, errors) = salvage_dynamic(&message.descriptor(), &parse(text.as_bytes()).unwrap());
        prop_assert_eq!(errors, vec![]);
        prop_assert!(read == message, "{text}");
    }

    #[test]
    fn a_generated_message_survives_its_text(request in any_of::<v1::AccessRequest>(1)) {
        let text = to_json(&request).to_string();
        prop_assert_eq!(from_json::<v1::AccessRequest>(text.as_bytes()).unwrap(), request);
    }

    #[test]
    fn what_serde_json_reads_without_duplicates_is_read_alike(body in any_of::<v1::CreateRequestBody>(1)) {
        let text = to_json(&body).to_string();
        prop_assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
    }

    #[test]
    fn no_bytes_panic(
        request in any_of::<v1::CreateRequestBody>(1),
        cuts in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = to_json(&request).to_string().into_bytes();
        for (at, byte) in cuts {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(read) = from_json::<v1::CreateRequestBody>(&bytes) {
            let again = to_json(&read).to_string();
            prop_assert_eq!(from_json::<v1::CreateRequestBody>(again.as_bytes()).unwrap(), read);
        }
    }
}
