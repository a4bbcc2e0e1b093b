"""Calls about quotas of tenants."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from lmcd.admin.calls_cache import DEFAULT_TENANT, salt_of
from lmcd.admin.replies import Refusal, json_reply
from lmcd.admin.route import Call, Route
from lmcd.admin.schema import BYTES, SALT, closed
from lmcd.operate import Operator, Quota

_GIB = 1 << 30
_ONE = {"cache_salt": SALT}


def _facts(quota: Quota) -> dict[str, Any]:
    return {
        "cache_salt": quota.tenant or DEFAULT_TENANT,
        "limit_bytes": quota.limit_bytes,
        "used_bytes": quota.used_bytes,
    }


async def list_quotas(call: Call) -> web.Response:
    """Tell quota and use of all known tenants."""
    quotas = await call.link.ask(_all)
    return json_reply({"quotas": [_facts(one) for one in quotas]})


def _all(operator: Operator) -> list[Quota]:
    return list(operator.quotas())


async def get_quota(call: Call) -> web.Response:
    """Tell quota and use of one tenant."""
    salt = salt_of(call.path["cache_salt"])
    for one in await call.link.ask(_all):
        if one.tenant == salt:
            return json_reply(_facts(one))
    raise Refusal(404, "not_found", f"no tenant {call.path['cache_salt']!r} is known")


async def put_quota(call: Call) -> web.Response:
    """Set the quota of a tenant, in bytes or in GiB."""
    if len(call.body) != 1:
        raise Refusal(400, "invalid", "takes either limit_bytes or limit_gb")
    salt = salt_of(call.path["cache_salt"])
    limit = call.body.get("limit_bytes", int(call.body.get("limit_gb", 0) * _GIB))
    await call.link.ask(lambda operator: operator.set_quota(salt, limit))
    return json_reply({"cache_salt": call.path["cache_salt"], "limit_bytes": limit})


async def delete_quota(call: Call) -> web.Response:
    """Remove the quota of a tenant."""
    salt = salt_of(call.path["cache_salt"])
    await call.link.ask(lambda operator: operator.set_quota(salt, None))
    return json_reply({"cache_salt": call.path["cache_salt"], "limit_bytes": None})


_UNKNOWN = {200: "done", 404: "there is none"}
_PATH = "/quota/{cache_salt}"
ROUTES = (
    Route("GET", "/quota", "list_quotas", "Quota and use of all known tenants", list_quotas),
    Route(
        *("GET", _PATH, "get_quota", "Quota and use of one tenant"),
        get_quota,
        arguments=_ONE,
        replies=_UNKNOWN,
    ),
    Route(
        *("PUT", _PATH, "put_quota", "Set the quota of a tenant; kept across restarts"),
        put_quota,
        changes=True,
        arguments=_ONE,
        body=closed(
            {
                "limit_bytes": BYTES,
                "limit_gb": {"type": "number", "minimum": 0, "maximum": 1048576},
            }
        ),
        body_required=True,
    ),
    Route(
        *("DELETE", _PATH, "delete_quota", "Remove the quota of a tenant"),
        delete_quota,
        changes=True,
        arguments=_ONE,
        replies=_UNKNOWN,
    ),
)
