"""The exceptions of lmcd.

    LmcdError
    ├── InvalidArgument      LMCD_E_INVALID      also a ValueError
    ├── Unsupported          LMCD_E_UNSUPPORTED
    ├── NoDaemon             LMCD_E_NO_DAEMON    also a ConnectionError
    ├── SessionLost          LMCD_E_SESSION_LOST also a ConnectionError
    ├── Forked               LMCD_E_FORKED
    ├── TimedOut             LMCD_E_TIMEOUT      also a TimeoutError
    ├── VersionMismatch      LMCD_E_VERSION
    ├── Denied               LMCD_E_DENIED       also a PermissionError
    ├── LimitReached         LMCD_E_LIMIT
    ├── ProtocolViolation    LMCD_E_PROTOCOL
    ├── SystemFault          LMCD_E_IO           also an OSError
    ├── NoMemory             LMCD_E_NO_MEMORY    also a MemoryError
    ├── LeaseLost            LMCD_E_LEASE_LOST
    ├── Corrupt              LMCD_E_CORRUPT
    ├── NotFound             LMCD_E_NOT_FOUND    also a LookupError
    └── Released             (of Python alone)   also a ValueError

A miss is no exception: what may be absent is an outcome and part of what a call returns.
"""


class LmcdError(Exception):
    """A fault that the library or the daemon reported; its text says what and where."""


class InvalidArgument(LmcdError, ValueError):
    """An argument is wrong; the text names it."""


class Unsupported(LmcdError):
    """Known, but not by this build or this daemon."""


class NoDaemon(LmcdError, ConnectionError):
    """Nobody answers at the socket."""


class SessionLost(LmcdError, ConnectionError):
    """The session ended; every lease of before is void."""


class Forked(LmcdError):
    """The object belongs to the parent process."""


class TimedOut(LmcdError, TimeoutError):
    """The wait reached its bound."""


class VersionMismatch(LmcdError):
    """The peer is too old or too new; the text says which."""


class Denied(LmcdError, PermissionError):
    """This user may not."""


class LimitReached(LmcdError):
    """A named limit is reached."""


class ProtocolViolation(LmcdError):
    """A malformed message."""


class SystemFault(LmcdError, OSError):
    """The operating system said no; the text has its reason."""


class NoMemory(LmcdError, MemoryError):
    """Memory cannot be had."""


class LeaseLost(LmcdError):
    """The lease ended before the copy did: the bytes do not count."""


class Corrupt(LmcdError):
    """A checksum does not match."""


class NotFound(LmcdError, LookupError):
    """What was named does not exist."""


class Released(LmcdError, ValueError):
    """A buffer, view, lease or session was used after its end."""
