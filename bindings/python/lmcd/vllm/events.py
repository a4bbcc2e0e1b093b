"""What the daemon stores and forgets of this engine's namespaces, as vLLM's KV cache events.

A thread of its own follows the daemon's stream and keeps what is there; what vLLM takes is the
difference between that and what it was told last. So nothing queues up while the engine is idle,
and whatever was missed (the stream fell behind, the daemon was away or came back empty) is made up
by listing again: a consumer that replays all events has what `lmcd ls` shows.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Mapping

from lmcd.errors import LmcdError
from lmcd.events import Event, EventKind
from lmcd.operate import Selector
from lmcd.session import Session
from lmcd.vllm import versions
from lmcd.vllm.options import Options

logger = logging.getLogger("vllm.lmcd")

_WAIT_MS = 250  # for events: how soon a new namespace and the end are seen
_TOLD_AT_ONCE = 4096  # objects a step, so that a full arena does not hold one up
_GONE = (EventKind.EVICTED, EventKind.CLEARED)


class Events:
    """The changes of the objects of some namespaces.

    Args: `spaces`, the texts of the namespaces that count.
    **Thread safety**: `take` is for one thread.
    """

    def __init__(
        self, options: Options, spaces: Callable[[], Iterable[str]], chunk_tokens: int
    ) -> None:
        self._options = options
        self._spaces = spaces
        self._chunk_tokens = chunk_tokens
        self._lock = threading.Lock()
        # A key may be there in several namespaces (an adapter's, one of before a reset): it came
        # with the first and has gone with the last. With its parent, by the namespace's number.
        self._present: dict[bytes, dict[int, bytes | None]] = {}
        self._changed: dict[bytes, None] = {}  # since it was told, in order
        self._told: set[bytes] = set()
        self._numbers: dict[int, str] = {}  # of the namespaces that count
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lmcd-events", daemon=True)
        self._thread.start()

    def take(self) -> list[object]:
        """Return vLLM's events for what has changed. Does not wait for the daemon."""
        with self._lock:
            changed = list(itertools.islice(self._changed, _TOLD_AT_ONCE))
            for key in changed:
                del self._changed[key]
            parents = {
                key: next(iter(self._present[key].values()))
                for key in changed
                if key in self._present
            }
        events: list[object] = []
        for key in changed:
            if key in parents:
                events += self._tell_stored(key, parents)
            elif key in self._told:
                self._told.remove(key)
                events.append(versions.block_removed(key))
        return events

    def _tell_stored(self, key: bytes, parents: Mapping[bytes, bytes | None]) -> list[object]:
        """Tell of a key after those before it: a batch is committed in any order."""
        chain = []
        at: bytes | None = key
        while at is not None and at in parents and at not in self._told:
            self._told.add(at)
            chain.append(versions.block_stored(at, parents[at], self._chunk_tokens))
            at = parents[at]
        return chain[::-1]

    def close(self) -> None:
        """End the thread. Waits as long as a call to the daemon may take."""
        self._closing.set()
        self._thread.join(self._options.timeout_ms / 1000 + 1)

    def _run(self) -> None:
        is_well = True
        while not self._closing.is_set():
            try:
                with Session(
                    self._options.socket, name="vllm events", timeout_ms=self._options.timeout_ms
                ) as session:
                    is_well = True
                    self._follow(session)
            except LmcdError as error:
                if is_well:
                    logger.warning("lmcd: no KV cache events for now: %s", error)
                is_well = False
            self._closing.wait(self._options.heartbeat_interval_ms / 1000)

    def _follow(self, session: Session) -> None:
        """Follow one connection until it is lost: the next one has another number."""
        session.subscribe()  # before the list, so that nothing falls between them
        connection = session.info().id
        self._numbers = {}  # they were another daemon's
        is_whole = False
        while not self._closing.is_set() and session.info().id == connection:
            numbers = self._numbers_of(session)
            if not is_whole or numbers != self._numbers:
                self._list(session, numbers)
            events = session.next_events(_WAIT_MS)
            if not events:
                session.ping()  # a daemon that is gone says nothing either
            is_whole = all(event.kind != EventKind.MISSED for event in events)
            if is_whole:
                with self._lock:
                    for event in events:
                        self._note(event)

    def _numbers_of(self, session: Session) -> dict[int, str]:
        """Return the namespaces that count and their numbers; asks only for what is missing."""
        wanted = set(self._spaces())
        if wanted == set(self._numbers.values()):
            return self._numbers
        return {
            int(space["space"]): str(space["description"])
            for space in session.operator.stats()["namespaces"]
            if space["description"] in wanted
        }

    def _note(self, event: Event) -> None:
        if event.space not in self._numbers:
            return
        if event.kind == EventKind.COMMITTED:
            self._come(event.key, event.space, event.parent)
        elif event.kind in _GONE:
            self._go(event.key, event.space)

    def _come(self, key: bytes, space: int, parent: bytes | None) -> None:
        self._present.setdefault(key, {}).setdefault(space, parent)
        self._changed[key] = None

    def _go(self, key: bytes, space: int) -> None:
        spaces = self._present.get(key, {})
        spaces.pop(space, None)
        if not spaces:
            self._present.pop(key, None)
        self._changed[key] = None

    def _list(self, session: Session, numbers: dict[int, str]) -> None:
        """Take what is there for all that is known; parents come before their children."""
        operator = session.operator
        listed = {
            (one.key, number): one.parent
            for number in numbers
            for one in sorted(operator.list(Selector(space=number)), key=lambda one: one.depth)
        }
        with self._lock:
            self._numbers = numbers
            known = [(key, space) for key, spaces in self._present.items() for space in spaces]
            for key, space in known:
                if (key, space) not in listed:
                    self._go(key, space)
            for (key, space), parent in listed.items():
                if space not in self._present.get(key, {}):
                    self._come(key, space, parent)
