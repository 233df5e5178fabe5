#!/usr/bin/env python3
"""Runs docs/examples/approve.py, as a chat bot would, against a demo of its own; and what it must not achieve.

    python3 -m venv VENV && VENV/bin/pip install -r tests/python/requirements.txt
    cargo build -p curfew-demo -p curfew-server
    CURFEW_TEST_BINARIES=target/debug VENV/bin/python tests/python/check_approve.py
"""

import contextlib
import importlib.util
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.cloud import firestore

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs/examples/approve.py"
PROJECT = "curfew-demo"
# A start takes well under a second; a machine that compiles meanwhile takes longer.
PATIENCE_SECONDS = 60
POLL_SECONDS = 0.1


def load_example():
    specification = importlib.util.spec_from_file_location("approve", EXAMPLE)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def equal(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what}: found {found!r}, expected {expected!r}")


def eventually(what, look):
    """The first true answer of `look`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            if found := look():
                return found
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"not within {PATIENCE_SECONDS} s: {what}")


class Demo:
    """One demo on free ports, and people who use its API."""

    def __init__(self, folder):
        held = [socket.socket() for _ in range(5)]
        for one in held:
            one.bind(("127.0.0.1", 0))
        front, cloud, ops, intake_ops, store = (one.getsockname()[1] for one in held)
        for one in held:
            one.close()
        self.front, self.ops, self.folder = front, ops, pathlib.Path(folder)
        self.store = f"127.0.0.1:{store}"
        ports = {"port": front, "cloud-port": cloud, "ops-port": ops, "intake-ops-port": intake_ops, "store-port": store}
        program = pathlib.Path(os.environ.get("CURFEW_TEST_BINARIES", ROOT / "target/debug")) / "curfew-demo"
        flags = [f"--{name}={port}" for name, port in ports.items()]
        surroundings = {name: value for name, value in os.environ.items() if name != "FIRESTORE_EMULATOR_HOST"}
        self.process = subprocess.Popen(
            [program, *flags, f"--data={folder}"], stdout=subprocess.DEVNULL, cwd=ROOT, env=surroundings
        )

    def is_ready(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ops}/readyz") as answer:
            return answer.status == 200

    def call(self, person, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.front}{path}")
        request.add_header("X-Demo-User", f"{person}@example.com")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def file(self):
        """Alice's request that a peer must approve, once it waits for one."""
        body = {
            "resource": "projects/demo-prod",
            "roles": [{"role": "roles/compute.instanceAdmin.v1"}],
            "duration": "1h",
            "justification": "BUG-1",
        }
        request = self.call("alice", "/v1/requests", body)["name"].removeprefix("requests/")
        eventually("it waits", lambda: self.phase(request) == "AWAITING_APPROVAL")
        return request

    def phase(self, request):
        return self.call("alice", f"/v1/requests/{request}")["status"]["phase"]

    def why(self, request, nonce):
        """Why the entry does not count; nothing until it was looked at."""
        entries = self.call("alice", f"/v1/requests/{request}")["entries"]
        found = [entry.get("why") for entry in entries if entry["nonce"] == nonce]
        return found and found[0] != "NOT_SEEN_YET" and found[0]

    def approve(self, request, *more, key=None, key_id="writer-1"):
        """Runs the example as it is documented; what it prints last is the entry's nonce."""
        command = [
            sys.executable, EXAMPLE, "--project", PROJECT, "--installation", "demo",
            "--key", key or self.folder / "writer.key", "--key-id", key_id, "--as", "bob@example.com", *more, request,
        ]  # fmt: skip
        surroundings = {**os.environ, "FIRESTORE_EMULATOR_HOST": self.store}
        printed = subprocess.run(command, env=surroundings, check=True, capture_output=True, text=True).stdout
        assert json.loads(printed[: printed.rindex("}") + 1])["requester"]["email"] == "alice@example.com", printed
        return printed.split()[-1]


def approves(demo):
    request = demo.file()
    demo.approve(request, "--comment", "by chat")
    eventually("access", lambda: demo.phase(request) == "ACTIVE")


def denies(demo):
    request = demo.file()
    demo.approve(request, "--deny")
    eventually("the end", lambda: demo.phase(request) == "ENDED")
    equal(demo.call("alice", f"/v1/requests/{request}")["status"]["outcome"]["reason"], "DENIED", "its reason")


def what_must_not_count_does_not(demo):
    example, request, other = load_example(), demo.file(), demo.file()
    with open(demo.folder / "writer.key", "rb") as file:
        key = serialization.load_pem_private_key(file.read(), password=None)
    documents = firestore.Client(project=PROJECT).collection("requests")
    spec = documents.document(request).get().to_dict()["spec"]["payload"]
    others = documents.document(other).get().to_dict()["spec"]["payload"]

    foreign = demo.folder / "foreign.key"
    made = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    foreign.write_bytes(made)
    refused = {
        "a key that is not the writer's": ("BAD_SIGNATURE", demo.approve(request, key=foreign)),
        "a key that nobody configured": ("UNKNOWN_KEY", demo.approve(request, key_id="writer-9")),
    }

    def entry(why, what, of, spec, nonce=None, under=None, edit=lambda text: text):
        nonce = nonce or example.new_nonce()
        text = example.decision("demo", of, spec, "bob@example.com", "APPROVE", "by chat", nonce)
        signed = example.envelope(key, "writer-1", text)
        signed["payload"] = edit(signed["payload"])
        documents.document(request).update({f"entries.`{under or nonce}`": signed})
        refused[what] = (why, under or nonce)

    entry("WRONG_TARGET", "the digest of another request", request, others)
    entry("WRONG_TARGET", "the digest of a changed one", request, spec.replace("BUG-1", "BUG-2"))
    entry("OTHER_REQUEST", "a word on another request, replayed", other, others)
    entry("OTHER_NONCE", "a word under another nonce", request, spec, under=example.new_nonce())
    entry("BAD_SIGNATURE", "a text that was changed", request, spec, edit=lambda text: text.replace("by chat", "by you"))

    for what, (why, nonce) in refused.items():
        equal(eventually(what, lambda nonce=nonce: demo.why(request, nonce)), why, what)
    equal(demo.phase(request), "AWAITING_APPROVAL", "the request")
    equal(demo.phase(other), "AWAITING_APPROVAL", "the other one")
    demo.approve(request)
    eventually("a true word counts after all of them", lambda: demo.phase(request) == "ACTIVE")
    return len(refused)


def main():
    with tempfile.TemporaryDirectory() as folder:
        demo = Demo(folder)
        try:
            eventually("the demo is ready", demo.is_ready)
            os.environ["FIRESTORE_EMULATOR_HOST"] = demo.store
            approves(demo)
            denies(demo)
            n_refused = what_must_not_count_does_not(demo)
        finally:
            demo.process.kill()
            demo.process.wait()
    print(f"approve.py approved and denied; {n_refused} other decisions had no effect")


if __name__ == "__main__":
    main()
