"""Supervision of the daemon, as systemd would do it: sd_notify(3), sd_listen_fds(3).

    start -> READY=1 -> (dies -> start again at once, later ones after a growing pause) ...

What the daemon stores (FDSTORE=1) is kept open here and handed to its successor by LISTEN_FDS,
so an arena of memfds outlives it. A daemon that ends before it was ever ready, ends with
status 0 by itself, or refuses its options (status 2) is not started again.

One thread, and no other: it forks.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import selectors
import signal
import socket
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from lmcd.cli.companion import Companion, signal_name

FIRST_INHERITED = 3  # SD_LISTEN_FDS_START
KEPT_DESCRIPTORS = 64  # as many as a daemon takes
REFUSED_OPTIONS = 2  # exit status of a daemon whose options are wrong
CANNOT_RUN = 127

PAUSE_S = 0.1  # before the second start in a row; doubled for each further one
LONGEST_PAUSE_S = 5.0
STEADY_S = 10.0  # a daemon that lived so long begins a new row
ATTEMPTS = 8  # starts in a row that do not get ready
STOP_S = 60.0  # to stop in, after SIGTERM

# What a supervisor of our own may have told us, and is not for the daemon.
PROTOCOL = (
    *("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"),
    *("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"),
)
_PR_SET_PDEATHSIG = 1  # prctl(2)
_CREDENTIALS = struct.Struct("3i")
_FORWARDED = {signal.SIGTERM: signal.SIGTERM, signal.SIGINT: signal.SIGTERM}


class DescriptorStore:
    """Descriptors that outlive the process that stored them, by name."""

    def __init__(self) -> None:
        self._kept: list[tuple[str, int]] = []

    def __len__(self) -> int:
        return len(self._kept)

    def names(self) -> list[str]:
        """Return the names, in the order in which they are handed over."""
        return [name for name, _ in self._kept]

    def descriptors(self) -> list[int]:
        """Return the descriptors in that order."""
        return [descriptor for _, descriptor in self._kept]

    def keep(self, name: str, descriptor: int) -> None:
        """Take a descriptor; one that is of a file kept under that name is closed."""
        status = os.fstat(descriptor)
        for known, kept in self._kept:
            if known == name and os.path.samestat(os.fstat(kept), status):
                os.close(descriptor)
                return
        if len(self._kept) >= KEPT_DESCRIPTORS:
            os.close(descriptor)
            return
        self._kept.append((name, descriptor))

    def forget(self, name: str) -> None:
        """Close what is kept under a name."""
        for known, descriptor in self._kept:
            if known == name:
                os.close(descriptor)
        self._kept = [one for one in self._kept if one[0] != name]


class _Child:
    """A running daemon."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.descriptor = os.pidfd_open(pid)
        self.started = time.monotonic()
        self.sign = self.started  # of life
        self.ready = False

    def kill(self, number: int) -> None:
        """Send a signal; the process may be gone."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.descriptor, number)

    def reap(self) -> int:
        """Wait for its end, which has come; return its exit status, or minus the signal."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(status)


