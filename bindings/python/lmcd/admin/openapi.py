"""The OpenAPI document, made from the routes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lmcd import __version__
from lmcd.admin.route import Route

_REFUSAL = {
    "type": "object",
    "required": ["code", "reason"],
    "properties": {
        "code": {"type": "string", "description": "a word for programs"},
        "reason": {"type": "string", "description": "one sentence for people"},
    },
}
_ANY = {
    400: "what was given does not fit",
    500: "a fault",
    503: "the daemon does not answer",
    504: "the daemon did not answer in time",
}
_CHANGING = {401: "needs the token", 403: "not allowed here", 429: "a limit is reached"}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the description of the calls."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "lmcd",
            "version": __version__,
            "description": "What operators see and do. Calls that change something need the "
            "token unless they come over a loopback address or the Unix socket.",
        },
        "paths": paths,
        "components": {
            "schemas": {"Refusal": _REFUSAL},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "responses": _responses(route),
    }
    parameters = [_parameter(name, one, "path") for name, one in route.arguments.items()]
    parameters += [_parameter(name, one, "query") for name, one in route.query.items()]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": route.body_required,
            "content": {"application/json": {"schema": route.body}},
        }
    if route.changes:
        operation["security"] = [{}, {"token": []}]
    return operation


def _parameter(name: str, schema: dict[str, Any], place: str) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def _responses(route: Route) -> dict[str, Any]:
    meanings = _ANY | (_CHANGING if route.changes else {}) | route.replies
    if route.body is not None:
        meanings |= {415: "the body is no JSON"}
    return {str(status): _response(route, status, meanings[status]) for status in sorted(meanings)}


def _response(route: Route, status: int, meaning: str) -> dict[str, Any]:
    if status >= 400:
        schema: dict[str, Any] = {"$ref": "#/components/schemas/Refusal"}
        return {"description": meaning, "content": {"application/json": {"schema": schema}}}
    schema = {"type": "object"} if route.content == "application/json" else {"type": "string"}
    return {"description": meaning, "content": {route.content: {"schema": schema}}}
