"""lmcd keeps the KV cache of LLM inference engines outside the engine process.

    import lmcd

    with lmcd.Session() as session:
        space = session.namespace("model=tiny\\ndtype=float32")
        keys = space.chain().extend(tokens)
        with space.reserve(keys, length=n) as lease: ...
        with space.acquire(keys) as lease: ...

Importing it has no side effect. What stands in `__all__` is public, and nothing else.
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from lmcd._ffi import library_version as _library_version
from lmcd.copy import Page, Pages
from lmcd.errors import (
    Corrupt,
    Denied,
    Forked,
    InvalidArgument,
    LeaseLost,
    LimitReached,
    LmcdError,
    NoDaemon,
    NoMemory,
    NotFound,
    ProtocolViolation,
    Released,
    SessionLost,
    SystemFault,
    TimedOut,
    Unsupported,
    VersionMismatch,
)
from lmcd.events import Event, EventKind
from lmcd.grants import Grant, Grants, Outcome
from lmcd.keys import KEY_BYTES, KeyChain, Keys, fingerprint
from lmcd.lease import Buffer, ReadLease, WriteLease
from lmcd.mapping import Mapping
from lmcd.namespace import Group, Namespace
from lmcd.operate import Cleared, Listed, Operator, Quota, Selector
from lmcd.presence import KeyPresence, Presence
from lmcd.segment import Segment, Transfer
from lmcd.session import Session, SessionInfo

if _TYPE_CHECKING:
    from lmcd.aio import AsyncNamespace, AsyncSession

__version__: str = _library_version()

__all__ = [
    "KEY_BYTES",
    "AsyncNamespace",
    "AsyncSession",
    "Buffer",
    "Cleared",
    "Corrupt",
    "Denied",
    "Event",
    "EventKind",
    "Forked",
    "Grant",
    "Grants",
    "Group",
    "InvalidArgument",
    "KeyChain",
    "KeyPresence",
    "Keys",
    "LeaseLost",
    "LimitReached",
    "Listed",
    "LmcdError",
    "Mapping",
    "Namespace",
    "NoDaemon",
    "NoMemory",
    "NotFound",
    "Operator",
    "Outcome",
    "Page",
    "Pages",
    "Presence",
    "ProtocolViolation",
    "Quota",
    "ReadLease",
    "Released",
    "Segment",
    "Selector",
    "Session",
    "SessionInfo",
    "SessionLost",
    "SystemFault",
    "TimedOut",
    "Transfer",
    "Unsupported",
    "VersionMismatch",
    "WriteLease",
    "__version__",
    "fingerprint",
]


def __getattr__(name: str) -> object:
    # Importing asyncio takes longer than all the rest: only those who use it pay.
    if name in ("AsyncNamespace", "AsyncSession"):
        from lmcd import aio

        return getattr(aio, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
