"""The least that must hold, in two engines and a few minutes: what one engine has computed and
stored, the next one reads, also from a daemon that was killed and came back, with equal tokens.

The first engine's answers are those of a plain engine: nothing was cached when it gave them.
"""

from __future__ import annotations

from tests.python.daemon import Daemon
from tests.vllm.conftest import EngineMaker
from tests.vllm.models import prompt


def test_a_second_engine_reads_what_the_first_stored_across_a_killed_daemon(
    engine_of: EngineMaker, daemon: Daemon
) -> None:
    prompts = [prompt(800, 1000), prompt(801, 700)]
    first = engine_of("llama", socket=daemon.socket, enable_prefix_caching=False)
    cold = first.generate(prompts)
    assert cold.cached == [0, 0]
    warm = first.generate(prompts)
    assert (warm.tokens, warm.cached) == (cold.tokens, [768, 512])
    assert first.metrics()["hit_tokens:hot"] == 768 + 512
    first.close()
    daemon.kill()
    daemon.start()
    second = engine_of("llama", socket=daemon.socket, enable_prefix_caching=False)
    again = second.generate(prompts)
    assert (again.tokens, again.cached) == (cold.tokens, [768, 512])
