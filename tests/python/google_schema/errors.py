"""Judging error answers by the error model of Google's APIs: https://cloud.google.com/apis/design/errors."""

import re

from google.protobuf import any_pb2, json_format
from google.rpc import code_pb2, error_details_pb2  # noqa: F401: the details are found by being loaded

# HTTP status of each code, as google/rpc/code.proto documents it.
STATUSES = {
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
}
assert set(STATUSES) | {"OK"} == set(code_pb2.Code.keys())

FIELDS = {"code": int, "message": str, "status": str, "details": list, "errors": list}
REQUIRED = ("code", "message", "status")

# Of ErrorInfo, as error_details.proto documents them.
REASON = re.compile(r"[A-Z][A-Z0-9_]+[A-Z0-9]")
REASON_LENGTH_MAX = 63


def violations(answer, status):
    """What is wrong with the JSON of an answer of this HTTP status, each as `PATH: WHAT`."""
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        yield f"answer.error: {answer!r:.80} holds no error"
        return
    yield from (f"answer.{name}: no such field beside an error" for name in answer if name != "error")
    for name, value in error.items():
        if name not in FIELDS:
            yield f"answer.error.{name}: no such field"
        elif type(value) is not FIELDS[name]:
            yield f"answer.error.{name}: {value!r:.80} is no {FIELDS[name].__name__}"
    yield from (f"answer.error.{name}: is missing" for name in REQUIRED if not error.get(name))
    if error.get("code") != status:
        yield f"answer.error.code: {error.get('code')!r} on HTTP {status}"
    if STATUSES.get(error.get("status")) != status:
        yield f"answer.error.status: {error.get('status')!r} is no code of google.rpc with HTTP {status}"
    for index, detail in enumerate(error.get("details") or []):
        yield from _detail(detail, f"answer.error.details[{index}]")


def _detail(detail, at):
    """A message of google.rpc that its own descriptor can read."""
    try:
        json_format.ParseDict(detail, any_pb2.Any())
    except (json_format.ParseError, TypeError, ValueError, AttributeError) as wrong:
        yield f"{at}: {wrong}"
        return
    if detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo":
        reason = detail.get("reason", "")
        if not REASON.fullmatch(reason) or len(reason) > REASON_LENGTH_MAX:
            yield f"{at}.reason: {reason!r} is no UPPER_SNAKE_CASE of at most {REASON_LENGTH_MAX} characters"
        if not detail.get("domain"):
            yield f"{at}.domain: is missing"
