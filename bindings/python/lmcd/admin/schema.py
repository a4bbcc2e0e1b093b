"""What calls take, as JSON schemas: one text for the OpenAPI document and for the check.

The check knows the part of JSON Schema that is used here: type, properties, required,
additionalProperties false, items, enum, pattern, bounds of numbers and lengths.
"""

from __future__ import annotations

import re
from typing import Any

from lmcd.admin.replies import Refusal

Schema = dict[str, Any]

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}

KEY: Schema = {
    "type": "string",
    "pattern": "^[0-9a-f]{64}$",
    "description": "a key, in hexadecimal",
}
KEYS: Schema = {"type": "array", "items": KEY, "minItems": 1, "maxItems": 4096}
QUERY_KEYS: Schema = KEYS | {"maxItems": 64}  # what fits into a URL
# Sizes below 2^53, past which readers of JSON round.
BYTES: Schema = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
SPACE: Schema = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
SALT: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "description": "a tenant's cache_salt of at most 255 bytes; _default is the empty one",
}


def closed(properties: dict[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object that has these properties and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def check(value: Any, schema: Schema, where: str = "body") -> None:
    """Raise Refusal that says what does not fit, and what would."""
    kind = schema["type"]
    good = isinstance(value, _TYPES[kind]) and not (
        isinstance(value, bool) and kind in ("integer", "number")
    )
    if not good:
        raise _misfit(where, f"must be of type {kind}")
    if "enum" in schema and value not in schema["enum"]:
        raise _misfit(where, f"must be one of {', '.join(map(str, schema['enum']))}")
    if kind == "object":
        _check_object(value, schema, where)
    elif kind == "array":
        _check_length(len(value), schema.get("minItems", 0), schema.get("maxItems"), where)
        for at, item in enumerate(value):
            check(item, schema["items"], f"{where}[{at}]")
    elif kind == "string":
        _check_length(len(value), schema.get("minLength", 0), schema.get("maxLength"), where)
        if "pattern" in schema and not re.search(schema["pattern"], value):
            raise _misfit(where, f"must match {schema['pattern']}")
    elif kind in ("integer", "number"):
        _check_bounds(value, schema, where)


def _check_object(value: dict[str, Any], schema: Schema, where: str) -> None:
    for name in schema["required"]:
        if name not in value:
            raise _misfit(where, f"lacks {name!r}")
    for name, one in value.items():
        if name not in schema["properties"]:
            known = ", ".join(schema["properties"]) or "none"
            raise _misfit(where, f"has no property {name[:64]!r}; it has: {known}")
        check(one, schema["properties"][name], f"{where}.{name}")


def _check_length(length: int, least: int, most: int | None, where: str) -> None:
    if length < least or (most is not None and length > most):
        raise _misfit(where, f"has {length} elements or characters: takes {least} to {most}")


def _check_bounds(value: float, schema: Schema, where: str) -> None:
    least, most = schema.get("minimum"), schema.get("maximum")
    if (least is not None and value < least) or (most is not None and value > most):
        raise _misfit(where, f"is {value}: takes {least} to {most}")


def _misfit(where: str, what: str) -> Refusal:
    return Refusal(400, "invalid", f"{where} {what}")
