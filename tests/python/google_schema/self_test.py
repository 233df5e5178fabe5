"""The judge's own tests: what is right passes, and each way to be wrong is found where it is."""

import json
import pathlib
import tempfile
import unittest

from google_schema import documents, errors, own_calls, values
from google_schema.judge import Judge, answer_violations, request_violations
from urllib.parse import urlsplit

METHODS = documents.load()

POLICY = {
    "version": 3,
    "etag": "BwWKmjvelug=",
    "bindings": [{"role": "roles/viewer", "members": ["user:a@example.com"], "condition": {"expression": "true"}}],
    "auditConfigs": [{"service": "allServices", "auditLogConfigs": [{"logType": "DATA_READ"}]}],
}
SET = ("POST", "/v3/projects/p:setIamPolicy", {"policy": POLICY, "updateMask": "bindings,etag"})
DENIED = {
    "code": 403,
    "message": "no",
    "status": "PERMISSION_DENIED",
    "details": [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "IAM_PERMISSION_DENIED",
            "domain": "cloudresourcemanager.googleapis.com",
            "metadata": {"permission": "a.b.get"},
        }
    ],
}


def request(verb, target, body=None):
    path = urlsplit(target)
    method = documents.find(METHODS, verb, path.path)
    return list(request_violations(method, path, "" if body is None else json.dumps(body)))


def answer(verb, target, value):
    return list(answer_violations(documents.find(METHODS, verb, target), json.dumps(value)))


def changed(value, at, new):
    """A copy with something else, or nothing if `new` is None, at the path."""
    copy = json.loads(json.dumps(value))
    place = copy
    for step in at[:-1]:
        place = place[step]
    if new is None:
        del place[at[-1]]
    else:
        place[at[-1]] = new
    return copy


def call(verb="GET", target="/v3/projects/p", body="", status=200, answer=None, agent="curfew/1"):
    answer = {"name": "projects/1"} if answer is None else answer
    return dict(agent=agent, method=verb, target=target, body=body, status=status, answer=json.dumps(answer))


class Requests(unittest.TestCase):
    def test_right_requests_pass(self):
        self.assertEqual(request(*SET), [])
        self.assertEqual(request("GET", "/v3/projects:search?query=state:ACTIVE&pageSize=500&alt=json"), [])
        names = "names=//a/projects/p&names=//a/projects/q"
        self.assertEqual(request("GET", f"/v1/organizations/1/effectiveIamPolicies:batchGet?{names}"), [])
        self.assertEqual(request("GET", "/v1/groups:lookup?groupKey.id=a%40example.com"), [])
        self.assertEqual(request("GET", "/v1/organizations/1:analyzeIamPolicy"), [])
        self.assertEqual(request("PUT", "/v1/projects/p/topics/t", {}), [])

    def test_each_wrong_field_is_found_at_its_path(self):
        for at, new, found in [
            (["policy", "binding"], [], "body.policy.binding: no such field"),
            (["policy", "bindings", 0, "rol"], "x", "body.policy.bindings[0].rol: no such field"),
            (["policy", "bindings"], {}, "body.policy.bindings: {} is no array"),
            (["policy", "version"], "3", "body.policy.version: '3' is no int32"),
            (["policy", "version"], True, "body.policy.version: True is no int32"),
            (["policy", "version"], 2**31, "body.policy.version: 2147483648 is no int32"),
            (["policy", "etag"], "BwWKmjvelug", "body.policy.etag: 'BwWKmjvelug' is no base64"),
            (["policy", "etag"], 7, "body.policy.etag: 7 is no string (byte)"),
            (["policy", "bindings", 0, "members"], "a", "body.policy.bindings[0].members: 'a' is no array"),
            (["policy", "bindings", 0, "members"], [1], "body.policy.bindings[0].members[0]: 1 is no string"),
            (["policy", "bindings", 0, "condition"], "x", "body.policy.bindings[0].condition: 'x' is no object"),
            (["updateMask"], "audit_configs", "body.updateMask: 'audit_configs' is no google-fieldmask"),
            (["update_mask"], "bindings", "body.update_mask: no such field"),
            (["policy"], None, "body.policy: is required"),
        ]:
            with self.subTest(found):
                self.assertEqual(request(*SET[:2], changed(SET[2], at, new)), [found])
        log_type = ["policy", "auditConfigs", 0, "auditLogConfigs", 0, "logType"]
        [found] = request(*SET[:2], changed(SET[2], log_type, "WRITE"))
        self.assertIn("'WRITE' is none of LOG_TYPE_UNSPECIFIED, ADMIN_READ", found)

    def test_each_wrong_parameter_is_found(self):
        for verb, target, found in [
            ("GET", "/v3/projects:search?pagesize=5", "query.pagesize: no such parameter"),
            ("GET", "/v3/projects:search?pageSize=many", "query.pageSize: 'many' is no integer"),
            ("GET", "/v3/projects:search?pageSize=5&pageSize=6", "query.pageSize: sent 2 times"),
            ("GET", "/v1/organizations/1/effectiveIamPolicies:batchGet", "query.names: is required"),
            (
                "GET",
                "/v1/organizations/1:analyzeIamPolicy?analysisQuery.resourceSelector=x",
                "query.analysisQuery.resourceSelector: no such parameter",
            ),
            (
                "GET",
                "/v1/projects/p:analyzeIamPolicy?analysisQuery.conditionContext.accessTime=now",
                "query.analysisQuery.conditionContext.accessTime: 'now' is no google-datetime",
            ),
            ("GET", "/v1/roles?showDeleted=yes", "query.showDeleted: 'yes' is no boolean"),
            ("GET", "/v1/roles?view=ALL", "query.view: 'ALL' is none of BASIC, FULL"),
            ("GET", "/admin/directory/v1/groups?maxResults=0", "query.maxResults: '0' is not within 1 and"),
        ]:
            with self.subTest(target):
                [first, *more] = request(verb, target)
                self.assertEqual((first[: len(found)], more), (found, []))

    def test_a_body_where_none_may_be_and_a_body_that_is_no_json_are_found(self):
        self.assertEqual(request("GET", "/v3/projects/p", {}), ["body: '{}', where none may be"])
        method = documents.find(METHODS, *SET[:2])
        for text in ("{", '{"a": NaN}', '{"policy": {}, "policy": {}}'):
            [found] = request_violations(method, urlsplit(SET[1]), text)
            self.assertIn("body: no JSON", found)


