"""Deaths at every step: of a client in each verb, of the daemon in each verb, and at random.

After each death it is proved that no uncommitted byte is served (every object that can be read
has the bytes of its key), that another client noticed nothing but misses, and that nothing
leaked: with the writers dead and the cache cleared, the arena's free bytes are all of it and the
quarantine is empty.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lmcd
from tests.fault.daemon import ARENA_BYTES, OBJECT_BYTES, Daemon, child, content_of, eventually
from tests.fault.workload import CHAINS, DESCRIPTION, chain

WORKLOAD = "tests.fault.workload"
ROUNDS = 400
FOR_EVER = 1_000_000

DAEMON_STEPS = [
    "reserve.before",
    "reserve.before_publish",
    "reserve.after_publish",
    "reserve.after_index",
    "reserve.before_answer",
    "commit.before",
    "commit.before_word",
    "commit.after_word",
    "commit.after",
    "abort.before",
    "abort.after",
    "free.after_word",
    "acquire.before_answer",
    "release.before",
    "forget.before_index",
    "forget.after_index",
    "close.before",
    "close.after",
]
ADOPTION_STEPS = ["adopt.after_clear", "adopt.after_parts", "start.before_ready"]
CLIENT_STEPS = (
    [
        f"client.{message}.{step}"
        for message in ("Reserve", "Acquire", "Pin", "Clear", "List")
        for step in ("before", "after")
    ]
    + [
        f"client.{message}.{step}"
        for message in ("Commit", "Abort", "Release", "Touch", "AcquirePosted")
        for step in ("before", "after")
    ]
    + [
        "client.Granted.answered",
        "client.NamespaceOpened.answered",
        "client.Cleared.answered",
    ]
)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path)
    yield daemon
    daemon.discard()


Spawn = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def spawn(daemon: Daemon) -> Iterator[Spawn]:
    """Start workloads on the daemon; whatever is left of them at the end is killed."""
    spawned: list[subprocess.Popen[str]] = []

    def start(seed: int, rounds: int, sync_point: str = "") -> subprocess.Popen[str]:
        arguments = (daemon.socket, str(seed), str(rounds))
        spawned.append(child(WORKLOAD, *arguments, sync_point=sync_point))
        return spawned[-1]

    yield start
    for process in spawned:
        process.kill()
        process.communicate()


class Bystander:
    """Another client, with an object of its own: it must notice nothing but a session lost."""

    def __init__(self, daemon: Daemon) -> None:
        self.session = daemon.session()
        self.space = self.session.namespace("test=bystander")
        self.keys = lmcd.KeyChain(lmcd.fingerprint("test=bystander")).extend(list(range(1024)))
        with self.space.reserve(self.keys, length=OBJECT_BYTES) as lease:
            for key, buffer in zip(self.keys, lease, strict=True):
                assert buffer is not None
                buffer.copy_from(content_of(key))
            lease.commit()
        self.session.ping()
        self.session.operator.pin(lmcd.Selector(keys=self.keys))

    def look(self) -> None:
        """Read its own pinned object and every object of the workloads: all bytes are right."""
        for _ in eventually("the bystander's session"):
            try:
                self.session.ping()
                self.space = self.session.namespace("test=bystander")
                shared = self.session.namespace(DESCRIPTION)
                break
            except (lmcd.SessionLost, lmcd.NoDaemon):
                continue
        assert self._read(self.space, self.keys) == len(self.keys), "a pinned object is gone"
        for number in range(CHAINS):
            self._read(shared, chain(number))

    def _read(self, space: lmcd.Namespace, keys: lmcd.Keys) -> int:
        whole = 0
        lease = space.acquire(keys)
        for key, buffer in zip(keys, lease, strict=True):
            if buffer is None:
                continue
            assert bytes(buffer) == content_of(key), f"wrong bytes under {key.hex()}"
            whole += 1
        lease.release()
        return whole

    def expect_nothing_leaked(self) -> None:
        """With the writers dead, clear: all of the arena must be free, none in quarantine."""
        operator = self.session.operator
        for _ in eventually("an empty quarantine"):
            if operator.stats()["metrics"]["quarantined_parts"] == 0:
                break
        operator.clear(force=True)
        metrics = operator.stats()["metrics"]
        assert metrics["free_bytes"] == ARENA_BYTES, metrics
        assert metrics["quarantined_bytes"] == 0
        assert metrics["holes"] == 1
        assert metrics["write_leases"] == 0


def finish(process: subprocess.Popen[str], *, killed: bool) -> None:
    """Wait for a workload; it lies never, and fails only when it was killed."""
    process.wait(timeout=60)
    assert process.returncode == (-9 if killed else 0), process.returncode


@pytest.mark.parametrize("step", DAEMON_STEPS)
def test_the_daemon_dies_at(step: str, daemon: Daemon, spawn: Spawn) -> None:
    daemon.start()
    bystander = Bystander(daemon)
    daemon.kill()
    hit = random.randint(1, 6) if not step.startswith("close") else 1
    daemon.start(sync_point=f"{step}:kill:{hit}")
    first = spawn(1, 60)
    second = spawn(2, ROUNDS)
    assert daemon.wait_dead() == -9
    daemon.start()
    finish(first, killed=False)
    finish(second, killed=False)
    bystander.look()
    bystander.expect_nothing_leaked()


@pytest.mark.parametrize("step", ADOPTION_STEPS)
def test_the_daemon_dies_while_it_comes_back_at(step: str, daemon: Daemon, spawn: Spawn) -> None:
    daemon.start()
    bystander = Bystander(daemon)
    workload = spawn(3, ROUNDS)
    assert workload.stdout is not None
    workload.stdout.readline()
    daemon.kill()
    daemon.start(sync_point=f"{step}:kill")
    assert daemon.wait_dead() == -9
    daemon.start()
    finish(workload, killed=False)
    bystander.look()
    bystander.expect_nothing_leaked()


@pytest.mark.parametrize("step", CLIENT_STEPS)
def test_a_client_dies_at(step: str, daemon: Daemon, spawn: Spawn) -> None:
    daemon.start()
    bystander = Bystander(daemon)
    workload = spawn(4, ROUNDS, f"{step}:kill")
    finish(workload, killed=True)
    assert daemon.alive
    bystander.session.ping()
    bystander.look()
    bystander.expect_nothing_leaked()


def test_clients_and_daemon_die_at_random_times(daemon: Daemon, spawn: Spawn) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    daemon.start()
    bystander = Bystander(daemon)
    workloads = [spawn(seed_of, FOR_EVER) for seed_of in range(3)]
    for workload in workloads:
        assert workload.stdout is not None
        workload.stdout.readline()
    for death in range(12):
        # The moment is what is random: a pause here is the subject, not a wait for something.
        subprocess.run(["sleep", str(dice.uniform(0.02, 0.25))], check=True)
        if dice.random() < 0.5:
            daemon.kill()
            daemon.start()
        else:
            place = dice.randrange(len(workloads))
            workloads[place].kill()
            assert workloads[place].wait() == -9, "a workload had ended before: it saw wrong bytes"
            workloads[place] = spawn(100 + death, FOR_EVER)
    bystander.look()
    for workload in workloads:
        assert workload.poll() is None, "a workload ended by itself: it saw wrong bytes"
        workload.kill()
        workload.wait()
    bystander.expect_nothing_leaked()
