"""Judging JSON values by the schemas of a discovery document.

The rules are those of protobuf's JSON form, as servers write it: https://protobuf.dev/programming-guides/json/. What
parsers also take, such as a number for an int64 or snake_case names, counts as wrong.
"""

import base64
import binascii
import re

INTEGERS = {
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}
DECIMAL = re.compile(r"-?(0|[1-9]\d*)")
DATE = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
CLOCK = r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?"
TEXTS = {
    "google-datetime": re.compile(f"{DATE}T{CLOCK}Z"),
    "date-time": re.compile(rf"{DATE}T{CLOCK}(Z|[+-]\d\d:\d\d)"),
    "date": re.compile(DATE),
    "google-duration": re.compile(r"-?\d+(\.\d{1,9})?s"),
    "google-fieldmask": re.compile(r"([A-Za-z0-9]+(\.[A-Za-z0-9]+)*(,[A-Za-z0-9]+(\.[A-Za-z0-9]+)*)*)?"),
}


def violations(value, schema, schemas, at, method_id=None):
    """What is wrong with a value, each as `PATH: WHAT`. `method_id` is the method whose request it is."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"]]
    kind = schema.get("type")
    if kind == "object":
        yield from _object(value, schema, schemas, at, method_id)
    elif kind == "array":
        if not isinstance(value, list):
            yield f"{at}: {_short(value)} is no array"
            return
        for index, item in enumerate(value):
            yield from violations(item, schema["items"], schemas, f"{at}[{index}]", method_id)
    elif kind != "any":
        wrong = _scalar(value, schema)
        if wrong:
            yield f"{at}: {_short(value)} {wrong}"


def parameter_violation(text, schema):
    """What is wrong with the text of a path or query parameter, or None."""
    kind = schema["type"]
    if kind == "string":
        return _scalar(text, schema)
    if kind == "boolean":
        return None if text in ("true", "false") else "is no boolean"
    if kind == "integer":
        if not DECIMAL.fullmatch(text):
            return "is no integer"
        low, high = INTEGERS[schema.get("format", "int32")]
        low, high = int(schema.get("minimum", low)), int(schema.get("maximum", high))
        return None if low <= int(text) <= high else f"is not within {low} and {high}"
    raise NotImplementedError(f"parameter of type {kind}")


def _object(value, schema, schemas, at, method_id):
    if not isinstance(value, dict):
        yield f"{at}: {_short(value)} is no object"
        return
    properties, rest = schema.get("properties", {}), schema.get("additionalProperties")
    for name, item in value.items():
        known = properties.get(name, rest)
        if known is None:
            yield f"{at}.{name}: no such field"
        else:
            yield from violations(item, known, schemas, f"{at}.{name}", method_id)
    if method_id:
        required = (name for name, known in properties.items() if is_required(known, method_id))
        yield from (f"{at}.{name}: is required" for name in required if name not in value)


def is_required(schema, method_id=None):
    """Whether a parameter or a request's field must be there. Most documents say so only in the description."""
    return (
        schema.get("required", False)
        or method_id in schema.get("annotations", {}).get("required", [])
        or schema.get("description", "").startswith(("Required.", "REQUIRED:"))
    )


def _scalar(value, schema):
    """What is wrong with a value that is neither object nor array, or None."""
    kind, form = schema["type"], schema.get("format")
    if kind == "boolean":
        return None if isinstance(value, bool) else "is no boolean"
    if kind == "integer":
        low, high = INTEGERS[form or "int32"]
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        return None if is_integer and low <= value <= high else f"is no {form or 'int32'}"
    if kind == "number":
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return None if is_number or value in ("NaN", "Infinity", "-Infinity") else "is no number"
    if kind == "string":
        return _string(value, schema)
    raise NotImplementedError(f"value of type {kind}")


def _string(value, schema):
    form = schema.get("format")
    if not isinstance(value, str):
        return f"is no string{f' ({form})' if form else ''}"
    if "enum" in schema and value not in schema["enum"]:
        return f"is none of {', '.join(schema['enum'])}"
    if "pattern" in schema and not re.fullmatch(schema["pattern"], value):
        return f"does not match {schema['pattern']}"
    if form in INTEGERS:
        low, high = INTEGERS[form]
        return None if DECIMAL.fullmatch(value) and low <= int(value) <= high else f"is no {form}"
    if form == "byte":
        return None if _is_base64(value) else "is no base64"
    if form in TEXTS:
        return None if TEXTS[form].fullmatch(value) else f"is no {form}"
    if form:
        raise NotImplementedError(f"string of format {form}")
    return None


def _is_base64(text):
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
    except (binascii.Error, ValueError):
        return False


def _short(value):
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
