"""Calls about what the cache holds: objects, pins, clearing, prefetches."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

from aiohttp import web

from lmcd.admin.replies import Refusal, json_reply
from lmcd.admin.route import Call, Route
from lmcd.admin.schema import KEYS, QUERY_KEYS, SPACE, Schema, closed
from lmcd.operate import EVERYTHING, Cleared, Listed, Operator, Selector

DEFAULT_TENANT = "_default"

_TENANT: Schema = {
    "type": "string",
    "maxLength": 255,
    "description": "a tenant's cache_salt; _default is the empty one",
}
_FORCE: Schema = {"type": "boolean", "description": "leased and pinned objects, too"}
_TIER: Schema = {"type": "string", "enum": ["l1", "l2", "all"]}
_SELECTION: dict[str, Schema] = {"key": QUERY_KEYS, "namespace": SPACE, "tenant": _TENANT}
_BODY_SELECTION: dict[str, Schema] = {"keys": KEYS, "namespace": SPACE, "tenant": _TENANT}
_LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": 4096}
_CURSOR: Schema = {"type": "string", "pattern": "^[0-9]{1,19}$"}
_NO_TIER = "no tier is configured: all that the daemon has is hot already"


def salt_of(text: str) -> str:
    """Return the salt that an operator means. Raises Refusal for one that cannot be."""
    salt = "" if text == DEFAULT_TENANT else text
    if len(salt.encode(errors="replace")) > 255 or not salt.isprintable():
        raise Refusal(400, "invalid", "a tenant is at most 255 bytes of printable UTF-8")
    return salt


def _selector(given: dict[str, Any]) -> Selector:
    keys = given.get("keys", given.get("key"))
    tenant = given.get("tenant")
    return Selector(
        given.get("namespace"),
        None if tenant is None else salt_of(tenant),
        None if keys is None else [bytes.fromhex(key) for key in keys],
    )


def _chosen(given: dict[str, Any]) -> Selector:
    selector = _selector(given)
    if selector == EVERYTHING:
        raise Refusal(400, "invalid", "needs keys, a namespace or a tenant")
    return selector


def _cleared(cleared: Cleared) -> web.Response:
    return json_reply({"status": "ok", **dataclasses.asdict(cleared)})


async def clear_all(call: Call) -> web.Response:
    """Forget every hot object, leased and pinned ones too."""
    return _cleared(await call.link.ask(partial(Operator.clear, force=True)))


async def clear(call: Call) -> web.Response:
    """Forget every object of a tier."""
    tier = call.body.get("tier", "l1")
    if tier != "all" and (await call.link.snapshot())["tiers"]:
        raise Refusal(501, "unsupported", "an object is forgotten in all tiers at once: say all")
    if tier == "l2":
        raise Refusal(409, "no_tier", _NO_TIER)
    force = call.body.get("force", False)
    return _cleared(await call.link.ask(partial(Operator.clear, force=force)))


async def list_objects(call: Call) -> web.Response:
    """List objects, a page at a time."""
    selector = _selector(call.query)
    cursor = int(call.query.get("cursor", "0"))
    limit = call.query.get("limit", 100)

    def page(operator: Operator) -> tuple[Sequence[Listed], int]:
        return operator.page(selector, cursor=cursor, limit=limit)

    objects, following = await call.link.ask(page)
    return json_reply(
        {
            "objects": [_object(one) for one in objects],
            "cursor": str(following) if following else None,
        }
    )


def _object(one: Listed) -> dict[str, Any]:
    facts = dataclasses.asdict(one)
    facts["namespace"] = facts.pop("space")
    return facts | {
        "key": one.key.hex(),
        "parent": None if one.parent is None else one.parent.hex(),
    }


async def clear_objects(call: Call) -> web.Response:
    """Forget the objects that match."""
    force = call.query.pop("force", False)
    return _cleared(await call.link.ask(partial(_clear, _chosen(call.query), force)))


def _clear(selector: Selector, force: bool, operator: Operator) -> Cleared:
    return operator.clear(selector, force=force)


async def pin(call: Call) -> web.Response:
    """Keep what matches from being evicted."""
    return await _pin(call, call.body, pinned=True)


async def unpin(call: Call) -> web.Response:
    """Let what matches be evicted again."""
    return await _pin(call, call.query, pinned=False)


async def _pin(call: Call, given: dict[str, Any], *, pinned: bool) -> web.Response:
    selector = _chosen(given)
    changed = await call.link.ask(lambda operator: operator.pin(selector, pinned=pinned))
    return json_reply({"status": "ok", "changed": changed})


async def prefetch(call: Call) -> web.Response:
    """Load cold objects into the arena."""
    if not (await call.link.snapshot())["tiers"]:
        raise Refusal(409, "no_tier", _NO_TIER)
    raise Refusal(501, "unsupported", "this daemon cannot prefetch on an operator's word")


async def prefetch_progress(call: Call) -> web.Response:
    """Tell how far a prefetch is."""
    raise Refusal(404, "not_found", f"no prefetch {call.path['id'][:64]!r}")


_KEPT = {200: "done; `kept` matched, but is leased or pinned"}
_ABSENT = {409: "there is no tier", 501: "this daemon cannot"}
ROUTES = (
    Route(
        *("POST", "/clear-cache", "clear_cache", "Forget every hot object, by force"),
        clear_all,
        changes=True,
    ),
    Route(
        *("POST", "/cache/clear", "clear_tier", "Forget every object of a tier"),
        clear,
        changes=True,
        body=closed({"tier": _TIER, "force": {"type": "boolean"}}),
        replies=_KEPT | _ABSENT,
    ),
    Route(
        *("GET", "/cache/objects", "list_objects", "Objects, a page at a time"),
        list_objects,
        query={**_SELECTION, "limit": _LIMIT, "cursor": _CURSOR},
    ),
    Route(
        *("DELETE", "/cache/objects", "clear_objects", "Forget the objects that match"),
        clear_objects,
        changes=True,
        query={**_SELECTION, "force": _FORCE},
        replies=_KEPT,
    ),
    Route(
        *("POST", "/cache/pins", "pin", "Keep what matches from being evicted"),
        pin,
        changes=True,
        body=closed(_BODY_SELECTION),
        body_required=True,
    ),
    Route(
        *("DELETE", "/cache/pins", "unpin", "Let what matches be evicted again"),
        unpin,
        changes=True,
        query=_SELECTION,
    ),
    Route(
        *("POST", "/cache/prefetches", "prefetch", "Load cold objects into the arena"),
        prefetch,
        changes=True,
        body=closed(_BODY_SELECTION),
        body_required=True,
        replies={202: "under way"} | _ABSENT,
    ),
    Route(
        *("GET", "/cache/prefetches/{id}", "prefetch_progress", "How far a prefetch is"),
        prefetch_progress,
        arguments={"id": {"type": "string", "minLength": 1, "maxLength": 64}},
        replies={200: "how far it is", 404: "there is no such prefetch"},
    ),
)
