"""What the bytes of an engine's KV mean: the text that names its namespace.

One printable list, the same for two engines exactly when one may read what the other wrote.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import vllm
from lmcd.vllm import versions

if TYPE_CHECKING:
    from vllm.config import VllmConfig
    from vllm.v1.kv_cache_interface import KVCacheConfig

    from lmcd.vllm.geometry import Geometry

LAYOUT_VERSION = 1  # of keys and payloads as this package makes them

_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.gguf")
_PIECE_BYTES = 1 << 20
_HEX_DIGITS = 64  # a hub's blob is named by the sha256 of what it holds
# Of a model's configuration: how it came here, not what it is.
_VOLATILE = ("_name_or_path", "name_or_path", "transformers_version")


def describe(
    config: VllmConfig, cache: KVCacheConfig, geometry: Geometry, layouts: Iterable[str]
) -> str:
    """Return the canonical text, one `name=value` a line.

    Args: `layouts`, the layout of each rank's pages.
    """
    model = config.model_config
    parallel = config.parallel_config
    algorithm = str(config.cache_config.prefix_caching_hash_algo)
    distinct = list(dict.fromkeys(layouts))
    lines = {
        "engine": f"vllm {vllm.__version__}",
        "layout_version": LAYOUT_VERSION,
        "weights": weights_digest(config),
        "config": _digest_of(_config_of(model.hf_config)),
        "dtype": model.dtype,
        "quantization": model.quantization,
        "kv_dtype": config.cache_config.cache_dtype,
        "groups": _short("; ".join(_spec_text(one.kv_cache_spec) for one in cache.kv_cache_groups)),
        "block_tokens": ",".join(str(group.block_tokens) for group in geometry.groups),
        "hash_tokens": geometry.hash_tokens,
        "chunk_tokens": geometry.chunk_tokens,
        "tp": parallel.tensor_parallel_size,
        "pages": _short(" | ".join(distinct)),
        "hash": f"{algorithm} seed {_short(versions.hash_seed(algorithm))}{_pickle_of(algorithm)}",
    }
    return "\n".join(f"{name}={value}" for name, value in lines.items())


def weights_digest(config: VllmConfig) -> str:
    """Return a digest of the weights that the engine serves."""
    load = config.load_config
    if str(load.load_format) == "dummy":
        return f"dummy seed {config.model_config.seed}"
    folder = _folder_of(config)
    files = sorted({file for pattern in _WEIGHTS for file in folder.glob(pattern)})
    if not files:
        return f"unknown {config.model_config.model} {config.model_config.revision}"
    return files_digest(files)


def files_digest(files: Iterable[pathlib.Path]) -> str:
    """Return a digest of files' names and contents."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{_content_of(file)}\n".encode())
    return digest.hexdigest()


def adapter_digest(path: str) -> str:
    """Return a digest of an adapter: its hash in vLLM's keys has only name and path."""
    folder = pathlib.Path(path)
    return files_digest(sorted(file for file in folder.rglob("*") if file.is_file()))


def _folder_of(config: VllmConfig) -> pathlib.Path:
    model = config.model_config
    folder = pathlib.Path(str(model.model))
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download

    revision = str(model.revision) if model.revision else None
    return pathlib.Path(
        snapshot_download(str(model.model), revision=revision, local_files_only=True)
    )


def _content_of(file: pathlib.Path) -> str:
    name = file.resolve().name
    if len(name) == _HEX_DIGITS and set(name) <= set("0123456789abcdef"):
        return name
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _config_of(hf_config: Any) -> dict[str, Any]:
    given: dict[str, Any] = hf_config.to_dict()
    return {name: value for name, value in given.items() if name not in _VOLATILE}


def _spec_text(spec: Any) -> str:
    return f"{type(spec).__name__} {spec}"


def _digest_of(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _short(text: str, limit: int = 400) -> str:
    """Return a text as it is when it is short and printable, else its digest."""
    if len(text) <= limit and text.isprintable():
        return text
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _pickle_of(algorithm: str) -> str:
    """Say which pickle makes the hashes, where one does."""
    if algorithm.endswith("cbor"):
        return ""
    return f" pickle of Python {sys.version_info.major}.{sys.version_info.minor}"
