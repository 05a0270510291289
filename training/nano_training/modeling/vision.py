"""The vision tower and the projector (`siglip_vit.py` and `modeling_deepseek_vl_v2.py` of DeepSeek-VL2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .config import NanoConfig, VisionConfig
from .layers import LayerNorm, Linear, attention


class PatchEmbedding(nn.Module):
    """Non-overlapping patches through one linear layer, held as a convolution."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.size = config.patch_size
        self.proj = nn.Conv2d(3, config.width, config.patch_size, config.patch_size)

    def forward(self, pixels: Tensor) -> Tensor:
        views, channels, side, _ = pixels.shape
        grid, size = side // self.size, self.size
        patches = pixels.view(views, channels, grid, size, grid, size).permute(0, 2, 4, 1, 3, 5)
        patches = patches.reshape(views, grid * grid, channels * size * size)
        bias = self.proj.bias
        assert bias is not None
        return functional.linear(patches, self.proj.weight.flatten(1).to(pixels.dtype), bias.to(pixels.dtype))


class Attention(nn.Module):
    """Attention of every patch to every patch of its view."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = Linear(config.width, 3 * config.width)
        self.proj = Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        views, patches, width = x.shape
        qkv = self.qkv(x).view(views, patches, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        attended = attention(qkv[0], qkv[1], qkv[2])
        return self.proj(attended.transpose(1, 2).reshape(views, patches, width))


class Mlp(nn.Module):
    """Two linear layers with the tanh form of GELU between."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = Linear(width, inner)
        self.fc2 = Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x), approximate="tanh"))


class Block(nn.Module):
    """A pre-norm block."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.norm1 = LayerNorm(config.width)
        self.attn = Attention(config)
        self.norm2 = LayerNorm(config.width)
        self.mlp = Mlp(config.width, int(config.width * config.mlp_ratio))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTower(nn.Module):
    """Features [views, patches, width] of normalised pixels [views, 3, side, side]."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(config)
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, config.grid**2, config.width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = LayerNorm(config.width)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.patch_embed(pixels)
        x = x + self.pos_embed.to(x.dtype)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Projector(nn.Module):
    """`downsample_mlp_gelu`: joins 2x2 patches, [views, patches, width] to [views, patches / 4, hidden size]."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.by, hidden = config.downsample_ratio, config.language.hidden_size
        self.layers = nn.Sequential(
            Linear(config.vision.width * self.by**2, hidden),
            nn.GELU(),
            Linear(hidden, hidden),
        )

    def forward(self, features: Tensor) -> Tensor:
        views, patches, width = features.shape
        by = self.by
        side = int(patches**0.5) // by
        x = features.view(views, side, by, side, by, width).permute(0, 1, 3, 5, 2, 4)
        return self.layers(x.reshape(views, side * side, width * by * by))
