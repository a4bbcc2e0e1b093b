"""A route: one call of the server, declared once.

aiohttp's table, the checks of what comes in, and the OpenAPI document follow from it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from lmcd.admin.link import Link
from lmcd.admin.replies import Refusal
from lmcd.admin.schema import Schema, check
from lmcd.admin.settings import Settings


@dataclass(frozen=True)
class Call:
    """A request that fits its route. What was not given is not in `query` or `body`."""

    request: web.Request
    settings: Settings
    link: Link
    path: dict[str, str]
    query: dict[str, Any]
    body: dict[str, Any]


_BODY_S = 30

Handler = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Route:
    """One call. `replies` are its statuses besides those that any call may have."""

    method: str
    path: str
    name: str
    summary: str
    handler: Handler
    changes: bool = False
    arguments: dict[str, Schema] = field(default_factory=dict)  # of the path
    query: dict[str, Schema] = field(default_factory=dict)
    body: Schema | None = None
    body_required: bool = False
    replies: dict[int, str] = field(default_factory=lambda: {200: "done"})
    content: str = "application/json"
    stream: bool = False  # does not end by itself


async def read_call(route: Route, request: web.Request, settings: Settings, link: Link) -> Call:
    """Read a request as its route has it. Raises Refusal where it does not fit."""
    for name, schema in route.arguments.items():
        check(request.match_info[name], schema, name)
    return Call(
        request,
        settings,
        link,
        dict(request.match_info),
        _read_query(route, request),
        await _read_body(route, request),
    )


def _read_query(route: Route, request: web.Request) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name in dict.fromkeys(request.query):
        if name not in route.query:
            known = ", ".join(route.query) or "none"
            raise Refusal(400, "invalid", f"no parameter {name[:64]!r}; it takes: {known}")
        texts = request.query.getall(name)
        schema = route.query[name]
        if schema["type"] == "array":
            given[name] = texts
        elif len(texts) > 1:
            raise Refusal(400, "invalid", f"parameter {name!r} is given twice")
        else:
            given[name] = _value(texts[0], schema, name)
        check(given[name], schema, name)
    return given


def _value(text: str, schema: Schema, name: str) -> Any:
    if schema["type"] == "integer":
        if not text.isascii() or not text.isdecimal() or len(text) > 20:
            raise Refusal(400, "invalid", f"{name} {text[:32]!r} is no whole number")
        return int(text)
    if schema["type"] == "boolean":
        if text not in ("true", "false"):
            raise Refusal(400, "invalid", f"{name} {text[:32]!r}: takes true or false")
        return text == "true"
    return text


async def _read_body(route: Route, request: web.Request) -> dict[str, Any]:
    try:
        text = await asyncio.wait_for(request.read(), _BODY_S)  # bounded by client_max_size
    except TimeoutError:
        raise Refusal(408, "slow", f"the body took longer than {_BODY_S} s") from None
    if route.body is None or not text:
        if text:
            raise Refusal(400, "invalid", "this call takes no body")
        if route.body_required:
            raise Refusal(400, "invalid", "a JSON object is missing as the body")
        return {}
    if request.content_type != "application/json":
        raise Refusal(415, "invalid", f"body of {request.content_type}: takes application/json")
    try:
        body = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "invalid", f"the body is no JSON: {error}") from None
    check(body, route.body)
    return dict(body)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")
