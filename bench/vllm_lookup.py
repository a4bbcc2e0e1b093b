"""The lookup of a prompt as vLLM calls it: the connector's get_num_new_matched_tokens.

Real requests of 131,072 tokens with vLLM's own block hashes, 512 chunks of 256 tokens each, every
one of them new to the connector. Hits are stored before and leased by the call; what was leased is
taken back outside of the measured time. Calls are 1 ms apart. No model runs, and none is needed:
an engine's configuration is made of a model that has no weights.

Run in the environment of the vLLM tests, by `make bench-vllm`.
"""

from __future__ import annotations

import gc
import json
import pathlib
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from report import Report, at_most
from served import BATCH, OBJECT_BYTES, Served, options_for

from lmcd.keys import Keys

TOKENS = 131_072
BLOCK_TOKENS = 128
CHUNK_TOKENS = 256
CHUNKS = TOKENS // CHUNK_TOKENS
CALLS = 100
ROUNDS = 7
PACE_SECONDS = 0.001
BOUND_MS = 0.2
MODEL = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 512,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 2 * TOKENS,
}


def make_connector(folder: pathlib.Path, socket: str) -> Any:
    """Make the scheduler's half as an engine does, told of one worker."""
    import torch
    from vllm.config import KVTransferConfig, set_current_vllm_config
    from vllm.engine.arg_utils import EngineArgs
    from vllm.v1.core.block_pool import BlockPool
    from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec

    from lmcd.vllm import LmcdConnector
    from lmcd.vllm.messages import Facts
    from lmcd.vllm.versions import KVConnectorRole

    (folder / "config.json").write_text(json.dumps(MODEL))
    config = EngineArgs(
        model=str(folder),
        dtype="float32",
        load_format="dummy",
        block_size=BLOCK_TOKENS,
        max_model_len=TOKENS + BLOCK_TOKENS,
        skip_tokenizer_init=True,
        kv_transfer_config=KVTransferConfig(
            kv_connector="LmcdConnector",
            kv_connector_module_path="lmcd.vllm",
            kv_role="kv_both",
            kv_connector_extra_config={"lmcd.socket": socket},
        ),
    ).create_engine_config()
    spec = FullAttentionSpec(
        block_size=BLOCK_TOKENS, num_kv_heads=2, head_size=32, dtype=torch.float32
    )
    cache = KVCacheConfig(
        num_blocks=4096,
        kv_cache_tensors=[],
        kv_cache_groups=[KVCacheGroupSpec(["layer.0"], spec)],
    )
    with set_current_vllm_config(config):
        connector = LmcdConnector(config, KVConnectorRole.SCHEDULER, cache)
    half = connector._half()
    if not half._link.wait_for_first_look(30_000):
        raise SystemExit("the connector does not find the daemon")
    facts = Facts("bench", (OBJECT_BYTES // 2,), half._link.incarnation)
    connector.set_xfer_handshake_metadata({0: facts})
    connector.bind_gpu_block_pool(BlockPool(4096, False, BLOCK_TOKENS))
    return connector


def requests(name: str, first: int) -> Iterator[Any]:
    """Yield requests that share no block."""
    from vllm.utils.hashing import sha256
    from vllm.v1.core.kv_cache_utils import get_request_block_hasher, init_none_hash
    from vllm.v1.request import Request

    from vllm import SamplingParams

    init_none_hash(sha256)
    hasher = get_request_block_hasher(BLOCK_TOKENS, sha256)
    for at in range(first, first + CALLS):
        tokens = [(at * 7919 + place) % 500 for place in range(TOKENS)]
        yield Request(
            f"{name}-{at}", tokens, SamplingParams(max_tokens=1), None, block_hasher=hasher
        )


def keys_of(request: Any) -> Keys:
    step = CHUNK_TOKENS // BLOCK_TOKENS
    return Keys(b"".join(request.block_hashes[step - 1 :: step]))


def store(space: Any, keys: Keys) -> None:
    """Commit an object for each key, without a byte of payload written."""
    for first in range(0, len(keys), BATCH):
        with space.reserve(keys[first : first + BATCH], length=OBJECT_BYTES) as lease:
            lease.commit()
    space.session.ping()


def measure(connector: Any, prompts: list[Any], expected: int) -> list[float]:
    """Return what each call took, in milliseconds."""
    call: Callable[..., Any] = connector.get_num_new_matched_tokens
    took = []
    for request in prompts:
        time.sleep(PACE_SECONDS)
        begin = time.perf_counter_ns()
        found, _ = call(request, 0)
        took.append((time.perf_counter_ns() - begin) / 1e6)
        if found != expected:
            raise SystemExit(f"{request.request_id}: {found} tokens found, not {expected}")
        connector.request_finished(request, [])
    return took


def main() -> int:
    report = Report()
    with (
        tempfile.TemporaryDirectory() as folder,
        Served(*options_for((CALLS + 1) * CHUNKS)) as served,
    ):
        served.start().close()
        connector = make_connector(pathlib.Path(folder), served.socket)
        half = connector._half()
        hits = list(requests("hit", 0))
        space = half._link.space(connector._spaces.of(hits[0]), 30_000)
        for request in hits:
            store(space, keys_of(request))
        arms = {"hit": (hits, TOKENS - BLOCK_TOKENS), "miss": (list(requests("miss", CALLS)), 0)}
        best = {name: [1e9, 1e9] for name in arms}
        gc.freeze()  # as vLLM does when an engine has started
        for _ in range(ROUNDS):
            for name, (prompts, expected) in arms.items():
                took = sorted(measure(connector, prompts, expected))
                found = statistics.median(took), took[-1 - len(took) // 100]
                best[name] = [*map(min, best[name], found)]
        for name, figures in best.items():
            for quantile, figure in zip(("p50", "p99"), figures, strict=True):
                bound = at_most(BOUND_MS)
                report.add(f"{name} of {CHUNKS} keys, {quantile}", figure, "ms", None, bound)
        connector.shutdown()
    return report.finish()


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # what vLLM and torch deprecate is not ours
    raise SystemExit(main())