class Supervisor:
    """Runs `command` until it is told to stop.

    Args: `description`, shown when it is ready; `watchdog_seconds`, 0 for no watchdog;
    `companions`, started when the daemon is first ready, and ended with it.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        watchdog_seconds: float = 0,
        description: str = "",
        companions: Sequence[Companion] = (),
    ) -> None:
        self._command = list(command)
        self._environment = {
            name: value for name, value in environment.items() if name not in PROTOCOL
        }
        self._watchdog_s = watchdog_seconds
        self._description = description
        self._companions = companions
        self._store = DescriptorStore()
        self._selector = selectors.DefaultSelector()
        self._libc = ctypes.CDLL(None)
        self._child: _Child | None = None
        self._stop_by: float | None = None  # when told to stop: the last moment
        self._died: float | None = None  # when the daemon before this one died
        self._was_ready = False

    def run(self) -> int:
        """Supervise. Returns the exit status of the daemon that ended it."""
        with self._notifications() as notify, self._signals() as signals:
            self._notify = notify
            self._selector.register(notify, selectors.EVENT_READ, self._take_notification)
            self._selector.register(signals, selectors.EVENT_READ, self._take_signals)
            self._signal_pipe = signals
            try:
                return self._keep_running()
            finally:
                for companion in self._companions:
                    companion.stop()

    # -- The life of daemons ------------------------------------------------------------------

    def _keep_running(self) -> int:
        attempts = 0
        while True:
            status, child = self._run_one()
            if self._stop_by is not None:
                return max(status, 0) if status >= 0 else 1
            if not self._was_ready or status in (0, REFUSED_OPTIONS):
                return status if status >= 0 else 1
            steady = time.monotonic() - child.started >= STEADY_S
            attempts = 1 if steady else attempts + 1
            if not child.ready and attempts >= ATTEMPTS:
                self._say(f"the daemon did not get ready {attempts} times in a row; giving up")
                return 1
            self._died = time.monotonic()
            pause = 0.0 if attempts <= 1 else min(PAUSE_S * 2 ** (attempts - 2), LONGEST_PAUSE_S)
            self._say(f"the daemon (pid {child.pid}) {_fate(status)}; starting another")
            if not self._pause(pause):
                return 0

    def _run_one(self) -> tuple[int, _Child]:
        """Start a daemon and attend to it until it ends."""
        child = self._child = self._start()
        self._selector.register(child.descriptor, selectors.EVENT_READ, None)
        try:
            while not self._attend(child):
                self._enforce(child)
        finally:
            self._selector.unregister(child.descriptor)
            self._child = None
        # What it said last still counts.
        self._take_notification(child)
        return child.reap(), child

    def _attend(self, child: _Child) -> bool:
        """Wait for something to do, and do it. Returns whether the daemon has ended."""
        ended = False
        for key, _ in self._selector.select(self._patience(child)):
            if key.data is None:
                ended = True
            else:
                key.data(child)
        self._start_companions()
        return ended

    def _patience(self, child: _Child) -> float | None:
        moments = [one.due for one in self._companions if one.due is not None]
        if self._stop_by is not None:
            moments.append(self._stop_by)
        if self._watchdog_s and child.ready:
            moments.append(child.sign + self._watchdog_s)
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _enforce(self, child: _Child) -> None:
        """Kill a daemon that does not stop, or gives no sign of life."""
        now = time.monotonic()
        if self._stop_by is not None:
            if now >= self._stop_by:
                self._say(f"the daemon (pid {child.pid}) did not stop in time; killing it")
                child.kill(signal.SIGKILL)
                self._stop_by = now + STOP_S
        elif self._watchdog_s and child.ready and now >= child.sign + self._watchdog_s:
            self._say(f"the daemon (pid {child.pid}) gives no sign of life; killing it")
            child.kill(signal.SIGKILL)
            child.sign = now

    def _pause(self, seconds: float) -> bool:
        """Wait; returns False when told to stop meanwhile."""
        until = time.monotonic() + seconds
        while self._stop_by is None and (left := until - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                key.data(None)
            self._start_companions()
        return self._stop_by is None

    # -- Companions ---------------------------------------------------------------------------

    def _start_companions(self) -> None:
        """Start those whose time has come."""
        for companion in self._companions:
            if companion.due is None or time.monotonic() < companion.due:
                continue
            if self._stop_by is not None:
                companion.due = None
                continue
            companion.start()
            self._selector.register(
                companion.descriptor,
                selectors.EVENT_READ,
                lambda _, companion=companion: self._take_end_of(companion),
            )

    def _take_end_of(self, companion: Companion) -> None:
        self._selector.unregister(companion.descriptor)
        fate = companion.reap()
        if self._stop_by is None:
            self._say(f"the {companion.name} {fate}; starting another")

    # -- Starting -----------------------------------------------------------------------------

    def _start(self) -> _Child:
        """Fork and execute. LISTEN_PID must be the child's own, so no other way will do."""
        environment = dict(self._environment)
        environment["NOTIFY_SOCKET"] = "@" + self._notify.getsockname()[1:].decode()
        if self._watchdog_s:
            environment["WATCHDOG_USEC"] = str(int(self._watchdog_s * 1e6))
        if len(self._store):
            environment["LISTEN_FDS"] = str(len(self._store))
            environment["LISTEN_FDNAMES"] = ":".join(self._store.names())
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_daemon(environment, parent)
        return _Child(pid)

    def _become_daemon(self, environment: dict[str, str], parent: int) -> None:
        """In the child: never returns."""
        try:
            # A supervisor that is killed takes the daemon with it, in good order.
            self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(CANNOT_RUN)
            # First out of the way, then into their places: neither may overwrite another.
            free = FIRST_INHERITED + len(self._store)
            aside = [
                fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, free) for one in self._store.descriptors()
            ]
            for place, descriptor in enumerate(aside, FIRST_INHERITED):
                os.dup2(descriptor, place, inheritable=True)
            if len(self._store):
                environment["LISTEN_PID"] = str(os.getpid())
            os.execve(self._command[0], self._command, environment)
        except OSError as error:
            os.write(2, f"lmcd: {self._command[0]}: {error.strerror}\n".encode())
        finally:
            os._exit(CANNOT_RUN)

    # -- What comes in ------------------------------------------------------------------------

    def _take_notification(self, child: _Child | None) -> None:
        """Read all messages that are there; those of other processes are passed over."""
        room = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(4 * KEPT_DESCRIPTORS)
        while True:
            try:
                message, attached, _, _ = self._notify.recvmsg(4096, room)
            except BlockingIOError:
                return
            sender, descriptors = _unpack(attached)
            if child is None or sender != child.pid:
                _close(descriptors)
                continue
            self._obey(child, _fields(message), descriptors)

    def _obey(self, child: _Child, fields: dict[str, str], descriptors: list[int]) -> None:
        name = fields.get("FDNAME", "stored")
        if fields.get("FDSTORE") == "1":
            for descriptor in descriptors:
                self._store.keep(name, descriptor)
            descriptors = []
        if fields.get("FDSTOREREMOVE") == "1":
            self._store.forget(name)
        if fields.get("WATCHDOG") == "1":
            child.sign = time.monotonic()
        if fields.get("READY") == "1" and not child.ready:
            if not self._was_ready:
                for companion in self._companions:
                    companion.due = time.monotonic()
            child.ready = self._was_ready = True
            child.sign = time.monotonic()
            self._say_ready(child)
        _close(descriptors)

    def _take_signals(self, child: _Child | None) -> None:
        for number in self._signal_pipe.recv(64):
            if number == signal.SIGHUP:
                if child is not None:
                    child.kill(signal.SIGHUP)
            elif number in (signal.SIGTERM, signal.SIGINT):
                if self._stop_by is None:
                    self._stop_by = time.monotonic() + STOP_S
                if child is not None:
                    child.kill(_FORWARDED[signal.Signals(number)])

    def _notifications(self) -> socket.socket:
        """Open the socket that the daemon reports to, at a name of the kernel's choice."""
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        notify.bind("")
        return notify

    def _signals(self) -> socket.socket:
        """Return a socket that signals can be read from."""
        here, there = socket.socketpair()
        here.setblocking(False)
        there.setblocking(False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
        self._signal_writer = there
        return here

    # -- What it says -------------------------------------------------------------------------

    def _say_ready(self, child: _Child) -> None:
        again = ""
        if self._died is not None:
            again = f" again after {time.monotonic() - self._died:.2f} s"
        self._say(f"ready{again}: {self._description}, pid {child.pid}")

    def _say(self, text: str) -> None:
        print(f"lmcd: {text}", file=sys.stderr, flush=True)


def _fate(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    return f"was killed by {signal_name(-status)}"


def _fields(message: bytes) -> dict[str, str]:
    lines = message.decode(errors="replace").splitlines()
    return {name: value for name, equals, value in (line.partition("=") for line in lines)}


def _unpack(attached: Sequence[tuple[int, int, bytes]]) -> tuple[int, list[int]]:
    """Return the sender's pid and the descriptors that came with a message."""
    sender, descriptors = 0, list[int]()
    for level, kind, data in attached:
        if level != socket.SOL_SOCKET:
            continue
        if kind == socket.SCM_CREDENTIALS:
            sender = _CREDENTIALS.unpack_from(data)[0]
        elif kind == socket.SCM_RIGHTS:
            whole = len(data) // 4
            descriptors += struct.unpack(f"{whole}i", data[: 4 * whole])
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return sender, descriptors


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
