"""The only door to the C library: `ffi`, `lib`, and `check`, which every call passes through."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lmcd import errors

_CODES = {
    "LMCD_E_INVALID": errors.InvalidArgument,
    "LMCD_E_UNSUPPORTED": errors.Unsupported,
    "LMCD_E_NO_DAEMON": errors.NoDaemon,
    "LMCD_E_SESSION_LOST": errors.SessionLost,
    "LMCD_E_FORKED": errors.Forked,
    "LMCD_E_TIMEOUT": errors.TimedOut,
    "LMCD_E_VERSION": errors.VersionMismatch,
    "LMCD_E_DENIED": errors.Denied,
    "LMCD_E_LIMIT": errors.LimitReached,
    "LMCD_E_PROTOCOL": errors.ProtocolViolation,
    "LMCD_E_IO": errors.SystemFault,
    "LMCD_E_NO_MEMORY": errors.NoMemory,
    "LMCD_E_LEASE_LOST": errors.LeaseLost,
    "LMCD_E_CORRUPT": errors.Corrupt,
    "LMCD_E_NOT_FOUND": errors.NotFound,
}

if TYPE_CHECKING:

    class Held:
        """A reference that the cycle collector does not see (native/held.c).

        With an address and a length it exports these bytes as a writable buffer; an address
        alone is that of a handle, for the C code beside it.
        """

        object: Any

        def __init__(self, object: Any, address: int = 0, length: int = 0) -> None: ...
        def __buffer__(self, flags: int) -> memoryview: ...

    class Asked:
        """Has a subclass's `_before_export()` called before its buffer is exported."""

    class PresenceArray:
        """The answer of a lookup, one entry per key (native/presence.c)."""

        space: Held

        def __init__(self, space: Held, count: int) -> None: ...
        def __len__(self) -> int: ...
        def __buffer__(self, flags: int) -> memoryview: ...

    def look_up(
        kind: type[PresenceArray], session: Held | None, space: Held | None, keys: bytes
    ) -> Any:
        """Look keys up; None where lmcd_lookup has to say why not."""

    def acquire_posted(session: Held | None, request: int, grants: int, lease: int) -> int:
        """Call lmcd_acquire_posted with the GIL kept; return its code (native/posted.c)."""


REBUILD = "rebuild it: make build in a checkout, else pip install . again"

try:
    from lmcd._native import ffi, lib

    _EXCEPTIONS: dict[int, type[errors.LmcdError]] = {
        getattr(lib, name): kind for name, kind in _CODES.items()
    }
    if not TYPE_CHECKING and lib.lmcd_add_types(ffi.cast("void *", id(globals()))):
        raise MemoryError
except (ImportError, AttributeError) as error:
    raise ImportError(f"lmcd._native does not fit this package ({error}); {REBUILD}") from None

# The library writes the text before it answers a fault, so nobody reads it before.
_new_error = ffi.new_allocator(should_clear_after_alloc=False)
_ERROR = ffi.typeof("lmcd_error_t *")


def check(function: Callable[..., int], *arguments: Any) -> None:
    """Call a function of the library with `arguments` and a place for its error.

    Raises the exception of the code that it answers, unless that is LMCD_OK.
    """
    error = _new_error(_ERROR)
    code = function(*arguments, error)
    if code:
        raise _exception(code, ffi.string(error.text).decode(errors="replace"))


def _exception(code: int, text: str) -> errors.LmcdError:
    return _EXCEPTIONS.get(code, errors.LmcdError)(text)


def address_of(pointer: Any) -> int:
    """Return where a C object is, for the C code of the bindings."""
    return int(ffi.cast("intptr_t", pointer))


def own(handle: Any, close: Callable[[Any], None]) -> Held:
    """Own a C handle: it is closed when the last reference to what is returned is gone.

    A call that takes `held.object` keeps it, so closing never races with another use.
    """
    return Held(ffi.gc(handle, close), address_of(handle))


def text_of(name: str, value: str) -> bytes:
    """Encode a string for C, where a NUL would silently end it."""
    if "\0" in value:
        raise errors.InvalidArgument(f"{name} {value!r}: must not contain NUL")
    return value.encode()


def number_of(name: str, value: int, bits: int = 32) -> int:
    """Return `value`, which C takes as an unsigned number of so many bits."""
    if not 0 <= value < 1 << bits:
        raise errors.InvalidArgument(f"{name} is {value}: must be 0 to 2^{bits} - 1")
    return value


def library_version() -> str:
    """Return the version of the library."""
    return str(ffi.string(lib.lmcd_version()).decode())


__all__ = [
    "REBUILD",
    "Asked",
    "Held",
    "PresenceArray",
    "acquire_posted",
    "address_of",
    "check",
    "ffi",
    "lib",
    "library_version",
    "look_up",
    "number_of",
    "own",
    "text_of",
]
