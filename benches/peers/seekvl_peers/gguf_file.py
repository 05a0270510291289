"""Random weights of a language model as llama.cpp reads them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter

from seekvl_peers.shapes import Language, Latent

#: Random values are drawn once and repeated; a prime, so that no two rows of a matrix are equal.
_DRAWN = (1 << 24) + 43


@dataclass(frozen=True)
class _Tensor:
    """A tensor's name, its shape (outermost dimension first), and whether it is kept in f32."""

    name: str
    shape: tuple[int, ...]
    exact: bool = False

    @property
    def is_gain(self) -> bool:
        return len(self.shape) == 1

    @property
    def values(self) -> int:
        return math.prod(self.shape)


def write(shape: Language, out: Path) -> None:
    """Write the model in bf16, its norms and routers in f32, without a vocabulary.

    Args:
        shape: The model. With latent attention it is llama.cpp's `deepseek2`, otherwise its `deepseek2-ocr`.
        out: The file.
    """
    writer = GGUFWriter(out, "deepseek2" if shape.latent else "deepseek2-ocr")
    _describe(writer, shape)
    tensors = list(_tensors(shape))
    for tensor in tensors:
        if tensor.exact or tensor.is_gain:
            writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), 4 * tensor.values)
        else:
            stored = (*tensor.shape[:-1], 2 * tensor.shape[-1])
            kind = GGMLQuantizationType.BF16
            writer.add_tensor_info(tensor.name, stored, np.dtype(np.uint8), 2 * tensor.values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    rng = np.random.default_rng(0)
    drawn = rng.uniform(-math.sqrt(3), math.sqrt(3), _DRAWN).astype(np.float32)
    for tensor in tensors:
        writer.write_tensor_data(_values(tensor, drawn, rng))
    writer.close()


def _describe(writer: Any, shape: Language) -> None:
    writer.add_name("random")
    writer.add_tokenizer_model("no_vocab")
    writer.add_vocab_size(shape.vocabulary)
    writer.add_context_length(shape.positions)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(1 if shape.latent else shape.heads)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_leading_dense_block_count(shape.dense)
    writer.add_expert_count(shape.experts)
    writer.add_expert_used_count(shape.experts_used)
    writer.add_expert_shared_count(shape.experts_shared)
    writer.add_expert_feed_forward_length(shape.expert_hidden)
    writer.add_expert_weights_scale(1.0)
    writer.add_expert_weights_norm(False)
    # Softmax.
    writer.add_uint32(f"{writer.arch}.expert_gating_func", 1)
    if latent := shape.latent:
        writer.add_uint32(f"{writer.arch}.attention.q_lora_rank", 0)
        writer.add_kv_lora_rank(latent.rank)
        writer.add_key_length(latent.rank + latent.rope)
        writer.add_value_length(latent.rank)
        writer.add_key_length_mla(latent.nope + latent.rope)
        writer.add_value_length_mla(latent.value)
        writer.add_rope_dimension_count(latent.rope)


def _tensors(shape: Language) -> Iterator[_Tensor]:
    width = shape.width
    yield _Tensor("token_embd.weight", (shape.vocabulary, width))
    yield _Tensor("output_norm.weight", (width,))
    yield _Tensor("output.weight", (shape.vocabulary, width))
    for layer in range(shape.layers):
        block = f"blk.{layer}."
        yield _Tensor(f"{block}attn_norm.weight", (width,))
        if shape.latent:
            yield from _latent_attention(block, shape, shape.latent)
        else:
            for name in ("q", "k", "v", "output"):
                yield _Tensor(f"{block}attn_{name}.weight", (width, width))
        yield _Tensor(f"{block}ffn_norm.weight", (width,))
        if layer < shape.dense:
            yield from _gated(block, "", (), width, shape.hidden)
        else:
            yield _Tensor(f"{block}ffn_gate_inp.weight", (shape.experts, width), exact=True)
            yield from _gated(block, "_exps", (shape.experts,), width, shape.expert_hidden)
            yield from _gated(block, "_shexp", (), width, shape.expert_hidden * shape.experts_shared)


def _latent_attention(block: str, shape: Language, latent: Latent) -> Iterator[_Tensor]:
    width, heads = shape.width, shape.heads
    yield _Tensor(f"{block}attn_q.weight", (heads * (latent.nope + latent.rope), width))
    yield _Tensor(f"{block}attn_kv_a_mqa.weight", (latent.rank + latent.rope, width))
    yield _Tensor(f"{block}attn_kv_a_norm.weight", (latent.rank,))
    yield _Tensor(f"{block}attn_k_b.weight", (heads, latent.rank, latent.nope))
    yield _Tensor(f"{block}attn_v_b.weight", (heads, latent.value, latent.rank))
    yield _Tensor(f"{block}attn_output.weight", (width, heads * latent.value))


def _gated(block: str, suffix: str, experts: tuple[int, ...], width: int, hidden: int) -> Iterator[_Tensor]:
    yield _Tensor(f"{block}ffn_gate{suffix}.weight", (*experts, hidden, width))
    yield _Tensor(f"{block}ffn_up{suffix}.weight", (*experts, hidden, width))
    yield _Tensor(f"{block}ffn_down{suffix}.weight", (*experts, width, hidden))


def _values(tensor: _Tensor, drawn: Any, rng: Any) -> Any:
    """Ones for a norm; else a variance of one over the number of inputs, which keeps activations at their size."""
    if tensor.is_gain:
        return np.ones(tensor.shape, np.float32)
    scale = 1.0 if tensor.name.startswith("token_embd") else tensor.shape[-1] ** -0.5
    scaled = np.roll(drawn, rng.integers(len(drawn))) * np.float32(scale)
    if tensor.exact:
        return np.resize(scaled, tensor.shape)
    # The upper half of an f32 is a bf16.
    halves = (scaled.view(np.uint32) >> 16).astype(np.uint16)
    return np.resize(halves, tensor.values).view(np.uint8)
