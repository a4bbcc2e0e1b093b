"""The only door to the C library: `ffi`, `lib`, and `check`, which every call passes through."""

from collections.abc import Callable
from typing import Any

from lmcd import errors
from lmcd._native import ffi, lib

_EXCEPTIONS: dict[int, type[errors.LmcdError]] = {
    lib.LMCD_E_INVALID: errors.InvalidArgument,
    lib.LMCD_E_UNSUPPORTED: errors.Unsupported,
    lib.LMCD_E_NO_DAEMON: errors.NoDaemon,
    lib.LMCD_E_SESSION_LOST: errors.SessionLost,
    lib.LMCD_E_FORKED: errors.Forked,
    lib.LMCD_E_TIMEOUT: errors.TimedOut,
    lib.LMCD_E_VERSION: errors.VersionMismatch,
    lib.LMCD_E_DENIED: errors.Denied,
    lib.LMCD_E_LIMIT: errors.LimitReached,
    lib.LMCD_E_PROTOCOL: errors.ProtocolViolation,
    lib.LMCD_E_IO: errors.SystemFault,
    lib.LMCD_E_NO_MEMORY: errors.NoMemory,
    lib.LMCD_E_LEASE_LOST: errors.LeaseLost,
    lib.LMCD_E_CORRUPT: errors.Corrupt,
    lib.LMCD_E_NOT_FOUND: errors.NotFound,
}


def check(function: Callable[..., int], *arguments: Any) -> None:
    """Call a function of the library with `arguments` and a place for its error.

    Raises the exception of the code that it answers, unless that is LMCD_OK.
    """
    error = ffi.new("lmcd_error_t *")
    code = function(*arguments, error)
    if code != lib.LMCD_OK:
        text = ffi.string(error.text).decode(errors="replace")
        raise _EXCEPTIONS.get(code, errors.LmcdError)(text)


__all__ = ["check", "ffi", "lib"]
