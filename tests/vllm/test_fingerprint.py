"""Two engines share a namespace exactly when one may read what the other wrote.

The text is made from configurations of a real vLLM; each thing that changes what the bytes mean
is changed alone.
"""

from __future__ import annotations

import importlib.util
import pathlib
import shutil
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING or importlib.util.find_spec("vllm"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what vLLM and torch deprecate is not ours
        import torch
        from vllm.engine.arg_utils import EngineArgs
        from vllm.lora.request import LoRARequest
        from vllm.utils.hashing import get_hash_fn_by_name
        from vllm.v1.core.kv_cache_utils import get_request_block_hasher, init_none_hash
        from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec
        from vllm.v1.request import Request

        from lmcd.derivation import Prompt, keys_of
        from lmcd.vllm import fingerprint, versions
        from lmcd.vllm.geometry import Refused, geometry_of
        from lmcd.vllm.options import Options
        from vllm import SamplingParams

pytestmark = pytest.mark.filterwarnings("ignore")

ModelOf = Callable[[str], pathlib.Path]


def config_of(model: pathlib.Path, **options: Any) -> Any:
    given = {"dtype": "float32", "max_model_len": 1024, "skip_tokenizer_init": True, **options}
    return EngineArgs(model=str(model), **given).create_engine_config()


def cache_of(block_tokens: int = 128) -> Any:
    spec = FullAttentionSpec(
        block_size=block_tokens, num_kv_heads=2, head_size=32, dtype=torch.float32
    )
    return KVCacheConfig(
        num_blocks=64,
        kv_cache_tensors=[],
        kv_cache_groups=[KVCacheGroupSpec(["layer.0"], spec)],
    )


def text_of(
    model: pathlib.Path,
    chunk_tokens: int = 256,
    layout: str = "vec 1:float32[2x128x64]",
    **more: Any,
) -> str:
    config = config_of(model, **more)
    cache = cache_of(config.cache_config.block_size)
    geometry = geometry_of(config, cache, chunk_tokens)
    return fingerprint.describe(config, cache, geometry, [layout])


@pytest.fixture(scope="module")
def same(model_of: ModelOf) -> str:
    return text_of(model_of("llama"))


def test_the_same_engine_has_the_same_text(model_of: ModelOf, same: str) -> None:
    assert text_of(model_of("llama")) == same


def test_a_copy_of_the_model_elsewhere_has_the_same_text(
    model_of: ModelOf, same: str, tmp_path: pathlib.Path
) -> None:
    copy = shutil.copytree(model_of("llama"), tmp_path / "copy")
    assert text_of(copy) == same


def test_other_weights_under_the_same_path_have_another_text(
    model_of: ModelOf, tmp_path: pathlib.Path
) -> None:
    folder = shutil.copytree(model_of("llama"), tmp_path / "model")
    before = text_of(folder)
    (weights,) = folder.glob("*.safetensors")
    with weights.open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    assert text_of(folder) != before


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "bfloat16"},
        {"block_size": 64},
        {"chunk_tokens": 512},
        {"layout": "amx 1:float32[2x128x64]"},
        {"layout": "vec 2:float32[2x128x64]"},
        {"prefix_caching_hash_algo": "sha256_cbor"},
        {"hf_overrides": {"rope_theta": 20000.0}},
    ],
    ids=str,
)
def test_what_changes_the_bytes_changes_the_text(
    model_of: ModelOf, same: str, change: dict[str, Any]
) -> None:
    assert text_of(model_of("llama"), **change) != same


def test_another_hash_seed_has_another_text(
    model_of: ModelOf, same: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    assert text_of(model_of("llama")) != same


def test_an_adapter_is_known_by_its_contents(tmp_path: pathlib.Path) -> None:
    (tmp_path / "adapter.safetensors").write_bytes(b"one")
    before = fingerprint.adapter_digest(str(tmp_path))
    assert fingerprint.adapter_digest(str(tmp_path)) == before
    (tmp_path / "adapter.safetensors").write_bytes(b"two")
    assert fingerprint.adapter_digest(str(tmp_path)) != before


@pytest.mark.parametrize("algorithm", ["sha256", "sha256_cbor"])
def test_explain_makes_the_keys_that_requests_have(model_of: ModelOf, algorithm: str) -> None:
    digest = get_hash_fn_by_name(algorithm)
    init_none_hash(digest)
    text = text_of(model_of("llama"), prefix_caching_hash_algo=algorithm)
    asked = Prompt(list(range(900)), "tenant-7", ("adapter", "/models/adapter"))
    request = Request(
        "a",
        asked.tokens,
        SamplingParams(max_tokens=1),
        None,
        cache_salt=asked.salt,
        lora_request=LoRARequest("adapter", 1, "/models/adapter"),
        block_hasher=get_request_block_hasher(128, digest),
    )
    keys = keys_of(f"{text}\nadapter=digest", asked, 0, "")
    assert list(keys) == [bytes(one) for one in request.block_hashes[1::2]]
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("part", "name", "value", "said"),
    [
        ("cache_config", "prefix_caching_hash_algo", "xxhash", "is not collision resistant"),
        ("cache_config", "calculate_kv_scales", True, "scales are calculated at run time"),
        ("parallel_config", "pipeline_parallel_size", 2, "pipeline parallel"),
        ("parallel_config", "decode_context_parallel_size", 2, "context parallel"),
        ("parallel_config", "nnodes", 2, "the engines of one host"),
    ],
    ids=lambda value: str(value).replace(" ", "_"),
)
def test_what_is_not_served_is_refused_in_one_sentence(
    model_of: ModelOf, part: str, name: str, value: Any, said: str
) -> None:
    config = config_of(model_of("llama"))
    setattr(getattr(config, part), name, value)
    with pytest.raises(Refused, match=said) as refused:
        geometry_of(config, cache_of(), 256)
    assert "\n" not in str(refused.value)


def test_another_version_of_vllm_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert versions.refusal() is None
    monkeypatch.setattr("vllm.__version__", "0.12.3")
    assert str(versions.refusal()).startswith("lmcd does not know vLLM 0.12.3; it is tested with 0")


def test_options_are_read_and_foreign_spellings_too() -> None:
    assert Options.of({}) == Options()
    options = Options.of(
        {"lmcd.socket": "/run/x", "lmcd.copy_threads": "3", "lmcache.mp.mq_timeout": 2.5}
    )
    assert options == Options(socket="/run/x", copy_threads=3, timeout_ms=2500)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lmcd.copy_thread": 1}, "lmcd.copy_thread: not an option; known are lmcd.socket"),
        ({"lmcd.copy_threads": 0}, "lmcd.copy_threads is 0: must be 1 to 64"),
        ({"lmcd.timeout_ms": "soon"}, "lmcd.timeout_ms is 'soon': must be a number"),
        ({"lmcd.save_decode_cache": "yes"}, "is 'yes': must be true or false"),
        ({"lmcd.transfer_mode": "x"}, "must be one of auto, engine_driven, daemon_driven"),
        ({"lmcache.mp.unknown": 1}, "lmcache.mp.unknown: not an option that lmcd takes over"),
    ],
)
def test_a_wrong_option_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Options.of(given)
