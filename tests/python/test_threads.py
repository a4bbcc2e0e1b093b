"""Threads: what waits or copies lets others run, and a session closed under them crashes none."""

import threading

import lmcd
from tests.python.daemon import Daemon, contents, fresh_keys, payload, store


def test_a_waiting_call_lets_other_threads_run(daemon: Daemon) -> None:
    with daemon.session() as session:
        space = session.namespace("test")
        keys = fresh_keys(1)
        writing = space.reserve(keys, length=64)
        found: list[bytes] = []

        def wait() -> None:
            with space.acquire(keys, timeout_ms=20_000) as lease:
                found.append(bytes(lease[0]))

        waiter = threading.Thread(target=wait)
        waiter.start()
        writing[0].copy_from(payload(1, 64))  # runs while the other waits in C
        session.ping()
        writing.commit()
        waiter.join(20)
        assert found == [payload(1, 64)]


def test_threads_share_a_session(daemon: Daemon) -> None:
    with daemon.session() as session:
        space = session.namespace("test")
        wrong: list[object] = []

        def work(number: int) -> None:
            for _ in range(30):
                keys = fresh_keys(3)
                with space.reserve(keys, length=512) as lease:
                    for index, buffer in lease.granted():
                        buffer.copy_from(payload(number + index, 512))
                    lease.commit()
                with space.acquire(keys, timeout_ms=5000) as found:
                    if contents(found) != [payload(number + i, 512) for i in range(3)]:
                        wrong.append(number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert wrong == []


def test_closing_under_other_threads_crashes_none(daemon: Daemon) -> None:
    session = daemon.session()
    space = session.namespace("test")
    keys = fresh_keys(4)
    store(space, keys)
    begun = threading.Barrier(5)
    ended: list[type[BaseException]] = []

    def work() -> None:
        begun.wait()
        try:
            while True:
                space.lookup(keys)
                with space.acquire(keys) as lease:
                    bytes(lease[0])
        except lmcd.LmcdError as error:
            ended.append(type(error))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun.wait()
    session.close()
    for thread in threads:
        thread.join(20)
    assert len(ended) == 4
