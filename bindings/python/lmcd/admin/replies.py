"""What a call answers when it cannot do what it was asked: JSON with a reason."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from lmcd import errors

# The first that fits counts.
_STATUS = (
    (errors.NoDaemon, 503, "no_daemon"),
    (errors.SessionLost, 503, "no_daemon"),
    (errors.TimedOut, 504, "timeout"),
    (errors.Denied, 403, "denied"),
    (errors.NotFound, 404, "not_found"),
    (errors.InvalidArgument, 400, "invalid"),
    (errors.LimitReached, 429, "limit"),
    (errors.Unsupported, 501, "unsupported"),
    (errors.Released, 503, "stopping"),
    (errors.LmcdError, 500, "fault"),
)


class Refusal(Exception):
    """A call that is not done; `status` is of HTTP, `code` a word for programs."""

    def __init__(self, status: int, code: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.code = code
        self.reason = reason


def refusal_of(error: BaseException) -> Refusal:
    """Return the answer to a fault."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, web.HTTPException):
        return Refusal(error.status, error.reason.lower().replace(" ", "_"), error.reason)
    for kind, status, code in _STATUS:
        if isinstance(error, kind):
            return Refusal(status, code, str(error))
    return Refusal(500, "fault", f"{type(error).__name__}: {error}")


def json_reply(facts: Any, status: int = 200) -> web.Response:
    """Return facts as JSON that nobody keeps; keys of the cache are hexadecimal."""
    text = json.dumps(facts, ensure_ascii=False)
    return web.Response(
        text=text,
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def refuse(refusal: Refusal) -> web.Response:
    """Return a refusal as the reply that it is."""
    reply = json_reply({"code": refusal.code, "reason": refusal.reason}, refusal.status)
    if refusal.status == 401:
        reply.headers["WWW-Authenticate"] = "Bearer"
    return reply
