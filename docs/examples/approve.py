#!/usr/bin/env python3
"""Approves an access request as a chat bot or a ticket system would: with any Firestore client and a writer's key.

    pip install google-cloud-firestore cryptography
    FIRESTORE_EMULATOR_HOST=127.0.0.1:8423 python3 approve.py --project curfew-demo --installation demo \\
        --key DIR/writer.key --key-id writer-1 --as bob@example.com REQUEST_ID

DIR is the demo's `--data` folder. The controller believes the decision because its signature verifies under a key of its
configuration (`keys`, level WRITER, verb DECIDE), because `eligible.evidence` admits WRITER, and because bob holds the
very same eligible role; nothing in the store can make it believe anything else.
"""

import argparse
import base64
import datetime
import hashlib
import json
import secrets

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from google.cloud import firestore

ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_nonce() -> str:
    """26 characters of Crockford's base32: 128 random bits."""
    bits = secrets.randbits(128)
    return "".join(ID_ALPHABET[(bits >> (5 * place)) & 31] for place in reversed(range(26)))


def canonical(value) -> str:
    """RFC 8785 for what payloads hold: text, whole numbers, objects and lists. Keys are ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sign(key: ec.EllipticCurvePrivateKey, kind: str, payload: str) -> str:
    """ECDSA on P-256 over the type and the payload, as r and s of 32 bytes each."""
    der = key.sign(f"curfew/v1/{kind}\n{payload}".encode(), ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(der)
    return base64.urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).rstrip(b"=").decode()


def decision(installation: str, request: str, spec: str, email: str, verdict: str, comment: str, nonce: str) -> str:
    """The text to sign: `email` says APPROVE or DENY to exactly this spec."""
    return canonical(
        {
            "type": "DECISION",
            "schema": 1,
            "installation": installation,
            "requestId": request,
            "actor": {"subject": f"chat:{email}", "email": email},
            "at": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "nonce": nonce,
            "authentication": {"accessLevels": []},
            "verdict": verdict,
            "comment": comment,
            "target": hashlib.sha256(spec.encode()).hexdigest(),
        }
    )


def envelope(key: ec.EllipticCurvePrivateKey, key_id: str, payload: str) -> dict:
    """The signed decision as it is stored."""
    return {"payload": payload, "keyId": key_id, "signature": sign(key, "DECISION", payload)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("request")
    parser.add_argument("--project", required=True)
    parser.add_argument("--installation", required=True)
    parser.add_argument("--key", required=True, help="PKCS #8 PEM, P-256")
    parser.add_argument("--key-id", required=True)
    parser.add_argument("--as", dest="email", required=True, help="who decided, as the bot knows them")
    parser.add_argument("--deny", action="store_true")
    parser.add_argument("--comment", default="")
    arguments = parser.parse_args()

    document = firestore.Client(project=arguments.project).collection("requests").document(arguments.request)
    spec = document.get().to_dict()["spec"]["payload"]
    # Show this to whoever decides: the digest says that it was this and nothing else.
    print(json.dumps(json.loads(spec), indent=2, ensure_ascii=False))

    nonce = new_nonce()
    verdict = "DENY" if arguments.deny else "APPROVE"
    text = decision(
        arguments.installation, arguments.request, spec, arguments.email, verdict, arguments.comment, nonce
    )
    with open(arguments.key, "rb") as file:
        key = serialization.load_pem_private_key(file.read(), password=None)
    # Only this entry is written, and only into a request that exists: writers never collide.
    document.update({f"entries.`{nonce}`": envelope(key, arguments.key_id, text)})
    print(f"{verdict} written as entry {nonce}")


if __name__ == "__main__":
    main()
