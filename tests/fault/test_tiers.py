"""Deaths of the daemon at every step of a spill and of a prefetch.

After each death it is proved that every byte that can be read is that of its key, that what a tier
on disk had is found again, and that nothing leaked: cleared, the arena is all free, the quarantine
empty, and the tier holds no record.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import lmcd
from tests.fault.daemon import (
    ARENA_BYTES,
    BINARY,
    OBJECT_BYTES,
    Daemon,
    content_of,
    eventually,
)

DESCRIPTION = "test=tiers"
OBJECTS = 4 * ARENA_BYTES // OBJECT_BYTES
BATCH = 8
REST_SECONDS = 0.3
ON_DISK = pytest.mark.parametrize("tier", ["fs"], indirect=True)

SPILL_STEPS = [
    "spill.before_put",
    "spill.after_put",
    "spill.after_write",
    "spill.before_cold",
    "spill.after_cold",
]
PREFETCH_STEPS = [
    "prefetch.after_reserve",
    "prefetch.before_get",
    "prefetch.after_get",
    "prefetch.after_read",
    "prefetch.before_commit",
    "prefetch.after_commit",
]


MOCK: dict[str, object] = {"type": "mock", "max_size_gb": 1, "mock_bandwidth_gb": 100}


def takes(adapter: dict[str, object]) -> bool:
    """Whether this daemon has such a tier."""
    command = [str(BINARY), "--l1-size-gb", "1", "--l2-adapter", json.dumps(adapter)]
    return subprocess.run([*command, "--print-config"], capture_output=True).returncode == 0


@pytest.fixture(params=["mock", "fs"])
def tier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, object]]:
    """The tier in memory, of which nothing outlives the daemon, and the one on disk."""
    if request.param == "mock":
        yield MOCK
        return
    folder = tmp_path / "tier"
    folder.mkdir()
    adapter: dict[str, object] = {"type": "fs", "base_path": str(folder)}
    if not takes(adapter):
        pytest.skip("this daemon has no tier of type fs")
    yield adapter


def lasts(tier: dict[str, object]) -> bool:
    return tier["type"] == "fs"


@pytest.fixture
def daemon(tmp_path: Path, tier: dict[str, object]) -> Iterator[Daemon]:
    adapter = json.dumps(tier)
    daemon = Daemon(tmp_path, "--l2-adapter", adapter, "--l2-rest-seconds", str(REST_SECONDS))
    yield daemon
    daemon.discard()


def keys_of(count: int) -> lmcd.Keys:
    """Return the keys of one long prompt."""
    tokens = [token // 256 for token in range(count * 256)]
    return lmcd.KeyChain(lmcd.fingerprint(DESCRIPTION)).extend(tokens)


def metrics(session: lmcd.Session) -> dict[str, int]:
    found: dict[str, int] = session.operator.stats()["metrics"]
    return found


def store(session: lmcd.Session, keys: lmcd.Keys) -> None:
    """Store at the pace of the tier."""
    space = session.namespace(DESCRIPTION)
    for first in range(0, len(keys), BATCH):
        batch = keys[first : first + BATCH]
        with space.reserve(batch, length=OBJECT_BYTES) as lease:
            for at, buffer in lease.granted():
                buffer.copy_from(content_of(batch[at]))
            lease.commit()
        for _ in eventually("a spill"):
            now = metrics(session)
            if now["spill_waiting_parts"] == 0 and now["spilling_bytes"] == 0:
                break


def read_back(session: lmcd.Session, keys: lmcd.Keys) -> int:
    """Read all; what is there is right. Return how many are there."""
    space = session.namespace(DESCRIPTION)
    whole = 0
    for first in range(0, len(keys), BATCH):
        batch = keys[first : first + BATCH]
        with space.acquire(batch, timeout_ms=10_000) as lease:
            for key, buffer in zip(batch, lease, strict=True):
                if buffer is not None:
                    assert bytes(buffer) == content_of(key), f"wrong bytes under {key.hex()}"
                    whole += 1
    return whole


def until_it_dies(daemon: Daemon, session: lmcd.Session, keys: lmcd.Keys, verb: object) -> None:
    """Go on until the daemon is dead."""
    for _ in eventually("a death"):
        if not daemon.alive:
            return
        try:
            verb(session, keys)  # type: ignore[operator]
        except lmcd.LmcdError:
            break
    assert daemon.wait_dead() == -9


def expect_nothing_leaked(session: lmcd.Session) -> None:
    for _ in eventually("an empty quarantine"):
        if metrics(session)["quarantined_parts"] == 0:
            break
    session.operator.clear(force=True)
    for _ in eventually("a tier that has forgotten"):
        now = metrics(session)
        if now["leaving_parts"] == 0 and now["spilling_bytes"] + now["prefetching_bytes"] == 0:
            break
    assert now["free_bytes"] == ARENA_BYTES, now
    assert (now["holes"], now["write_leases"], now["cold_bytes"]) == (1, 0, 0)
    (facts,) = session.operator.stats()["tiers"]
    assert (facts["used_bytes"], facts["records"]) == (0, 0)


@pytest.mark.parametrize("step", SPILL_STEPS)
def test_the_daemon_dies_in_a_spill_at(step: str, daemon: Daemon) -> None:
    keys = keys_of(OBJECTS)
    daemon.start(sync_point=f"{step}:kill:{random.randint(1, OBJECTS // 2)}")
    with daemon.session() as session:
        until_it_dies(daemon, session, keys, store)
    daemon.start()
    with daemon.session() as session:
        read_back(session, keys)
        store(session, keys)
        assert read_back(session, keys) == OBJECTS
        expect_nothing_leaked(session)


@pytest.mark.parametrize("step", PREFETCH_STEPS)
def test_the_daemon_dies_in_a_prefetch_at(
    step: str, daemon: Daemon, tier: dict[str, object]
) -> None:
    keys = keys_of(OBJECTS)
    daemon.start(sync_point=f"{step}:kill:{random.randint(1, OBJECTS // 2)}")
    with daemon.session() as session:
        store(session, keys)
        assert metrics(session)["evicted_unspilled_parts_total"] == 0
        until_it_dies(daemon, session, keys, read_back)
    daemon.start()
    with daemon.session() as session:
        there = read_back(session, keys)
        assert there == OBJECTS or not lasts(tier)
        store(session, keys)
        assert read_back(session, keys) == OBJECTS
        expect_nothing_leaked(session)


@ON_DISK
def test_what_the_tier_has_is_found_after_a_cold_start(daemon: Daemon) -> None:
    keys = keys_of(OBJECTS)
    daemon.start()
    with daemon.session() as session:
        store(session, keys)
    daemon.discard()  # the arena goes, the tier stays
    daemon.start()
    with daemon.session() as session:
        space = session.namespace(DESCRIPTION)
        assert space.acquire(keys[:BATCH]).outcomes() == [lmcd.Outcome.COLD] * BATCH
        assert read_back(session, keys) == OBJECTS
        expect_nothing_leaked(session)


@ON_DISK
def test_flipped_bytes_on_disk_are_a_miss(daemon: Daemon, tier: dict[str, object]) -> None:
    keys = keys_of(OBJECTS)
    daemon.start()
    with daemon.session() as session:
        store(session, keys)
    daemon.discard()
    dice = random.Random(7)
    folder = Path(str(tier["base_path"]))
    records = [path for path in folder.rglob("*") if path.stat().st_size >= OBJECT_BYTES]
    assert len(records) == OBJECTS
    for path in records[::2]:
        with path.open("r+b") as record:
            at = dice.randrange(path.stat().st_size)
            record.seek(at)
            byte = record.read(1)[0]
            record.seek(at)
            record.write(bytes([byte ^ 0x10]))
    daemon.start()
    with daemon.session() as session:
        assert read_back(session, keys) >= OBJECTS - len(records[::2])
        expect_nothing_leaked(session)
