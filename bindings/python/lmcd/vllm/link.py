"""The connection of one half of the connector to the daemon, kept up in the background.

vLLM's threads only look at it: whether there is a session, a namespace, a mapping. What waits
for the daemon (connecting, naming a namespace, a sign of life) happens on this thread alone, so
no step of the engine ever waits for a daemon that is down, stopped or slow.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from lmcd.errors import LmcdError
from lmcd.mapping import Mapping
from lmcd.namespace import Group, Namespace
from lmcd.session import Session
from lmcd.vllm.options import Options

logger = logging.getLogger("vllm.lmcd")


class Link:
    """A session that comes and goes with the daemon.

    **Thread safety**: every property may be read by any thread; each is one reference.
    """

    def __init__(
        self, options: Options, name: str, groups: Sequence[Group], rank_count: int
    ) -> None:
        self._options = options
        self._name = name
        self._groups = groups
        self._rank_count = rank_count
        self._session: Session | None = None
        self._mapping: Mapping | None = None
        self._incarnation = b""
        self._alive = False
        self._told_well: bool | None = None
        self._wanted: set[str] = set()
        self._spaces: dict[str, Namespace] = {}
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._looked = threading.Event()
        self._named = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="lmcd-link", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the daemon answered when it was last asked."""
        return self._alive

    @property
    def incarnation(self) -> bytes:
        """Of the arena that this process maps; empty before there is one."""
        return self._incarnation

    @property
    def mapping(self) -> Mapping | None:
        """The arena in this process's memory, whether the daemon answers or not."""
        return self._mapping

    def named(self) -> list[str]:
        """Return the texts of the namespaces that the daemon has named."""
        return list(self._spaces)

    def space(self, description: str, timeout_ms: int = 0) -> Namespace | None:
        """Return a namespace; None while the daemon has not named it.

        Waits for that at most `timeout_ms`, while the daemon is there.
        """
        space = self._spaces.get(description)
        if space is not None:
            return space
        if description not in self._wanted:
            self._wanted.add(description)
            self._wake.set()
        if timeout_ms and self._alive:
            with self._named:
                self._named.wait_for(lambda: description in self._spaces, timeout_ms / 1000)
        return self._spaces.get(description)

    def wait_for_first_look(self, timeout_ms: int) -> bool:
        """Wait until the daemon was found or missed once; return whether it is there."""
        self._looked.wait(timeout_ms / 1000)
        return self._alive

    def close(self) -> None:
        """End the session. Waits for this thread at most as long as a call may take."""
        self._closing.set()
        self._wake.set()
        self._thread.join(self._options.timeout_ms / 1000 + 1)
        session, self._session = self._session, None
        self._alive = False
        self._mapping = None
        if session is not None:
            session.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._look()
                self._tell(None)
            except LmcdError as error:
                self._alive = False
                self._tell(error)
            self._looked.set()
            self._wake.wait(self._options.heartbeat_interval_ms / 1000)
            self._wake.clear()

    def _look(self) -> None:
        if self._session is None:
            self._session = Session(
                self._options.socket, name=self._name, timeout_ms=self._options.timeout_ms
            )
        session = self._session
        session.ping()
        incarnation = session.info().incarnation
        if incarnation != self._incarnation:
            self._mapping = session.mapping()
            self._incarnation = incarnation
        for description in sorted(self._wanted - self._spaces.keys()):
            self._spaces[description] = session.namespace(
                description, groups=self._groups, rank_count=self._rank_count
            )
            with self._named:
                self._named.notify_all()
        self._alive = True

    def _tell(self, trouble: LmcdError | None) -> None:
        """Log a change, once: while it lasts the same trouble has many texts."""
        if (trouble is None) == self._told_well:
            return
        self._told_well = trouble is None
        if trouble is None:
            assert self._session is not None
            info = self._session.info()
            logger.info("lmcd: connected to daemon %s, pid %d", info.instance_id, info.daemon_pid)
        else:
            logger.warning(
                "lmcd: no cache for now, the engine goes on without: %s: %s",
                type(trouble).__name__,
                trouble,
            )
