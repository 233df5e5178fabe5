#!/usr/bin/env python3
"""Checks proto/vectors/trust.json without any of Curfew's code.

    python3 -m venv VENV && VENV/bin/pip install -r tests/python/requirements.txt
    VENV/bin/python tests/python/check_vectors.py [FILE]

Every payload is canonicalised again (RFC 8785), every signature verified, and every digest, mac, chain link, tag and
identifier computed anew. Ends with `N passed, N failed`; the exit status is 1 if anything failed.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import re
import sys

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

VECTORS = pathlib.Path(__file__).resolve().parents[2] / "proto" / "vectors" / "trust.json"

# Crockford's base32 alphabet in lower case.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")
HEX = re.compile(r"[0-9a-f]{64}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")

ENTRY_TYPES = {"DECISION", "WITHDRAW", "REVOKE", "EXTEND", "CLOSE_REVIEW"}
FACT_KINDS = {"SEEN", "ELIGIBLE", "APPROVAL", "GRANT", "BOUND", "DRIFT", "OUTCOME", "ENDED"}


class Tally:
    """Counts what was checked and says what failed."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, name, holds):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {name}", file=sys.stderr)

    def equal(self, name, found, expected):
        self.check(f"{name}: found {found!r}, expected {expected!r}", found == expected)


def unpadded(text):
    """Strict base64url without padding: one text for each value."""
    raw = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise ValueError("not the one base64url text of its bytes")
    return raw


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def encode_id(bits):
    """16 bytes as 26 characters, most significant group first."""
    value = int.from_bytes(bits, "big")
    return "".join(ALPHABET[value >> shift & 31] for shift in range(125, -5, -5))


def hashed_id(data):
    return encode_id(hashlib.sha256(data).digest()[:16])


def no_duplicates(pairs):
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError("a name stands twice")
    return dict(pairs)


def parse(payload):
    return json.loads(payload, object_pairs_hook=no_duplicates)


def is_canonical(payload):
    return rfc8785.dumps(parse(payload)) == payload.encode()


def mac_input(what, fields):
    return f"curfew/v1/{what}\n".encode() + rfc8785.dumps(fields)


def mac(key, what, fields):
    return hmac.new(key, mac_input(what, fields), hashlib.sha256)


def verifies(keys, envelope):
    """Whether the signature is the named key's over the type and the payload."""
    key = keys.get(envelope["keyId"])
    signed = f"curfew/v1/{envelope['type']}\n{envelope['payload']}".encode()
    try:
        signature = unpadded(envelope["signature"])
        if key is None or len(signature) != 64:
            return False
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, signed)
        else:
            r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            key.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def load_keys(tally, vectors):
    keys = {}
    for entry in vectors["keys"]:
        key = load_pem_public_key(entry["publicKey"].encode())
        if entry["algorithm"] == "P-256":
            tally.check(f"key {entry['id']} is P-256", isinstance(getattr(key, "curve", None), ec.SECP256R1))
        else:
            tally.equal(f"algorithm of key {entry['id']}", entry["algorithm"], "Ed25519")
            tally.check(f"key {entry['id']} is Ed25519", isinstance(key, ed25519.Ed25519PublicKey))
        keys[entry["id"]] = key
    return keys


def check_envelopes(tally, vectors, keys):
    for envelope in vectors["envelopes"]:
        name = f"{envelope['type']} by {envelope['keyId']}"
        payload = parse(envelope["payload"])
        tally.check(f"{name}: signature", verifies(keys, envelope))
        tally.check(f"{name}: canonical", is_canonical(envelope["payload"]))
        tally.equal(f"{name}: digest", sha256(envelope["payload"].encode()), envelope["digest"])
        tally.equal(f"{name}: type", payload["type"], envelope["type"])
        tally.equal(f"{name}: schema", payload["schema"], 1)
        tally.equal(f"{name}: installation", payload["installation"], vectors["installation"])
        tally.equal(f"{name}: request", payload["requestId"], vectors["requestId"])
        tally.check(f"{name}: nonce", ID.fullmatch(payload["nonce"]))
        tally.check(f"{name}: time", TIME.fullmatch(payload["requestedAt" if envelope["type"] == "spec" else "at"]))
    for key_id in keys:
        types = {envelope["type"] for envelope in vectors["envelopes"] if envelope["keyId"] == key_id}
        tally.equal(f"entry types signed by {key_id}", types - {"spec"}, ENTRY_TYPES)
    tally.check("there are forgeries", len(vectors["forgeries"]) >= 3)
    for forgery in vectors["forgeries"]:
        tally.check(f"a forgery verifies: {forgery['why']}", not verifies(keys, forgery))


