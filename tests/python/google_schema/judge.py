"""Judging recorded calls: lines of the file that cloudsim writes where `CURFEW_CLOUD_TRAFFIC` names one."""

import collections
import dataclasses
import json
import urllib.parse

from google_schema import documents, errors, values

# What Curfew's own clients call themselves.
OWN_AGENT = "curfew/"

# Google's own command line. What it sends is right by definition, though not always as servers would write it.
GOOGLES_AGENT = "google-cloud-sdk "

# Fields of policies that tests invent, to see that what nobody knows yet survives.
INVENTED = (".futureField: no such field", ".newTop: no such field")


@dataclasses.dataclass
class Count:
    """What was judged of one method."""

    own_requests: int = 0
    other_requests: int = 0
    answers: int = 0
    errors: int = 0


class Judge:
    """Counts what it judged and keeps each violation once, with the number of times it was seen."""

    def __init__(self, methods=None):
        self.methods = documents.load() if methods is None else methods
        self.counts = collections.defaultdict(Count)
        self.violations = collections.Counter()
        self._found = {}

    def call(self, call):
        """Judges one recorded call.

        Requests of our own count whatever came of them. Those of tests count where they were accepted: what was
        refused may have been meant to be wrong. Answers count whoever asked.
        """
        target = urllib.parse.urlsplit(call["target"])
        status, is_own = call["status"], call["agent"].startswith(OWN_AGENT)
        is_accepted = status is not None and 200 <= status < 300
        method = self._find(call["method"], target.path)
        name = method.name if method else f"no method of Google: {call['method']} {target.path}"
        if method is None:
            if is_own or is_accepted:
                self._note(name, ["is served"] if is_accepted else ["is called"])
        elif is_own or (is_accepted and not call["agent"].startswith(GOOGLES_AGENT)):
            self._note(name, request_violations(method, target, call["body"]))
            if is_own:
                self.counts[name].own_requests += 1
            else:
                self.counts[name].other_requests += 1
        if status is None:
            return
        if not is_accepted:
            self._note(name, error_violations(call["answer"], status))
            self.counts[method.name if method else "no method of Google"].errors += 1
        elif method:
            self._note(name, answer_violations(method, call["answer"]))
            self.counts[name].answers += 1

    def _find(self, verb, path):
        if (verb, path) not in self._found:
            self._found[verb, path] = documents.find(self.methods, verb, path)
        return self._found[verb, path]

    def _note(self, name, found):
        for violation in found:
            if not violation.endswith(INVENTED):
                self.violations[f"{name}: {violation}"] += 1


def request_violations(method, target, body):
    """What is wrong with a request, each as `PATH: WHAT`."""
    yield from _path_violations(method, target.path)
    yield from _query_violations(method, target.query)
    if method.request is None:
        if body:
            yield f"body: {body!r:.80}, where none may be"
        return
    # An empty body is a message without fields.
    value, wrong = _parsed(body or "{}", "body")
    in_path = {f"body.{name}: is required" for name in method.template.groupindex}
    found = wrong or values.violations(value, method.request, method.schemas, "body", method.id)
    yield from (violation for violation in found if violation not in in_path)


def answer_violations(method, body):
    """What is wrong with an answer of success, each as `PATH: WHAT`."""
    if method.response is None:
        if body:
            yield f"answer: {body!r:.80}, where none may be"
        return
    value, wrong = _parsed(body, "answer")
    yield from wrong or values.violations(value, method.response, method.schemas, "answer")


def error_violations(body, status):
    """What is wrong with an answer of failure, each as `PATH: WHAT`."""
    value, wrong = _parsed(body, "answer")
    yield from wrong or errors.violations(value, status)


def _path_violations(method, path):
    named = method.template.fullmatch(path)
    if named is None:
        yield f"path: {path} does not match {method.template.pattern}"
        return
    for name, text in named.groupdict().items():
        text = urllib.parse.unquote(text)
        wrong = values.parameter_violation(text, method.parameters[name])
        if wrong:
            yield f"path.{name}: {text!r} {wrong}"


def _query_violations(method, query):
    sent = urllib.parse.parse_qs(query, keep_blank_values=True)
    known = {name: it for name, it in method.parameters.items() if it.get("location") == "query"}
    for name, texts in sent.items():
        if name not in known:
            yield f"query.{name}: no such parameter"
            continue
        if len(texts) > 1 and not known[name].get("repeated"):
            yield f"query.{name}: sent {len(texts)} times"
        for text in texts:
            wrong = values.parameter_violation(text, known[name])
            if wrong:
                yield f"query.{name}: {text!r:.80} {wrong}"
    # `a.b` is a field of the message `a`: it must be there only where that is.
    messages = {"", *(name.rpartition(".")[0] for name in sent)}
    required = (name for name, it in known.items() if values.is_required(it) and name.rpartition(".")[0] in messages)
    yield from (f"query.{name}: is required" for name in required if name not in sent)


def _parsed(text, at):
    """The value of a JSON text and no violations, or None and the one violation."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant), None
    except ValueError as wrong:
        return None, [f"{at}: no JSON: {wrong}"]


def _unique(pairs):
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError(f"a field twice, of {', '.join(name for name, _ in pairs)}")
    return fields


def _no_constant(name):
    raise ValueError(f"{name} is no JSON")
