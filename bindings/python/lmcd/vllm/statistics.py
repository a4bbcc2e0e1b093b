"""What the connector counts, for vLLM's own logs and metrics."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable

from lmcd.grants import Outcome


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def seconds(self) -> float:
        """Return them."""
        return time.monotonic() - self._started


class Statistics:
    """Counters since they were last taken. **Thread safety**: any thread.

    Names are those of the metrics (metrics.py), a reason or outcome behind a colon.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(self, name: str, amount: float = 1) -> None:
        """Count."""
        with self._lock:
            self._counts[name] += amount  # type: ignore[assignment]

    def loaded(self, length: int, seconds: float) -> None:
        """Count a load. **Units**: bytes, seconds."""
        self.add("load_bytes", length)
        self.add("load_seconds", seconds)
        self.add("loads")

    def saved(self, length: int, seconds: float) -> None:
        """Count a save. **Units**: bytes, seconds."""
        self.add("save_bytes", length)
        self.add("save_seconds", seconds)
        self.add("saves")

    def failed(self, verb: str, reason: str) -> None:
        """Count a load or save that came to nothing."""
        self.add(f"{verb}_failures:{reason}")

    def outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Count what became of chunks that were to be stored."""
        for outcome, count in Counter(outcomes).items():
            self.add(f"save_chunks:{outcome.name.lower()}", count)

    def take(self) -> dict[str, float]:
        """Take what was counted."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return dict(counts)
