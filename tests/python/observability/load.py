"""A busy day of the demo within a few seconds: everything that a panel could show happens once."""

import contextlib

from google.api_core.exceptions import AlreadyExists

VIEWER = ("projects/demo-web", "roles/compute.viewer")
LOGS = ("projects/demo-web", "roles/logging.admin")
SECRETS = ("projects/demo-data", "roles/secretmanager.secretAccessor")
PEER = ("projects/demo-prod", "roles/compute.instanceAdmin.v1")

# An id of nobody's request.
NOBODY = "11111111111111111111111111"


def burden(demo):
    """Requests in every phase and outcome, refusals, failures of Google, and somebody in the store and in a policy.

    Gives the request that ends by itself, after a minute.
    """
    ends = demo.file("alice", *VIEWER)
    people(demo)
    failures_of_google(demo)
    forge(demo, NOBODY)
    stays = demo.file("bob", *VIEWER, duration="30m")
    demo.until("bob", stays, "ACTIVE")
    plant(demo, stays)
    alter(demo, demo_active(demo, "carol", LOGS))
    # The turns that take these away see what was done to the policy.
    demo.act("bob", stays, "withdraw")
    return ends


def people(demo):
    """Approved, denied, revoked, withdrawn, scheduled by nobody, refused."""
    approved, denied = demo.file("alice", *PEER), demo.file("bob", *PEER)
    for request, person, verb in ((approved, "bob", "approve"), (denied, "alice", "deny")):
        demo.until(person, request, "AWAITING_APPROVAL")
        demo.act(person, request, verb)
    demo.until("alice", approved, "ACTIVE")
    revoked, withdrawn = demo_active(demo, "bob", LOGS), demo_active(demo, "alice", SECRETS)
    demo.act("olga", revoked, "revoke")
    demo.act("alice", withdrawn, "withdraw")
    demo.until("bob", revoked, "ENDED")
    demo.until("alice", withdrawn, "ENDED")
    demo.file("alice", *PEER)
    demo.call("dave", "POST", "/v1/requests", {"resource": VIEWER[0], "roles": [{"role": VIEWER[1]}], "justification": "BUG-1"})
    demo.call("dave", "GET", f"/v1/requests/{revoked}")
    demo.call("alice", "POST", "/v1/requests", {"resource": 1})
    demo.call("erin", "GET", "/v1/requests?view=all")
    demo.call("alice", "GET", "/v1/entitlements")


def demo_active(demo, person, what):
    """A request that has its binding."""
    request = demo.file(person, *what, duration="20m")
    demo.until(person, request, "ACTIVE")
    return request


def failures_of_google(demo):
    """A lost race, a used-up quota and no service, each while somebody asks."""
    demo.cloud("PUT", "/sim/v1/faults", [
        {"method": "setIamPolicy", "kind": "ERROR", "status": 409, "count": 2},
        {"method": "setIamPolicy", "kind": "ERROR", "status": 503, "count": 1},
        {"method": "getIamPolicy", "kind": "ERROR", "status": 429, "count": 1},
    ])
    demo_active(demo, "carol", LOGS)
    demo.cloud("PUT", "/sim/v1/faults", [])


def forge(demo, request):
    """Somebody who can write the database grants themselves something, or so they think."""
    with demo.store() as store:
        document = store.collection("requests").document(request)
        document.set({"live": True, "spec": "trust me", "status": {"phase": "ACTIVE"}})
        with contextlib.suppress(AlreadyExists):
            document.create({"live": True})


def plant(demo, request):
    """Somebody gives dave lasting access in the clothes of a request."""
    def change(bindings):
        condition = {"title": f"curfew demo {request}", "description": "v1 0123456789abcdef", "expression": "request.time > timestamp(\"2026-01-01T00:00:00Z\")"}
        bindings.append({"role": VIEWER[1], "members": ["user:dave@example.com"], "condition": condition})

    demo.change_policy("projects/demo-web", change)


def alter(demo, request):
    """Somebody prolongs a binding of ours by hand."""
    def change(bindings):
        own = next(one for one in bindings if one.get("condition", {}).get("title", "").endswith(request))
        condition = own["condition"]
        own["condition"] = condition | {"expression": condition["expression"].replace("request.time < timestamp(\"2", "request.time < timestamp(\"3")}

    demo.change_policy("projects/demo-web", change)
