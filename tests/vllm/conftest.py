"""Real engines and a real daemon. Skipped where vLLM is not installed."""

from __future__ import annotations

import importlib.util
import itertools
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tests.python.daemon import Daemon
from tests.vllm import models
from tests.vllm.engine import Engine

_INSTALLED = importlib.util.find_spec("vllm") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not _INSTALLED and pathlib.Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="vLLM is not installed (extra `vllm`)"))


@pytest.fixture(scope="session")
def model_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], pathlib.Path]:
    """Return the folder of a model, made once."""
    made: dict[str, pathlib.Path] = {}

    def folder_of(kind: str) -> pathlib.Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            getattr(models, kind)(folder)
            made[kind] = folder
        return made[kind]

    return folder_of


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A running daemon with an arena of 64 MiB."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lmcd-"))
    daemon = Daemon(folder)
    daemon.start()
    yield daemon
    daemon.close()
    shutil.rmtree(folder)


EngineMaker = Callable[..., Engine]


@pytest.fixture(scope="module")
def engine_of(
    model_of: Callable[[str], pathlib.Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EngineMaker]:
    """Start engines that end with the module."""
    logs = tmp_path_factory.mktemp("engines")
    numbers = itertools.count()
    engines: list[Engine] = []

    def make(model: str, **options: Any) -> Engine:
        engine = Engine(model_of(model), logs / f"{next(numbers)}.log", **options)
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture(scope="module")
def expected_of(engine_of: EngineMaker) -> Callable[..., list[list[int]]]:
    """Return the tokens that a plain vLLM without any cache gives, one request at a time."""
    engines: dict[str, Engine] = {}

    def expected(
        model: str, prompts: Sequence[list[int]], max_tokens: int = 8, **options: Any
    ) -> list[list[int]]:
        key = f"{model} {options}"
        if key not in engines:
            engines[key] = engine_of(model, enable_prefix_caching=False, **options)
        return [engines[key].generate([one], max_tokens).tokens[0] for one in prompts]

    return expected
