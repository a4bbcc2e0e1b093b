"""What is told of the daemon's objects adds up to what is there, whatever comes in between.

The thread that follows a real daemon, without an engine: the test takes events as its steps would.
"""

from __future__ import annotations

import importlib.util
import pathlib
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from lmcd import Selector
from tests.python.daemon import Daemon, fresh_keys, store

if TYPE_CHECKING or importlib.util.find_spec("vllm"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what vLLM and torch deprecate is not ours
        from vllm.config import KVEventsConfig, KVTransferConfig, set_current_vllm_config

        from lmcd.vllm import LmcdConnector
        from lmcd.vllm.events import Events
        from lmcd.vllm.messages import Facts
        from lmcd.vllm.options import Options
        from lmcd.vllm.versions import KVConnectorRole
        from tests.vllm.test_fingerprint import cache_of, config_of

pytestmark = pytest.mark.filterwarnings("ignore")

WAIT_S = 60.0


class Told:
    """What a consumer of all events has."""

    def __init__(self, daemon: Daemon, spaces: list[str]) -> None:
        options = Options(socket=daemon.socket, heartbeat_interval_ms=10)
        self.events = Events(options, lambda: spaces, 256)
        self.keys: set[bytes] = set()

    def wait_for(self, keys: set[bytes]) -> None:
        deadline = time.monotonic() + WAIT_S
        while self.keys != keys:
            assert time.monotonic() < deadline, f"{len(self.keys)} keys, not {len(keys)}"
            threading.Event().wait(0.01)  # a step of the engine
            for event in self.events.take():
                self._apply(event)

    def _apply(self, event: Any) -> None:
        (key,) = event.block_hashes
        if hasattr(event, "block_size"):
            assert event.block_size == 256
            assert event.parent_block_hash is None or event.parent_block_hash in self.keys
            assert key not in self.keys
            self.keys.add(key)
        else:
            self.keys.remove(key)


@pytest.fixture
def told(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Told]]:
    monkeypatch.setenv("VLLM_KV_EVENTS_USE_INT_BLOCK_HASHES", "0")
    made: list[Told] = []

    def make(*spaces: str) -> Told:
        made.append(Told(daemon, list(spaces)))
        return made[-1]

    yield make
    for one in made:
        one.events.close()


def test_what_was_there_comes_and_goes_is_told(daemon: Daemon, told: Callable[..., Told]) -> None:
    with daemon.session() as session:
        space, other = session.namespace("told"), session.namespace("not told")
        before, after = fresh_keys(3), fresh_keys(2)
        store(space, before)
        consumer = told("told")
        consumer.wait_for(set(before))
        store(space, after)
        store(other, fresh_keys(1))
        consumer.wait_for({*before, *after})
        session.operator.clear(Selector(keys=before[1:]))
        consumer.wait_for({before[0], *after})


def test_a_key_of_two_namespaces_goes_with_the_last(
    daemon: Daemon, told: Callable[..., Told]
) -> None:
    with daemon.session() as session:
        consumer = told("first", "second")
        keys = fresh_keys(1)
        for name in ("first", "second"):
            store(session.namespace(name), keys)
        consumer.wait_for(set(keys))
        numbers = [one.space for one in session.operator.list(Selector(keys=keys))]
        session.operator.clear(Selector(space=numbers[0], keys=keys))
        mark = fresh_keys(1)
        store(session.namespace("first"), mark)
        consumer.wait_for({*keys, *mark})
        session.operator.clear(Selector(space=numbers[1], keys=keys))
        consumer.wait_for(set(mark))


def test_a_daemon_that_comes_back_empty_takes_all_away(
    daemon: Daemon, told: Callable[..., Told]
) -> None:
    consumer = told("kept")
    with daemon.session() as session:
        keys = fresh_keys(3)
        store(session.namespace("kept"), keys)
        consumer.wait_for(set(keys))
    daemon.kill()
    daemon.start("--cold")
    consumer.wait_for(set())
    with daemon.session() as session:
        keys = fresh_keys(2)
        store(session.namespace("kept"), keys)
        consumer.wait_for(set(keys))


@pytest.mark.parametrize("wanted", [True, False])
def test_a_connector_tells_an_engine_that_wants_to_know(
    daemon: Daemon, model_of: Callable[[str], pathlib.Path], wanted: bool
) -> None:
    transfer = KVTransferConfig(
        kv_connector="LmcdConnector",
        kv_connector_module_path="lmcd.vllm",
        kv_role="kv_both",
        kv_connector_extra_config={"lmcd.socket": daemon.socket},
    )
    config = config_of(
        model_of("llama"),
        kv_transfer_config=transfer,
        kv_events_config=KVEventsConfig(enable_kv_cache_events=wanted, publisher="null"),
    )
    with set_current_vllm_config(config):
        connector = LmcdConnector(config, KVConnectorRole.SCHEDULER, cache_of())
    connector.set_xfer_handshake_metadata({0: Facts("layout", (8192,), b"")})
    request: Any = SimpleNamespace(lora_request=None)
    text = connector._spaces.of(request)
    assert text is not None
    deadline = time.monotonic() + WAIT_S
    while connector._half()._link.space(text, 100) is None:
        assert time.monotonic() < deadline
    with daemon.session() as session:
        store(session.namespace(text), fresh_keys(1))
    told: list[object] = []
    while wanted and not told:
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
        told += connector.take_events()
    assert len([*told, *connector.take_events()]) == int(wanted)
    connector.shutdown()
