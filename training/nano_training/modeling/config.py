"""The shape of nano."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class VisionConfig:
    """The SigLIP tower."""

    image_size: int = 168
    patch_size: int = 14
    width: int = 192
    layers: int = 5
    heads: int = 4
    mlp_ratio: float = 3.5

    @property
    def grid(self) -> int:
        """Patches along a side of a tile."""
        return self.image_size // self.patch_size


@dataclass(frozen=True)
class LanguageConfig:
    """The DeepSeekMoE decoder with latent attention, keys as in DeepSeek-V3's `config.json`."""

    vocab_size: int = 512
    hidden_size: int = 192
    intermediate_size: int = 384
    num_hidden_layers: int = 5
    num_attention_heads: int = 4
    kv_lora_rank: int = 128
    qk_nope_head_dim: int = 32
    qk_rope_head_dim: int = 16
    v_head_dim: int = 48
    first_k_dense_replace: int = 1
    n_routed_experts: int = 8
    num_experts_per_tok: int = 2
    n_shared_experts: int = 1
    moe_intermediate_size: int = 64
    routed_scaling_factor: float = 1.0
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6
    max_position_embeddings: int = 4096


@dataclass(frozen=True)
class NanoConfig:
    """The whole."""

    vision: VisionConfig = field(default_factory=VisionConfig)
    language: LanguageConfig = field(default_factory=LanguageConfig)
    downsample_ratio: int = 2

    @property
    def side(self) -> int:
        """Visual tokens along a side of a view."""
        return self.vision.grid // self.downsample_ratio
