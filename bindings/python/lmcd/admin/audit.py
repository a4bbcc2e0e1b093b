"""One line for each call that would change something: who, what, and how it ended.

On stderr, in the form of the daemon's log. The daemon writes its own line for each admin verb,
whoever asks for it.
"""

from __future__ import annotations

import json
import sys
import time

from aiohttp import web


def record(request: web.Request, name: str, status: int, reason: str) -> None:
    """Write the line of one call."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    fields = {
        "call": name,
        "path": request.path_qs[:512],
        "from": request.remote or "unix",
        "status": str(status),
    }
    if reason:
        fields["reason"] = reason
    text = " ".join(f"{field}={json.dumps(value)}" for field, value in fields.items())
    print(f"{moment} info admin.call {text}", file=sys.stderr, flush=True)
