"""The asyncio session: verbs are awaited while the loop goes on, without threads."""

import asyncio
import threading

import pytest

import lmcd
from lmcd import AsyncSession, Outcome
from tests.python.daemon import Daemon, contents, fresh_keys, payload


async def turn() -> None:
    """Let every other task run once."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    loop.call_soon(over.set_result, None)
    await over


async def store(space: lmcd.AsyncNamespace, keys: lmcd.Keys, length: int = 4096) -> None:
    with await space.reserve(keys, length=length) as lease:
        for index, buffer in lease.granted():
            buffer.copy_from(payload(index, length))
        lease.commit()


def test_what_was_committed_comes_back(daemon: Daemon) -> None:
    async def run() -> None:
        async with await AsyncSession.open(daemon.socket) as session:
            space = await session.namespace("test")
            keys = fresh_keys(3)
            await store(space, keys)
            with await space.acquire(keys) as lease:
                assert contents(lease) == [payload(at, 4096) for at in range(3)]
            assert space.lookup(keys).usable_prefix() == 3
            with await space.acquire(keys, posted=True) as lease:
                assert lease.hit_count == 3
            await session.ping()
            assert (await session.info()).daemon_pid == daemon.pid

    asyncio.run(run())


def test_an_answer_wakes_its_waiter(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmcd.aio._LOOK_AGAIN_S", 3600)

    async def run() -> None:
        async with await AsyncSession.open(daemon.socket) as session:
            space = await session.namespace("test")
            for _ in range(20):
                await asyncio.wait_for(store(space, fresh_keys(1)), 20)

    asyncio.run(run())


def test_many_questions_are_on_their_way_at_once(daemon: Daemon) -> None:
    async def run() -> None:
        async with await AsyncSession.open(daemon.socket) as session:
            space = await session.namespace("test")
            threads = threading.active_count()
            keys = fresh_keys(200)
            await asyncio.gather(*(store(space, keys[at : at + 4]) for at in range(0, 200, 4)))
            leases = await asyncio.gather(*(space.acquire(keys[at : at + 1]) for at in range(200)))
            assert all(lease.outcomes() == [Outcome.LEASED] for lease in leases)
            assert threading.active_count() == threads

    asyncio.run(run())


def test_a_wait_for_a_pending_key_holds_nobody_up(daemon: Daemon) -> None:
    async def run() -> None:
        async with await AsyncSession.open(daemon.socket) as session:
            space = await session.namespace("test")
            keys = fresh_keys(1)
            writing = await space.reserve(keys, length=64)
            reading = asyncio.create_task(space.acquire(keys, timeout_ms=20_000))
            await store(space, fresh_keys(1))
            assert not reading.done()
            writing[0].copy_from(payload(5, 64))
            writing.commit()
            with await reading as lease:
                assert bytes(lease[0]) == payload(5, 64)

    asyncio.run(run())


def test_a_cancelled_question_gives_back_what_it_gets(daemon: Daemon) -> None:
    async def run() -> None:
        async with await AsyncSession.open(daemon.socket) as session:
            space = await session.namespace("test")
            keys = fresh_keys(1)
            writing = await space.reserve(keys, length=64)
            reading = asyncio.create_task(space.acquire(keys, timeout_ms=20_000))
            await turn()
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            writing.commit()
            await session.ping()
            metrics = session.blocking.operator.stats()["metrics"]
            assert (metrics["objects"], metrics["read_leases"]) == (1, 0)

    asyncio.run(run())


def test_a_lost_daemon_is_told_to_every_waiter(daemon: Daemon) -> None:
    async def run() -> None:
        async with await AsyncSession.open(daemon.socket) as session:
            space = await session.namespace("test")
            keys = fresh_keys(1)
            writing = await space.reserve(keys, length=64)
            waits = [asyncio.create_task(space.acquire(keys, timeout_ms=20_000)) for _ in range(3)]
            await turn()
            await asyncio.to_thread(daemon.kill)
            results = await asyncio.gather(*waits, return_exceptions=True)
            assert all(isinstance(one, lmcd.SessionLost) for one in results), results
            writing.abort()

    asyncio.run(run())


def test_events_are_iterated(daemon: Daemon) -> None:
    async def run() -> None:
        async with await AsyncSession.open(daemon.socket) as session:
            space = await session.namespace("test")
            keys = fresh_keys(2)
            seen = []
            started = asyncio.Event()

            async def watch() -> None:
                async with await AsyncSession.open(daemon.socket) as watcher:
                    await asyncio.to_thread(watcher.blocking.subscribe)
                    started.set()
                    async for event in watcher.events():
                        seen.append(event.key)
                        if len(seen) == 2:
                            return

            watching = asyncio.create_task(watch())
            await started.wait()
            await store(space, keys)
            await asyncio.wait_for(watching, 20)
            assert set(seen) == set(keys)

    asyncio.run(run())
