"""The threads that copy for a worker while the model runs.

Loads go before saves: somebody waits for them. The queue is bounded by who fills it: a request
has one load, and the scheduler half holds saves back (scheduler.py).
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable
from enum import IntEnum

Task = Callable[[], None]


class Urgency(IntEnum):
    """What is done first."""

    LOAD = 0
    SAVE = 1
    STOP = 2  # after all that was submitted


class Copies:
    """A fixed number of threads and what they are to do. Tasks do not raise."""

    def __init__(self, threads: int) -> None:
        self._queue: queue.PriorityQueue[tuple[Urgency, int, Task | None]] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._threads = [
            threading.Thread(target=self._run, name=f"lmcd-copy-{at}", daemon=True)
            for at in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, urgency: Urgency, task: Task) -> None:
        """Have a task done, after those of the same urgency that came before."""
        self._queue.put((urgency, next(self._numbers), task))

    def close(self, timeout_s: float) -> bool:
        """Do what was submitted, and end; return whether that took at most `timeout_s`."""
        for _ in self._threads:
            self._queue.put((Urgency.STOP, next(self._numbers), None))
        for thread in self._threads:
            thread.join(timeout_s)
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while True:
            task = self._queue.get()[2]
            if task is None:
                return
            task()
