"""A client that goes through every verb, again and again, until it is told to stop or dies.

Usage: workload.py SOCKET SEED ROUNDS. Every byte it reads is compared with what belongs under
the key; a byte that validated and is wrong makes it exit with 3. A daemon that is away is waited
for. Prints one line at the end: how many chunks it stored, read and missed.
"""

from __future__ import annotations

import random
import sys
import time

import lmcd
from tests.fault.daemon import OBJECT_BYTES, content_of

DESCRIPTION = "test=fault"
CHAINS = 12
CHUNKS = 8
LIES = 3


def chain(number: int) -> lmcd.Keys:
    """Return the keys of one of the prompts that all workloads share."""
    tokens = [number] * (CHUNKS * 256)
    return lmcd.KeyChain(lmcd.fingerprint(DESCRIPTION)).extend(tokens)


class Workload:
    """One client."""

    def __init__(self, socket: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.socket = socket
        self.stored = self.read = self.missed = 0
        self.connect()

    def connect(self) -> None:
        """Open session and namespace as soon as a daemon answers."""
        end = time.monotonic() + 20
        while True:
            try:
                self.session = lmcd.Session(self.socket, name="workload", timeout_ms=10_000)
                self.space = self.session.namespace(DESCRIPTION)
                return
            except (lmcd.NoDaemon, lmcd.SessionLost):
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)  # tidy(sleep): paces the wait for a daemon, within a bound

    def round(self) -> None:
        """Do one thing."""
        keys = chain(self.random.randrange(CHAINS))
        verb = self.random.choice(
            [self.store, self.store, self.give_up, self.read_all, self.read_posted, self.operate]
        )
        try:
            verb(keys)
        except lmcd.LeaseLost:
            self.missed += 1  # the daemon died while a lease was held
        except (lmcd.NoDaemon, lmcd.SessionLost, lmcd.TimedOut):
            time.sleep(0.01)  # tidy(sleep): a workload without a daemon must not spin

    def store(self, keys: lmcd.Keys) -> None:
        """Store a prompt, in two commits."""
        with self.space.reserve(keys, length=OBJECT_BYTES) as lease:
            mine = list(lease.grants.places(lmcd.Outcome.RESERVED))
            for place in mine:
                lease[place].copy_from(content_of(keys[place]))
            if mine:
                lease.commit(mine[: len(mine) // 2])
                lease.commit()
            self.stored += len(mine)

    def give_up(self, keys: lmcd.Keys) -> None:
        """Write half of an object, then abort."""
        with self.space.reserve(keys, length=OBJECT_BYTES) as lease:
            for place in lease.grants.places(lmcd.Outcome.RESERVED):
                lease[place].view()[: OBJECT_BYTES // 2] = b"\xee" * (OBJECT_BYTES // 2)

    def read_all(self, keys: lmcd.Keys) -> None:
        """Acquire with a question."""
        with self.space.acquire(keys) as lease:
            self.compare(keys, lease)

    def read_posted(self, keys: lmcd.Keys) -> None:
        """Acquire with a post."""
        lease = self.space.acquire(keys, posted=True)
        try:
            self.compare(keys, lease)
        finally:
            lease.release()

    def compare(self, keys: lmcd.Keys, lease: lmcd.ReadLease) -> None:
        """Read what was leased; what validates must be right."""
        for key, buffer in zip(keys, lease, strict=True):
            if buffer is None:
                self.missed += 1
                continue
            copied = bytearray(OBJECT_BYTES)
            try:
                buffer.copy_to(copied)
            except lmcd.LeaseLost:
                self.missed += 1
                continue
            if bytes(copied) != content_of(key):
                print(f"wrong bytes under {key.hex()}", file=sys.stderr, flush=True)
                sys.exit(LIES)
            self.read += 1

    def operate(self, keys: lmcd.Keys) -> None:
        """Pin, unpin, clear, touch, list."""
        operator = self.session.operator
        chosen = lmcd.Selector(keys=keys[:2])
        self.space.touch(keys)
        operator.pin(chosen)
        list(operator.list(chosen))
        operator.pin(chosen, pinned=False)
        operator.clear(chosen, force=self.random.random() < 0.3)


def main() -> None:
    socket, seed, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    workload = Workload(socket, seed)
    print("ready", flush=True)
    for _ in range(rounds):
        workload.round()
    print(f"stored {workload.stored} read {workload.read} missed {workload.missed}", flush=True)
    workload.session.close()


if __name__ == "__main__":
    main()
