"""Spill and prefetch from Python: what does not fit into the arena comes back byte for byte.

The tier is the mock one, in the daemon's memory; tests/fault has the tier on disk and the deaths.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import lmcd
from lmcd.cli import main
from tests.fault.daemon import eventually
from tests.python.daemon import Daemon, contents, fresh_keys

ARENA = 64 << 20
LENGTH = 1 << 20
BATCH = 8


def adapter(gigabytes: float = 1.0, gigabytes_per_second: float = 100.0) -> str:
    fields = {"max_size_gb": gigabytes, "mock_bandwidth_gb": gigabytes_per_second}
    return json.dumps({"type": "mock", **fields})


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path)
    yield daemon
    daemon.close()


def content_of(key: bytes) -> bytes:
    return key * (LENGTH // len(key))


def metrics(session: lmcd.Session) -> dict[str, int]:
    found: dict[str, int] = session.operator.stats()["metrics"]
    return found


def store(space: lmcd.Namespace, keys: lmcd.Keys) -> None:
    """Store at the pace of the tier: a batch goes when the one before is spilled."""
    for first in range(0, len(keys), BATCH):
        batch = keys[first : first + BATCH]
        with space.reserve(batch, length=LENGTH) as lease:
            assert lease.outcomes() == [lmcd.Outcome.RESERVED] * len(batch)
            for at, buffer in lease.granted():
                buffer.copy_from(content_of(batch[at]))
            lease.commit()
        for _ in eventually("a spill"):
            now = metrics(space.session)
            if now["spill_waiting_parts"] == 0 and now["spilling_bytes"] == 0:
                break


def read_back(space: lmcd.Namespace, keys: lmcd.Keys) -> int:
    """Read all, brought back where it has to be; count what is there. What is there is right."""
    whole = 0
    for first in range(0, len(keys), BATCH):
        batch = keys[first : first + BATCH]
        with space.acquire(batch, timeout_ms=20_000) as lease:
            for key, found in zip(batch, contents(lease), strict=True):
                assert found is None or found == content_of(key)
                whole += found is not None
    return whole


@pytest.mark.parametrize("policy", ["default", "skip_l1", "on_evict"])
def test_eight_times_the_arena_comes_back(own: Daemon, policy: str) -> None:
    own.start("--l2-adapter", adapter(), "--l2-store-policy", policy)
    keys = fresh_keys(8 * ARENA // LENGTH)
    with own.session() as session:
        space = session.namespace("test")
        store(space, keys)
        now = metrics(session)
        assert now["evicted_unspilled_parts_total"] == 0
        assert now["spill_dropped_total"] == 0
        assert read_back(space, keys) == len(keys)
        assert read_back(space, keys) == len(keys), "once more: its hot copies went, or stayed"
        session.operator.clear()
        now = metrics(session)
        assert (now["free_bytes"], now["cold_bytes"], now["write_leases"]) == (ARENA, 0, 0)


def test_a_cold_key_never_looks_hot_in_the_ledger(own: Daemon) -> None:
    own.start("--l2-adapter", adapter(), "--l2-store-policy", "skip_l1")
    keys = fresh_keys(BATCH)
    with own.session() as session:
        space = session.namespace("test")
        store(space, keys)
        assert [one.hot for one in space.lookup(keys)] == [0] * BATCH
        lease = space.acquire(keys)
        assert lease.outcomes() == [lmcd.Outcome.COLD] * BATCH
        with space.acquire(keys, posted=True) as posted:
            assert contents(posted) == [None] * BATCH


def test_a_slow_tier_costs_misses_and_no_time(own: Daemon) -> None:
    own.start("--l2-adapter", adapter(gigabytes_per_second=0.001))
    keys = fresh_keys(3 * ARENA // LENGTH)
    with own.session() as session:
        space = session.namespace("test")
        for first in range(0, len(keys), BATCH):
            batch = keys[first : first + BATCH]
            with space.reserve(batch, length=LENGTH) as lease:
                assert lease.outcomes().count(lmcd.Outcome.RESERVED) == BATCH
                lease.commit()
        assert metrics(session)["evicted_unspilled_parts_total"] > 0


def test_operators_see_the_tiers(own: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    own.start("--l2-adapter", adapter(), "--l2-store-policy", "reused")
    with own.session() as session:
        space = session.namespace("test")
        keys = fresh_keys(BATCH)
        store(space, keys)
        assert metrics(session)["cold_parts"] == 0
    assert main(["tier", "drain", "--socket", own.socket, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cold_parts"] == BATCH
    assert main(["tier", "ls", "--socket", own.socket, "--json"]) == 0
    (tier,) = json.loads(capsys.readouterr().out)
    assert (tier["type"], tier["health"], tier["records"]) == ("mock", "up", BATCH)
    assert tier["used_bytes"] == BATCH * LENGTH
    assert main(["tier", "stat", "0", "--socket", own.socket]) == 0
    assert "8.0 MiB" in capsys.readouterr().out
    assert main(["tier", "stat", "7", "--socket", own.socket]) == 1
    assert "there is no tier 7" in capsys.readouterr().err


def test_equal_keys_of_two_namespaces_stay_apart_in_a_shared_folder(tmp_path: Path) -> None:
    """Two models have the same key for a prompt, and two daemons the same folder as their tier."""
    folder = tmp_path / "tier"
    shared = json.dumps({"type": "fs", "base_path": str(folder)})
    key = fresh_keys(1)
    daemons = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        daemons.append(Daemon(tmp_path / name))
        daemons[-1].start("--l2-adapter", shared, "--l2-store-policy", "skip_l1")
    try:
        sessions = [daemon.session() for daemon in daemons]
        spaces = [session.namespace(f"model={at}") for at, session in enumerate(sessions)]
        for at, space in enumerate(spaces):
            with space.reserve(key, length=LENGTH) as lease:
                lease[0].copy_from(bytes([at + 1]) * LENGTH)
                lease.commit()
            space.session.ping()
            space.session.operator.drain()
        for at, space in enumerate(spaces):
            with space.acquire(key, timeout_ms=20_000) as lease:
                assert contents(lease) == [bytes([at + 1]) * LENGTH]
        for session in sessions:
            session.close()
    finally:
        for daemon in daemons:
            daemon.close()