def check_chain(tally, vectors, key):
    specs = [envelope for envelope in vectors["envelopes"] if envelope["type"] == "spec"]
    tally.equal("number of specs", len(specs), 1)
    prev = sha256(specs[0]["payload"].encode())
    tally.equal("kinds of facts", {fact["kind"] for fact in vectors["chain"]}, FACT_KINDS)
    for n, fact in enumerate(vectors["chain"]):
        name = f"fact {n} {fact['kind']}"
        fields = {name: fact[name] for name in ("n", "kind", "at", "payload", "prev")}
        fields |= {"installation": vectors["installation"], "requestId": vectors["requestId"]}
        tally.equal(f"{name}: n", fact["n"], n)
        tally.equal(f"{name}: prev", fact["prev"], prev)
        tally.check(f"{name}: canonical", is_canonical(fact["payload"]))
        tally.check(f"{name}: time", TIME.fullmatch(fact["at"]))
        tally.equal(f"{name}: mac", mac(key, "fact", fields).hexdigest(), fact["mac"])
        prev = sha256(mac_input("fact", fields))
        if fact["kind"] == "GRANT":
            check_bindings(tally, vectors, key, specs[0], parse(fact["payload"]))


def check_bindings(tally, vectors, key, spec, grant):
    """The tag in each recorded description is the one of what the binding says."""
    for binding in grant["bindings"]:
        for form in ("live", "dead"):
            owned = binding[form]
            subject = {"resource": grant["resource"]} | {part: owned[part] for part in ("role", "member", "expression")}
            tally.equal(f"{form} binding: title", owned["title"], f"curfew {vectors['installation']} {vectors['requestId']}")
            version, digest, tag, _ticket = owned["description"].split(" ")
            tally.equal(f"{form} binding: version", version, "v1")
            tally.equal(f"{form} binding: digest", digest, spec["digest"][:16])
            tally.equal(f"{form} binding: tag", tag_of(vectors, key, subject), tag)


def tag_of(vectors, key, subject):
    fields = {name: subject[name] for name in ("resource", "role", "member", "expression")}
    fields |= {"installation": vectors["installation"], "requestId": vectors["requestId"]}
    return encode_id(mac(key, "tag", fields).digest()[:16])


def check_macs(tally, vectors, key):
    for case in vectors["tags"]:
        tally.equal(f"tag on {case['resource']}", tag_of(vectors, key, case), case["tag"])
    for entry in vectors["ledger"]:
        fields = {name: entry[name] for name in ("id", "kind", "at", "payload")}
        fields["installation"] = vectors["installation"]
        tally.equal(f"ledger {entry['id']}", mac(key, "ledger", fields).hexdigest(), entry["mac"])


def check_identifiers(tally, vectors):
    for case in vectors["requestIds"]:
        data = f"curfew/v1/id\n{case['subject']}\n{case['idempotencyKey']}".encode()
        tally.equal(f"request id of {case['idempotencyKey']!r}", hashed_id(data), case["id"])
        tally.check(f"request id {case['id']}: grammar", ID.fullmatch(case["id"]))
    for case in vectors["resourceIds"]:
        tally.equal(f"id of {case['resource']}", hashed_id(f"curfew/v1/resource\n{case['resource']}".encode()), case["id"])
    for case in vectors["permissionsHashes"]:
        data = "".join(permission + "\n" for permission in sorted(case["permissions"])).encode()
        tally.equal(f"hash of {case['permissions']}", sha256(data), case["hash"])
        tally.check(f"hash of {case['permissions']}: grammar", HEX.fullmatch(case["hash"]))


def main(arguments):
    path = pathlib.Path(arguments[0]) if arguments else VECTORS
    vectors = json.loads(path.read_text(encoding="utf-8"))
    tally = Tally()
    keys = load_keys(tally, vectors)
    facts_key = unpadded(vectors["factsKey"])
    tally.equal("length of the facts key", len(facts_key), 32)
    check_envelopes(tally, vectors, keys)
    check_chain(tally, vectors, facts_key)
    check_macs(tally, vectors, facts_key)
    check_identifiers(tally, vectors)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
