"""Small models with random weights, made on the spot."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

VOCABULARY = 512
_SMALL = {
    "vocab_size": VOCABULARY,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 8192,
    "initializer_range": 0.2,  # wide enough that the tokens of different prompts differ
}


def llama(folder: pathlib.Path, seed: int = 0) -> None:
    """Grouped-query attention, one group of layers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    _save(LlamaForCausalLM, LlamaConfig(**_SMALL), folder, seed, "float32")


def gemma(folder: pathlib.Path, seed: int = 0) -> None:
    """Sliding windows of 192 tokens in three layers of four: two groups of layers."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    config = Gemma3TextConfig(
        **_SMALL,
        sliding_window=192,
        layer_types=["sliding_attention"] * 3 + ["full_attention"],
    )
    _save(Gemma3ForCausalLM, config, folder, seed, "float32")


def mixture(folder: pathlib.Path, seed: int = 0) -> None:
    """A mixture of experts."""
    from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

    config = Qwen3MoeConfig(
        **_SMALL, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=64
    )
    _save(Qwen3MoeForCausalLM, config, folder, seed, "float32")


def latent(folder: pathlib.Path, seed: int = 0) -> None:
    """Multi-head latent attention."""
    from transformers import DeepseekV2Config, DeepseekV2ForCausalLM

    config = DeepseekV2Config(
        **{**_SMALL, "num_key_value_heads": 4, "head_dim": 64},
        kv_lora_rank=512,
        q_lora_rank=None,
        qk_nope_head_dim=64,
        qk_rope_head_dim=64,
        v_head_dim=64,
        n_routed_experts=4,
        n_shared_experts=1,
        num_experts_per_tok=2,
        moe_intermediate_size=64,
        first_k_dense_replace=4,
        n_group=1,
        topk_group=1,
        topk_method="greedy",
    )
    _save(DeepseekV2ForCausalLM, config, folder, seed, "bfloat16")


def _save(
    model: Callable[[Any], Any], config: Any, folder: pathlib.Path, seed: int, dtype: str
) -> None:
    import torch

    torch.manual_seed(seed)
    model(config).to(getattr(torch, dtype)).save_pretrained(folder)


def prompt(seed: int, length: int) -> list[int]:
    """Return tokens that no prompt of another seed begins with."""
    return [(seed * 37 + at * 7 + at * at * (seed + 3)) % (VOCABULARY - 12) for at in range(length)]
