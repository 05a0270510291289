"""The decoder: multi-head latent attention and DeepSeekMoE (`modeling_deepseek.py` of DeepSeek-V3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .bands import Bands
from .config import LanguageConfig
from .layers import GatedMlp, Linear, RMSNorm
from .packing import Packing


def rotations(positions: Tensor, config: LanguageConfig) -> tuple[Tensor, Tensor]:
    """Cosines and sines [tokens, rotary width / 2] of the angles at `positions` [tokens]."""
    half = torch.arange(0, config.qk_rope_head_dim, 2, device=positions.device, dtype=torch.float32)
    angles = positions[..., None].float() * config.rope_theta ** (-half / config.qk_rope_head_dim)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns neighbouring pairs of the last axis of x [tokens, heads, rotary width]."""
    cos, sin = cos[:, None].to(x.dtype), sin[:, None].to(x.dtype)
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


class LatentAttention(nn.Module):
    """Keys and values come from a latent of `kv_lora_rank` values a token and a rotary key that the heads share.

    With `keep`, `kept` has the queries and keys [tokens, heads, width] of the last pass, for losses.
    """

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.config = config
        self.keep = False
        self.kept: tuple[Tensor, Tensor] | None = None
        heads, nope, rope = config.num_attention_heads, config.qk_nope_head_dim, config.qk_rope_head_dim
        self.q_proj = Linear(config.hidden_size, heads * (nope + rope), bias=False)
        self.kv_a_proj_with_mqa = Linear(config.hidden_size, config.kv_lora_rank + rope, bias=False)
        self.kv_a_layernorm = RMSNorm(config.kv_lora_rank, 1e-6)
        self.kv_b_proj = Linear(config.kv_lora_rank, heads * (nope + config.v_head_dim), bias=False)
        self.o_proj = Linear(heads * config.v_head_dim, config.hidden_size, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, packing: Packing | Bands) -> Tensor:
        config = self.config
        heads, nope, rope = config.num_attention_heads, config.qk_nope_head_dim, config.qk_rope_head_dim
        q_nope, q_rope = self.q_proj(x).unflatten(-1, (heads, nope + rope)).split((nope, rope), -1)
        latent, k_rope = self.kv_a_proj_with_mqa(x).split((config.kv_lora_rank, rope), -1)
        kv = self.kv_b_proj(self.kv_a_layernorm(latent)).unflatten(-1, (heads, nope + config.v_head_dim))
        k_nope, value = kv.split((nope, config.v_head_dim), -1)
        k_rope = rotate(k_rope[:, None], cos, sin).expand(-1, heads, -1)
        query = torch.cat((q_nope, rotate(q_rope, cos, sin)), -1)
        key = torch.cat((k_nope, k_rope), -1)
        if self.keep:
            self.kept = query, key
        attended = packing.attend(query, key, value)
        return self.o_proj(attended.flatten(1))


class Router(nn.Module):
    """Sigmoid scores; the choice alone is corrected by a bias that follows the load, without an auxiliary loss."""

    e_score_correction_bias: Tensor
    load: Tensor

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.top_k, self.scale = config.num_experts_per_tok, config.routed_scaling_factor
        self.weight = nn.Parameter(torch.randn(config.n_routed_experts, config.hidden_size) * config.hidden_size**-0.5)
        self.register_buffer("e_score_correction_bias", torch.zeros(config.n_routed_experts))
        self.register_buffer("load", torch.zeros(config.n_routed_experts), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Chosen experts and their weights, [tokens, top_k] each, of x [tokens, width]."""
        scores = functional.linear(x.float(), self.weight).sigmoid()
        chosen = (scores.detach() + self.e_score_correction_bias).topk(self.top_k, -1, sorted=False).indices
        if self.training:
            self.load += functional.one_hot(chosen.flatten(), len(self.load)).sum(0)
        weights = scores.gather(-1, chosen)
        return chosen, weights / (weights.sum(-1, keepdim=True) + 1e-20) * self.scale

    @torch.no_grad()
    def balance(self, rate: float) -> None:
        """Moves the bias towards experts that got less than their share since the last call (DeepSeek-V3, 2.1.2)."""
        self.e_score_correction_bias += rate * (self.load.mean() - self.load).sign()
        self.load.zero_()


class Moe(nn.Module):
    """Shared experts for every token and the routed ones that its router chooses."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.moe_intermediate_size
        self.gate = Router(config)
        self.experts = nn.ModuleList(GatedMlp(width, inner) for _ in range(config.n_routed_experts))
        self.shared_experts = GatedMlp(width, inner * config.n_shared_experts)

    def forward(self, x: Tensor) -> Tensor:
        chosen, weights = self.gate(x)
        routed = self.chosen_alone if x.device.type == "cpu" else self.all_at_once
        return self.shared_experts(x) + routed(x, chosen, weights)

    def chosen_alone(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """The routed experts' part, each computed for its tokens."""
        order = chosen.flatten().argsort()
        rows = order.div(chosen.shape[1], rounding_mode="floor")
        counts = torch.bincount(chosen.flatten(), minlength=len(self.experts)).tolist()
        parts = x.index_select(0, rows).split(counts)
        expert_outputs = torch.cat([expert(part) for expert, part in zip(self.experts, parts, strict=True)])
        scaled = expert_outputs * weights.flatten()[order, None].to(x.dtype)
        return torch.zeros_like(x).index_add_(0, rows, scaled)

    def all_at_once(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """The same by three products with all experts, those that are not chosen at no weight: four times the work,
        which a GPU has done before it could launch the parts."""
        shares = torch.zeros(len(x), len(self.experts), device=x.device).scatter(1, chosen, weights).to(x.dtype)
        gate, up, down = (
            torch.cat([getattr(expert, name).weight for expert in self.experts], axis).to(x.dtype)
            for name, axis in (("gate_proj", 0), ("up_proj", 0), ("down_proj", 1))
        )
        hidden = functional.silu(functional.linear(x, gate)) * functional.linear(x, up)
        shared = hidden.unflatten(-1, (len(self.experts), -1)) * shares[..., None]
        return functional.linear(shared.flatten(-2), down)


class DecoderLayer(nn.Module):
    """A pre-norm layer, dense or sparse."""

    def __init__(self, config: LanguageConfig, index: int) -> None:
        super().__init__()
        dense = index < config.first_k_dense_replace
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = LatentAttention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = GatedMlp(config.hidden_size, config.intermediate_size) if dense else Moe(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, packing: Packing | Bands) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, packing)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """The layers between the embeddings and the output layer."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        nn.init.normal_(self.embed_tokens.weight, std=0.02)
        self.layers = nn.ModuleList(DecoderLayer(config, i) for i in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, x: Tensor, positions: Tensor, packing: Packing | Bands) -> Tensor:
        """Hidden states of embeddings x [tokens, width] at `positions` [tokens]."""
        cos, sin = rotations(positions, self.config)
        for layer in self.layers:
            x = layer(x, cos, sin, packing)
        return self.norm(x)


class LanguageModel(nn.Module):
    """The decoder with its output layer."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.model = Decoder(config)
        self.lm_head = Linear(config.hidden_size, config.vocab_size, bias=False)