class Answers(unittest.TestCase):
    def test_right_answers_pass(self):
        self.assertEqual(answer(*SET[:2], POLICY), [])
        project = {"name": "projects/1", "state": "ACTIVE", "createTime": "2026-01-01T00:00:00Z", "labels": {"a": "b"}}
        self.assertEqual(answer("GET", "/v3/projects/p", project), [])

    def test_each_wrong_answer_is_found_at_its_path(self):
        for target, value, found in [
            ("/v3/projects/p", {"projectid": "p"}, "answer.projectid: no such field"),
            ("/v3/projects/p", {"labels": {"a": 1}}, "answer.labels.a: 1 is no string"),
            ("/v3/projects/p", {"createTime": "2026-01-01"}, "answer.createTime: '2026-01-01' is no google-datetime"),
            ("/v3/projects/p", {"name": None}, "answer.name: None is no string"),
            ("/v3/projects/p", [], "answer: [] is no object"),
            ("/v1/projects/p", {"projectNumber": 7}, "answer.projectNumber: 7 is no string (int64)"),
            ("/v1/projects/p", {"projectNumber": "07"}, "answer.projectNumber: '07' is no int64"),
            ("/v1/projects/p", {"projectNumber": str(2**63)}, f"answer.projectNumber: '{2**63}' is no int64"),
        ]:
            with self.subTest(found):
                self.assertEqual(answer("GET", target, value), [found])
        [found] = answer("GET", "/v3/projects/p", {"state": "GONE"})
        self.assertIn("answer.state: 'GONE' is none of STATE_UNSPECIFIED, ACTIVE", found)

    def test_formats_are_those_of_protobufs_json(self):
        for form, right, wrong in [
            ("google-datetime", ["2026-02-28T23:59:60Z", "2026-01-01T00:00:00.5Z"], ["2026-01-01T00:00:00+01:00", "2026-13-01T00:00:00Z"]),
            ("google-duration", ["3600s", "1.5s"], ["1h", "60"]),
            ("uint64", ["0", "18446744073709551615"], ["-1", "1.0"]),
            ("byte", ["", "+/8="], ["-_8=", "+/8", "+/9="]),
        ]:
            schema = {"type": "string", "format": form}
            for text in right:
                self.assertEqual(list(values.violations(text, schema, {}, "x")), [], text)
            for text in wrong:
                self.assertEqual(len(list(values.violations(text, schema, {}, "x"))), 1, text)


class Errors(unittest.TestCase):
    def test_googles_own_error_passes(self):
        self.assertEqual(list(errors.violations({"error": DENIED}, 403)), [])

    def test_each_wrong_error_is_found(self):
        for at, new, found in [
            (["code"], 400, "answer.error.code: 400 on HTTP 403"),
            (["code"], "403", "answer.error.code: '403' is no int"),
            (["status"], "FORBIDDEN", "answer.error.status: 'FORBIDDEN' is no code"),
            (["status"], "NOT_FOUND", "answer.error.status: 'NOT_FOUND' is no code of google.rpc with HTTP 403"),
            (["message"], None, "answer.error.message: is missing"),
            (["reason"], "x", "answer.error.reason: no such field"),
            (["details", 0, "@type"], None, "answer.error.details[0]: "),
            (["details", 0, "@type"], "type.googleapis.com/google.rpc.Nothing", "answer.error.details[0]: "),
            (["details", 0, "why"], "x", "answer.error.details[0]: "),
            (["details", 0, "reason"], "denied", "answer.error.details[0].reason: 'denied'"),
            (["details", 0, "domain"], None, "answer.error.details[0].domain: is missing"),
        ]:
            with self.subTest(found):
                first = next(iter(errors.violations({"error": changed(DENIED, at, new)}, 403)), "nothing")
                self.assertTrue(first.startswith(found), first)
        self.assertEqual(len(list(errors.violations({"message": "no"}, 403))), 1)


