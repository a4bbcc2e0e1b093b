"""Whether the daemon does its work: not that it answers, but that what is stored can be read.

A probe reserves one page of the arena, commits it, leases it and reads it back, and forgets it. It
counts in the metrics like any other use. Probes that come within two seconds share one.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from lmcd.admin.link import Link
from lmcd.errors import LmcdError
from lmcd.grants import Outcome
from lmcd.keys import KEY_BYTES, Keys
from lmcd.operate import Selector
from lmcd.session import Session

_SHARED_S = 2.0
_LENGTH = 4096
_NAMESPACE = "lmcd healthcheck"
_WHY = {
    Outcome.NO_SPACE: "the arena is full, and nothing in it may be evicted",
    Outcome.REFUSED: "the tenant _default has no quota left (under IsolatedLRU it needs one)",
}
# States of a tier that takes no part: one that is paused does not by an operator's wish.
_ILL = ("down",)


class Unhealthy(Exception):
    """Why the daemon is not healthy."""


class Health:
    """Probes the daemon behind a link. **Thread safety**: one event loop."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._one_at_a_time = asyncio.Lock()
        self._probed = -_SHARED_S
        self._reason: str | None = None

    async def reason(self) -> str | None:
        """Return why the daemon is not healthy; None when it is."""
        async with self._one_at_a_time:
            if time.monotonic() - self._probed >= _SHARED_S:
                self._reason = await self._probe()
                self._probed = time.monotonic()
            return self._reason

    async def _probe(self) -> str | None:
        try:
            await self._link.tell(probe)
            return ill_tier(await self._link.snapshot())
        except (LmcdError, Unhealthy) as error:
            return str(error)


def probe(session: Session) -> None:
    """Store an object, read it back, forget it. Raises Unhealthy, or what the calls do."""
    space = session.namespace(_NAMESPACE)
    keys = Keys(os.urandom(KEY_BYTES))
    written = os.urandom(_LENGTH)
    with space.reserve(keys, length=_LENGTH) as writing:
        outcome = writing.grants[0].outcome
        if outcome is not Outcome.RESERVED:
            raise Unhealthy(f"reserve: {_WHY.get(outcome, outcome.name)}")
        writing[0].copy_from(written)
        writing.commit()
    try:
        with space.acquire(keys) as reading:
            outcome = reading.grants[0].outcome
            if outcome is not Outcome.LEASED:
                raise Unhealthy(f"acquire after commit: {outcome.name}")
            if bytes(reading[0]) != written:
                raise Unhealthy("acquire after commit: other bytes than were written")
    finally:
        session.operator.clear(Selector(keys=keys), force=True)
        space.close()


def ill_tier(snapshot: dict[str, Any]) -> str | None:
    """Return what is wrong with the first tier that is not alive; None when all are."""
    for tier in snapshot["tiers"]:
        if tier["health"] in _ILL:
            return f"tier {tier['tier']} ({tier['type']}) is {tier['health']}: {tier['reason']}"
    return None
