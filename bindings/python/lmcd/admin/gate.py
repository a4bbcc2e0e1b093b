"""Who may change something.

On a Unix socket: whoever may open it. On a loopback address: every process of the machine, but no
page of a browser (a page of another origin can send a POST, and a name that resolves to 127.0.0.1
makes it the same origin). On any other address: whoever has the token.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from aiohttp import web

from lmcd.admin.replies import Refusal
from lmcd.admin.settings import Settings, is_loopback

_SCHEME = "bearer"


def admit(request: web.Request, settings: Settings) -> None:
    """Raise Refusal unless the request may change something."""
    if _has_token(request, settings.token):
        return
    own_socket = _is_unix(request)
    if not own_socket and not settings.loopback:
        if not settings.token:
            raise Refusal(
                403,
                "no_token_file",
                f"nothing can be changed on {settings.http_host} without a token: start the "
                "server with --http-token-file, or use a loopback address or --http-socket",
            )
        raise Refusal(401, "token", "needs the header Authorization: Bearer <token>")
    _refuse_browsers(request, own_socket)


def _has_token(request: web.Request, token: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if not token or scheme.lower() != _SCHEME:
        return False
    return hmac.compare_digest(given.strip().encode(errors="surrogateescape"), token.encode())


def _is_unix(request: web.Request) -> bool:
    transport = request.transport
    return transport is not None and isinstance(transport.get_extra_info("sockname"), str)


def _refuse_browsers(request: web.Request, own_socket: bool) -> None:
    origin = request.headers.get("Origin")
    if origin is not None and _split(origin)[0] != request.host:
        raise Refusal(403, "origin", f"pages of {origin} may change nothing here")
    host = _split(f"//{request.host}")[1]
    if not own_socket and not is_loopback(host):
        raise Refusal(403, "host", f"{host!r} is no name of a loopback address")


def _split(url: str) -> tuple[str, str]:
    """Return where a URL leads, with the port and without; empty where it is none."""
    try:
        parts = urlsplit(url)
        return parts.netloc, parts.hostname or ""
    except ValueError:
        return "", ""
