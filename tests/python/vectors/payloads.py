"""`payloads.json`, `rejected.json` and `facts.json`: a strict reader of what is signed and macced.

Written from the comments of `payload.proto`: a payload is exactly the RFC 8785 text of its fields, each in its form, none
missing, none more.
"""

import datetime
import re

import rfc8785

from .forms import HEX, ID, TIME, parse, sha256

MALFORMED = "MALFORMED"
UNSUPPORTED_VERSION = "UNSUPPORTED_VERSION"
OTHER_TYPE = "OTHER_TYPE"

BYTES_MAX = 256 * 1024
INT32_MAX = 2**31 - 1

INSTALLATION = re.compile(r"[a-z][a-z0-9-]{0,30}")
EMAIL = re.compile(r"[a-z0-9._%+'-]+@[a-z0-9-]+(\.[a-z0-9-]+)+")
SUBJECT = re.compile(r"[!-~]{1,255}")
RESOURCE = re.compile(r"projects/([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]|(folders|organizations)/[1-9][0-9]*")
ROLE = re.compile(r"((projects/[^/]+|organizations/[0-9]+)/)?roles/[A-Za-z0-9._]+")
BASIC_ROLES = {"roles/owner", "roles/editor", "roles/viewer"}
SERVICE_ACCOUNT = ".gserviceaccount.com"


class Malformed(Exception):
    """What breaks a form."""


def text(value):
    if not isinstance(value, str):
        raise Malformed(f"{value!r} is no text")
    return value


def boolean(value):
    if not isinstance(value, bool):
        raise Malformed(f"{value!r} is neither true nor false")


def integer(least):
    def read(value):
        if type(value) is not int or not least <= value <= INT32_MAX:
            raise Malformed(f"{value!r} is no integer from {least} to {INT32_MAX}")

    return read


def form(pattern):
    def read(value):
        if not pattern.fullmatch(text(value)):
            raise Malformed(f"{value!r} has not the form {pattern.pattern}")

    return read


def one_of(*known):
    def read(value):
        if text(value) not in known:
            raise Malformed(f"{value!r} is none of {known}")

    return read


def each(read):
    def read_all(values):
        if not isinstance(values, list):
            raise Malformed(f"{values!r} is no list")
        for value in values:
            read(value)

    return read_all


def time(value):
    form(TIME)(value)
    try:
        datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError as error:
        raise Malformed(str(error)) from error


def role(value):
    form(ROLE)(value)
    if value in BASIC_ROLES:
        raise Malformed(f"{value} is a basic role")


def principal(value):
    kind, _, address = text(value).partition(":")
    form(EMAIL)(address)
    expected = "serviceAccount" if address.endswith(SERVICE_ACCOUNT) else "user"
    if kind != expected:
        raise Malformed(f"{value} is no {expected}")


def ticket(value):
    if len(text(value)) > 100:
        raise Malformed("the ticket has more than 100 characters")


def record(required, optional=None):
    """An object with these fields, and perhaps those."""
    optional = optional or {}

    def read(value):
        if not isinstance(value, dict):
            raise Malformed(f"{value!r} is no object")
        if missing := required.keys() - value.keys():
            raise Malformed(f"without {missing}")
        for name, field in value.items():
            if name not in required and name not in optional:
                raise Malformed(f"{name} is no field")
            (required.get(name) or optional[name])(field)

    return read


digest = form(HEX)
identifier = form(ID)
email = form(EMAIL)
resource = form(RESOURCE)
person = record({"subject": form(SUBJECT), "email": email})
authentication = record(
    {"accessLevels": each(text)},
    {"assertionDigest": digest, "hostedDomain": text, "deviceId": text, "issuedAt": time},
)
common = {
    "type": text,
    "schema": integer(1),
    "installation": form(INSTALLATION),
    "requestId": identifier,
    "nonce": identifier,
    "authentication": authentication,
}
requested_role = record({"role": role, "resourceCondition": text, "entitlement": text, "permissionsHash": digest})

SPEC = record(
    common
    | {
        "requester": person,
        "principal": principal,
        "resource": resource,
        "roles": each(requested_role),
        "resourceNames": each(text),
        "durationSeconds": integer(1),
        "justification": text,
        "chosenApprovers": each(email),
        "breakGlass": boolean,
        "requestedAt": time,
        "bodyDigest": digest,
    },
    {"startAt": time, "ticket": ticket},
)

act = common | {"actor": person, "at": time}
ENTRIES = {
    "DECISION": record(act | {"verdict": one_of("APPROVE", "DENY"), "comment": text, "target": digest}),
    "WITHDRAW": record(act | {"reason": text}),
    "REVOKE": record(act | {"reason": text}),
    "EXTEND": record(act | {"durationSeconds": integer(1), "justification": text}),
    "CLOSE_REVIEW": record(act | {"findings": text}),
}
ENTRY_TYPES = set(ENTRIES)

