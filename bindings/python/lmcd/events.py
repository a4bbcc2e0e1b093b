"""The daemon's events, as they happen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from lmcd._ffi import check, ffi, lib

if TYPE_CHECKING:
    from lmcd.session import Session

_BATCH = 256
_NO_KEY = bytes(32)


class EventKind(IntEnum):
    """What happened."""

    COMMITTED = lib.LMCD_EVENT_COMMITTED
    EVICTED = lib.LMCD_EVENT_EVICTED
    CLEARED = lib.LMCD_EVENT_CLEARED
    REFUSED = lib.LMCD_EVENT_REFUSED
    MISSED = lib.LMCD_EVENT_MISSED
    ABORTED = lib.LMCD_EVENT_ABORTED


@dataclass(frozen=True)
class Event:
    """One event.

    **Units**: time_ms of Unix time, bytes. `count` is of MISSED: how many events were dropped;
    `code` (its name) and `lease` of REFUSED. A root has no parent.
    """

    kind: EventKind
    sequence: int
    time_ms: int
    space: int
    key: bytes
    parent: bytes | None
    depth: int
    rank: int
    group: int
    bytes: int
    count: int
    lease: int
    code: str


def event_of(one: Any) -> Event:
    """Decode a C event."""
    parent = bytes(ffi.buffer(one.parent.bytes))
    return Event(
        kind=EventKind(one.kind),
        sequence=one.sequence,
        time_ms=one.time_ms,
        space=one.space,
        key=bytes(ffi.buffer(one.key.bytes)),
        parent=None if parent == _NO_KEY else parent,
        depth=one.depth,
        rank=one.part.rank,
        group=one.part.group,
        bytes=one.bytes,
        count=one.count,
        lease=one.lease,
        code=ffi.string(lib.lmcd_code_name(one.code)).decode(),
    )


def next_events(session: Session, timeout_ms: int) -> list[Event]:
    """Take the events that are there, waiting at most `timeout_ms` for the first."""
    events = ffi.new("lmcd_event_t[]", _BATCH)
    count = ffi.new("uint32_t *")
    check(lib.lmcd_events_next, session.cdata, events, _BATCH, timeout_ms, count)
    return [event_of(events[at]) for at in range(count[0])]


def iterate(session: Session, wait_ms: int = 250) -> Iterator[Event]:
    """Yield events without end; a signal is seen within `wait_ms`."""
    while True:
        yield from next_events(session, wait_ms)
