"""An engine in a process of its own, as tests see it."""

from __future__ import annotations

import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

START_S = 600.0
ANSWER_S = 300.0

# One process for all of the engine; the two that a rank needs are told by the test.
_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "0-1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}


@dataclass(frozen=True)
class Output:
    """What came of a batch. **Units**: tokens; `cached` were not computed."""

    tokens: list[list[int]]
    cached: list[int]


class Engine:
    """A running vLLM."""

    def __init__(
        self,
        model: pathlib.Path,
        log: pathlib.Path,
        *,
        socket: str | None = None,
        extra: dict[str, Any] | None = None,
        role: str = "kv_both",
        environment: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        given: dict[str, Any] = {
            "model": str(model),
            "dtype": "float32",
            "max_model_len": 4096,
            "distributed_executor_backend": "uni",
            **options,
        }
        if socket is not None:
            given["kv_transfer_config"] = {
                "kv_connector": "LmcdConnector",
                "kv_connector_module_path": "lmcd.vllm",
                "kv_role": role,
                "kv_connector_extra_config": {"lmcd.socket": socket, **(extra or {})},
            }
        self.log = log
        reading, writing = os.pipe()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.vllm.engine_process",
                    str(writing),
                    json.dumps(given),
                ],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=[writing],
                text=True,
                env={**os.environ, **_ENVIRONMENT, **(environment or {})},
                cwd=pathlib.Path(__file__).parents[2],
                start_new_session=True,
            )
        os.close(writing)
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(reading,), daemon=True)
        self._reader.start()
        assert self._answer(START_S) == "ready"

    def generate(
        self,
        prompts: Sequence[list[int]],
        max_tokens: int = 8,
        salts: Sequence[str] | None = None,
        timeout_s: float = ANSWER_S,
    ) -> Output:
        """Have the engine answer prompts, all at once."""
        self.begin(prompts, max_tokens, salts)
        return self.end(timeout_s)

    def begin(
        self, prompts: Sequence[list[int]], max_tokens: int = 8, salts: Sequence[str] | None = None
    ) -> None:
        """Send prompts, and do not wait for the answer."""
        self._order("generate", prompts=list(prompts), max_tokens=max_tokens, salts=salts)

    def end(self, timeout_s: float = ANSWER_S) -> Output:
        """Wait for the answer of begin()."""
        return Output(**self._answer(timeout_s))

    def lose_leases(self, count: int) -> None:
        """Have the next loads find that their leases were lost."""
        self._order("lose_leases", count=count)
        self._answer(ANSWER_S)

    def metrics(self) -> dict[str, float]:
        """Return the connector's counters."""
        self._order("metrics")
        counts: dict[str, float] = self._answer(ANSWER_S)
        return counts

    def reset(self) -> bool:
        """Reset the prefix cache and the connector's."""
        self._order("reset")
        return bool(self._answer(ANSWER_S))

    def kill(self) -> None:
        """Kill it where it stands."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=ANSWER_S)

    def close(self) -> None:
        """End it in order."""
        if self._process.poll() is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(timeout=ANSWER_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._reader.join(ANSWER_S)

    def _order(self, verb: str, **arguments: Any) -> None:
        assert self._process.stdin is not None
        print(json.dumps({"verb": verb, **arguments}), file=self._process.stdin, flush=True)

    def _answer(self, timeout_s: float) -> Any:
        answer = self._answers.get(timeout=timeout_s)
        assert answer is not None, f"the engine ended; its last words:\n{self._last_words()}"
        return json.loads(answer)

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor) as stream:
            for line in stream:
                self._answers.put(line)
        self._answers.put(None)