class Verdicts(unittest.TestCase):
    def test_what_was_judged_is_counted(self):
        judge = Judge(METHODS)
        judge.call(call())
        judge.call(call(agent="python/3"))
        judge.call(call(status=403, answer={"error": DENIED}))
        count = judge.counts["cloudresourcemanager.v3 projects.get"]
        self.assertEqual((count.own_requests, count.other_requests, count.answers, count.errors), (2, 1, 2, 1))
        self.assertFalse(judge.violations)

    def test_others_may_be_refused_for_what_is_wrong_and_we_may_not(self):
        refused = {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}
        for agent, n_violations in [("python/3", 0), ("curfew/1", 1)]:
            judge = Judge(METHODS)
            judge.call(call(target="/v3/projects/p?x=1", agent=agent, status=400, answer=refused))
            self.assertEqual(len(judge.violations), n_violations, agent)

    def test_an_accepted_request_that_google_would_refuse_is_found_whoever_sent_it(self):
        judge = Judge(METHODS)
        judge.call(call(target="/v3/projects/p?x=1", agent="python/3"))
        judge.call(call(target="/v3/planets/p", agent="python/3"))
        self.assertEqual(
            set(judge.violations),
            {
                "cloudresourcemanager.v3 projects.get: query.x: no such parameter",
                "no method of Google: GET /v3/planets/p: is served",
            },
        )

    def test_of_googles_own_program_only_the_answers_are_judged(self):
        judge = Judge(METHODS)
        judge.call(call(target="/v1/roles?showDeleted=False", agent="google-cloud-sdk gcloud/1", answer={"role": []}))
        self.assertEqual(set(judge.violations), {"iam.v1 roles.list: answer.role: no such field"})
        self.assertEqual(judge.counts["iam.v1 roles.list"].other_requests, 0)

    def test_a_lost_answer_is_not_judged_and_its_request_is(self):
        judge = Judge(METHODS)
        judge.call({**call(target="/v3/projects/p?x=1"), "status": None, "answer": ""})
        self.assertEqual(len(judge.violations), 1)

    def test_a_method_that_nobody_saw_and_a_call_that_nobody_named_are_missing(self):
        judge = Judge(METHODS)
        self.assertEqual(list(own_calls.missing({}, set(own_calls.METHODS)))[0].split(" (")[1], "cloudasset.analyzeIamPolicy of gcp) was never seen")
        found = list(own_calls.missing({}, set(own_calls.METHODS) | {"iam.roles.undelete"}))
        self.assertIn("iam.roles.undelete is called by gcp: name its methods in own_calls.py", found)
        judge.call(call(target="/v3/folders?parent=organizations/1", answer={}))
        found = list(own_calls.missing(judge.counts, set(own_calls.METHODS)))
        self.assertIn("cloudresourcemanager.v3 folders.list is called by gcp: name it in own_calls.py", found)

    def test_calls_are_found_in_the_sources_and_not_in_tests(self):
        with tempfile.TemporaryDirectory() as folder:
            sources = pathlib.Path(folder)
            (sources / "tests").mkdir()
            (sources / "a.rs").write_text('Call::get("iam.roles.get", x) "https://iam.googleapis.com" "iam.googleapis.com"')
            (sources / "tests" / "b.rs").write_text('"iam.roles.list"')
            self.assertEqual(own_calls.names(sources), {"iam.roles.get"})


class Paths(unittest.TestCase):
    def test_the_longest_template_is_the_method(self):
        for verb, path, name in [
            ("GET", "/v3/projects:search", "cloudresourcemanager.v3 projects.search"),
            ("POST", "/v1/projects/p:getIamPolicy", "cloudresourcemanager.v1 projects.getIamPolicy"),
            ("GET", "/v1/groups/-/memberships:searchTransitiveGroups", "cloudidentity.v1 groups.memberships.searchTransitiveGroups"),
            ("GET", "/v1/roles/compute.viewer", "iam.v1 roles.get"),
            ("GET", "/admin/directory/v1/groups/a%40b/hasMember/c%40d", "admin.directory_v1 members.hasMember"),
        ]:
            self.assertEqual(documents.find(METHODS, verb, path).name, name)
        for verb, path in [("GET", "/v3/projects/p:setIamPolicy"), ("PUT", "/v3/projects/p"), ("GET", "/v9/projects/p")]:
            self.assertIsNone(documents.find(METHODS, verb, path), path)


if __name__ == "__main__":
    unittest.main()
