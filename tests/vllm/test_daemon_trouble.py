"""Whatever becomes of the daemon, every request is answered with the right tokens, and the cache
is used again when the daemon is back.

The daemon is absent at first, killed in the middle of loads and stores, restarted with and without
its objects, and stopped. No wait is for luck: tests wait for what they need to see, bounded.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.python.daemon import Daemon
from tests.vllm.conftest import EngineMaker
from tests.vllm.engine import Engine
from tests.vllm.models import prompt

Expected = Callable[..., list[list[int]]]

_BACK_S = 120.0
_TIMEOUT_MS = 1000
_PROMPTS = [prompt(200, 1000), prompt(201, 1200)]
_CACHED = [768, 1024]


@pytest.fixture(scope="module")
def late_daemon() -> Iterator[Daemon]:
    """A daemon that the tests start."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lmcd-"))
    daemon = Daemon(folder)
    yield daemon
    daemon.close()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def engine(engine_of: EngineMaker, late_daemon: Daemon) -> Engine:
    """An engine that was started before its daemon."""
    return engine_of(
        "llama",
        socket=late_daemon.socket,
        enable_prefix_caching=False,
        extra={"lmcd.timeout_ms": _TIMEOUT_MS, "lmcd.heartbeat_interval_ms": 50},
    )


@pytest.fixture(scope="module")
def expected(expected_of: Expected) -> list[list[int]]:
    return expected_of("llama", _PROMPTS)


def warm(engine: Engine, expected: list[list[int]]) -> None:
    """Ask until the cache answers, right every time."""
    deadline = time.monotonic() + _BACK_S
    while True:
        output = engine.generate(_PROMPTS)
        assert output.tokens == expected
        if output.cached == _CACHED:
            return
        assert time.monotonic() < deadline, f"the cache does not come back: {output.cached}"


def test_an_engine_without_a_daemon_answers(engine: Engine, expected: list[list[int]]) -> None:
    output = engine.generate(_PROMPTS)
    assert output.tokens == expected
    assert output.cached == [0, 0]


def test_a_daemon_that_comes_late_is_used(
    engine: Engine, late_daemon: Daemon, expected: list[list[int]]
) -> None:
    late_daemon.start()
    warm(engine, expected)


def test_a_daemon_killed_and_restarted_has_what_it_had(
    engine: Engine, late_daemon: Daemon, expected: list[list[int]]
) -> None:
    late_daemon.kill()
    assert engine.generate(_PROMPTS).tokens == expected
    late_daemon.start()
    warm(engine, expected)


def test_a_daemon_killed_and_restarted_empty_is_filled_again(
    engine: Engine, late_daemon: Daemon, expected: list[list[int]]
) -> None:
    late_daemon.kill()
    late_daemon.start("--cold")
    warm(engine, expected)


def test_a_daemon_killed_under_load_and_store_costs_time_alone(
    engine: Engine, late_daemon: Daemon, expected_of: Expected, expected: list[list[int]]
) -> None:
    fresh = [prompt(210 + at, 900) for at in range(4)]
    right = expected_of("llama", fresh)
    for delay_s in (0.0, 0.05, 0.2):
        # From outside, at whatever point this is.
        killer = threading.Timer(delay_s, late_daemon.kill)
        killer.start()
        output = engine.generate(_PROMPTS + fresh)
        killer.join()
        assert output.tokens == expected + right
        late_daemon.start("--cold")
    warm(engine, expected)


def test_a_stopped_daemon_costs_no_more_than_the_timeout(
    engine: Engine, late_daemon: Daemon, expected_of: Expected, expected: list[list[int]]
) -> None:
    warm(engine, expected)
    fresh = [prompt(220, 900), prompt(221, 700)]
    right = expected_of("llama", fresh)
    os.kill(late_daemon.pid, signal.SIGSTOP)
    try:
        # What is stored can be read without it; what is new cannot be stored.
        output = engine.generate(_PROMPTS)
        assert output.tokens == expected
        assert engine.generate(fresh).tokens == right
        assert engine.generate(fresh).tokens == right
    finally:
        os.kill(late_daemon.pid, signal.SIGCONT)
    warm(engine, expected)
