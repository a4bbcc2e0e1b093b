"""A vLLM engine that takes its orders line by line: what tests start, stop and kill.

Orders and answers are JSON, one a line; answers go to the descriptor given first, since vLLM
writes to the standard output what it likes.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from lmcd.grants import Grants
from lmcd.mapping import Mapping


def generate(llm: Any, order: dict[str, Any]) -> dict[str, Any]:
    from vllm import SamplingParams

    prompts = []
    for at, tokens in enumerate(order["prompts"]):
        one: dict[str, Any] = {"prompt_token_ids": tokens}
        if order.get("salts"):
            one["cache_salt"] = order["salts"][at]
        prompts.append(one)
    parameters = SamplingParams(
        max_tokens=order["max_tokens"], temperature=0, detokenize=False, ignore_eos=True
    )
    outputs = llm.generate(prompts, parameters, use_tqdm=False)
    return {
        "tokens": [list(output.outputs[0].token_ids) for output in outputs],
        "cached": [output.num_cached_tokens for output in outputs],
    }


def metrics(llm: Any) -> dict[str, float]:
    """Return the connector's counters as vLLM exports them, by name and own label."""
    found = {}
    for metric in llm.get_metrics():
        if not metric.name.startswith("vllm:lmcd_"):
            continue
        own = [
            value
            for label, value in metric.labels.items()
            if label in ("tier", "reason", "outcome")
        ]
        found[":".join([metric.name.removeprefix("vllm:lmcd_"), *own])] = metric.value
    return found


def lose_leases(count: int) -> None:
    """Have the next `count` copies find that their extents have been given to others."""
    scatter = Mapping.scatter
    left = [count]

    def scatter_of_lost(self: Mapping, pages: Any, grants: Grants, *rest: Any, **more: Any) -> Any:
        if left[0] > 0:
            left[0] -= 1
            grants.cdata[len(grants) - 1].word += 2
        return scatter(self, pages, grants, *rest, **more)

    Mapping.scatter = scatter_of_lost  # type: ignore[method-assign]


def main() -> None:
    answers = os.fdopen(int(sys.argv[1]), "w")
    options = json.loads(sys.argv[2])

    from vllm import LLM

    llm = LLM(skip_tokenizer_init=True, enforce_eager=True, disable_log_stats=False, **options)
    verbs: dict[str, Callable[[dict[str, Any]], Any]] = {
        "generate": lambda order: generate(llm, order),
        "lose_leases": lambda order: lose_leases(order["count"]),
        "metrics": lambda _: metrics(llm),
        "reset": lambda _: llm.reset_prefix_cache(reset_connector=True),
    }
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(verbs[order["verb"]](order)), file=answers, flush=True)


if __name__ == "__main__":
    main()
