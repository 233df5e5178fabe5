"""`trust.json`: signatures, macs, chains of facts, binding tags and identifiers."""

import hashlib
import hmac

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from .forms import HEX, ID, TIME, encode_id, hashed_id, parse, sha256, unpadded
from .payloads import ENTRY_TYPES, FACT_KINDS, refusal, refusal_of_fact


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
        tally.equal(f"{name}: refusal", refusal(envelope["payload"], envelope["type"]), None)
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
        tally.equal(f"{name}: refusal", refusal_of_fact(fact["payload"], fact["kind"]), None)
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


def check(tally, vectors):
    keys = load_keys(tally, vectors)
    facts_key = unpadded(vectors["factsKey"])
    tally.equal("length of the facts key", len(facts_key), 32)
    check_envelopes(tally, vectors, keys)
    check_chain(tally, vectors, facts_key)
    check_macs(tally, vectors, facts_key)
    check_identifiers(tally, vectors)
