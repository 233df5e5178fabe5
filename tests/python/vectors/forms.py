"""How ids, digests, times and texts are written."""

import base64
import hashlib
import json
import re

# Crockford's base32 alphabet in lower case.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")
HEX = re.compile(r"[0-9a-f]{64}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


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