counted = record({"nonce": identifier, "act": one_of(*ENTRIES), "by": text})
not_counted = record({"nonce": identifier, "whyNot": text})


def seen(value):
    (not_counted if isinstance(value, dict) and "whyNot" in value else counted)(value)


owned = record({"role": role, "member": principal, "title": text, "description": text, "expression": text})
FACTS = {
    "SEEN": seen,
    "ELIGIBLE": record({"decideBy": time, "stepsRequired": integer(0), "restsOn": each(text)}),
    "APPROVAL": record({"target": digest, "nonces": each(identifier)}),
    "GRANT": record(
        {
            "resource": resource,
            "bindings": each(record({"live": owned, "dead": owned})),
            "startsAt": time,
            "expiresAt": time,
            "activateBy": time,
            "restsOn": each(text),
        }
    ),
    "BOUND": record({"expiresAt": time}),
    "DRIFT": record({"kind": one_of("MISSING", "ALTERED")}),
    "OUTCOME": record(
        {
            "reason": one_of(
                "INVALID",
                "REVOKED",
                "WITHDRAWN",
                "DENIED",
                "INELIGIBLE",
                "NO_LONGER_ELIGIBLE",
                "EXTERNALLY_REMOVED",
                "TAMPERED",
                "DURATION_ELAPSED",
                "APPROVAL_TIMED_OUT",
                "ACTIVATION_FAILED",
            ),
            "message": text,
        },
        {"by": text},
    ),
    "ENDED": record({"how": one_of("NEVER_GRANTED", "ANSWERED", "SEEN_GONE", "EXPIRED_UNREADABLE")}),
}
FACT_KINDS = set(FACTS)


def opened(payload):
    """The value of a text that is the canonical one of what it says, and nothing twice in it."""
    if len(payload.encode()) > BYTES_MAX:
        raise Malformed(f"longer than {BYTES_MAX} bytes")
    try:
        value = parse(payload)
    except ValueError as error:
        raise Malformed(str(error)) from error
    if not isinstance(value, dict):
        raise Malformed("no object")
    return value


def same_text(payload, value):
    try:
        written = rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise Malformed(str(error)) from error
    if written != payload.encode():
        raise Malformed("not the canonical text of what it says")


def judge(payload, wanted):
    """`None`, or why the text is no payload of the wanted type. What a newer version holds is nobody's to judge."""
    value = opened(payload)
    schema = value.get("schema")
    if type(schema) is int and schema > 1:
        return UNSUPPORTED_VERSION
    integer(1)(schema)
    kind = text(value.get("type"))
    if wanted == "spec":
        if kind != "spec":
            return OTHER_TYPE
        SPEC(value)
    else:
        if kind not in ENTRIES:
            return OTHER_TYPE
        ENTRIES[kind](value)
    same_text(payload, value)
    return None


def refusal(payload, wanted):
    try:
        return judge(payload, wanted)
    except Malformed:
        return MALFORMED


def refusal_of_fact(payload, kind):
    try:
        value = opened(payload)
        FACTS[kind](value)
        same_text(payload, value)
    except Malformed:
        return MALFORMED
    return None


def check_payloads(tally, vectors):
    for vector in vectors["vectors"]:
        name, payload = vector["name"], vector["payload"]
        tally.equal(f"{name}: refusal", refusal(payload, vector["type"]), None)
        tally.equal(f"{name}: type", parse(payload)["type"], vector["type"])
        tally.equal(f"{name}: digest", sha256(payload.encode()), vector["digest"])
    types = {vector["type"] for vector in vectors["vectors"]}
    tally.equal("types of payloads", types, ENTRY_TYPES | {"spec"})


def check_rejected(tally, vectors):
    for vector in vectors["vectors"]:
        tally.equal(f"rejected: {vector['name']}", refusal(vector["payload"], vector["type"]), vector["why"])
    reasons = {vector["why"] for vector in vectors["vectors"]}
    tally.equal("reasons of refusals", reasons, {MALFORMED, UNSUPPORTED_VERSION, OTHER_TYPE})


def check_facts(tally, vectors):
    for n, vector in enumerate(vectors["vectors"]):
        name, payload = f"fact {n} {vector['kind']}", vector["payload"]
        tally.equal(f"{name}: refusal", refusal_of_fact(payload, vector["kind"]), None)
        tally.equal(f"{name}: digest", sha256(payload.encode()), vector["digest"])
    tally.equal("kinds of facts", {vector["kind"] for vector in vectors["vectors"]}, FACT_KINDS)


def check_rfc8785(tally, vectors):
    for vector in vectors["vectors"]:
        name = vector["name"]
        canonical = rfc8785.dumps(parse(vector["json"]))
        tally.equal(f"{name}: canonical", canonical.decode(), vector["canonical"])
        tally.equal(f"{name}: digest", sha256(vector["canonical"].encode()), vector["digest"])
    tally.check("there are texts to canonicalise", len(vectors["vectors"]) >= 3)
