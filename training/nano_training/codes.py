"""What every patch is and where it lies, as fixed vectors: the tower learns to give these, the decoder to read them.

So both learn at the same time, each without paying for the other, and fit together afterwards. Of a tower's features
the first `CodeBook.used` values are a code; the rest is free.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .batch import Batch
from .modeling.config import NanoConfig
from .targets import CHARACTERS, IGNORED, NO_COLOUR, NO_KIND

CHARACTER = 52
"""Values for the character in each half of a patch."""

STRENGTH = 4.0
"""Length of a code of a character, kind or colour."""

SHARPNESS = 2.0
"""Of the softmax that compares features with codes."""

WAVES = (1, 3)
"""Periods in a tile of the waves that tell where an edge is, beside the plain coordinate."""

OUTSIDE = 0.06
"""How far beyond the tile an edge is told, in tiles; the tower cannot see farther."""


class CodeBook(nn.Module):
    """The codes. Order: left character, right character, kind, colour, edges of the thing, place of the patch."""

    characters: Tensor
    place: Tensor
    centres: Tensor

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.width = config.vision.width
        self.sizes = (CHARACTER, CHARACTER, NO_KIND + 1, NO_COLOUR + 1, 4 * (1 + 2 * len(WAVES)), 12)
        self.used = sum(self.sizes)
        assert self.used <= self.width
        self.register_buffer("characters", spread(CHARACTERS + 1, CHARACTER), persistent=False)
        along = (torch.arange(config.vision.grid) + 0.5) / config.vision.grid
        rows, columns = torch.meshgrid(along, along, indexing="ij")
        centres = torch.stack((columns.flatten(), rows.flatten()), -1)
        waves = centres[..., None] * torch.tensor([0.5, 1.0, 2.0]) * math.tau
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer("place", 1.2 * torch.stack((waves.sin(), waves.cos()), -1).flatten(1), persistent=False)

    def logits(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of features [N, P, width]: characters [N, P, 2, CHARACTERS + 1], kinds and colours [N, P, ..]."""
        left, right, kind, colour, *_ = self.split(features)
        characters = torch.stack((left, right), -2) @ self.characters.T
        return SHARPNESS * characters, SHARPNESS * kind, SHARPNESS * colour

    def split(self, features: Tensor) -> tuple[Tensor, ...]:
        """The parts of features in float32, in order."""
        return features[..., : self.used].float().split(self.sizes, -1)

    def edges(self, batch: Batch) -> Tensor:
        """Where the edges of each patch's thing are [N, P, 4]: left, top, right, bottom in tiles, NaN without one."""
        towards = torch.tensor([-1.0, -1.0, 1.0, 1.0], device=batch.edges.device)
        return (self.centres.repeat(1, 2) + towards * batch.edges).clamp(-OUTSIDE, 1 + OUTSIDE)

    def written(self, edges: Tensor) -> Tensor:
        """The part of the code that tells edges [.., 4]."""
        angles = edges[..., None] * torch.tensor(WAVES, device=edges.device) * math.tau
        parts = torch.cat((4 * edges[..., None] - 2, 1.5 * angles.sin(), 1.5 * angles.cos()), -1)
        return parts.flatten(-2)

    def exact(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The codes [N, P, used] of a batch and what of them is known, as weights."""
        known_characters, known_kinds = batch.characters != IGNORED, batch.kinds != IGNORED
        characters = self.characters[batch.characters.clamp(min=0)] * STRENGTH
        kinds = functional.one_hot(batch.kinds.clamp(min=0), NO_KIND + 1) * STRENGTH
        colours = functional.one_hot(batch.colours.clamp(min=0), NO_COLOUR + 1) * STRENGTH
        edges = self.edges(batch)
        told = ~edges[..., :1].isnan()
        codes = (
            characters.flatten(-2),
            kinds.float(),
            colours.float(),
            self.written(edges.nan_to_num(0.5)),
            self.place.expand(len(batch.kinds), -1, -1),
        )
        ones = torch.ones(1, device=edges.device)
        weights = (
            known_characters.float().repeat_interleave(CHARACTER, -1),
            known_kinds[..., None] * ones.expand(NO_KIND + 1),
            known_kinds[..., None] * ones.expand(NO_COLOUR + 1),
            told * ones.expand(self.sizes[4]),
            ones.expand(*batch.kinds.shape, self.sizes[5]),
        )
        return torch.cat(codes, -1), torch.cat(weights, -1)

    def features(self, batch: Batch) -> Tensor:
        """What a tower that is nearly right might say [N, P, width]: the codes with doubts, mistakes and noise."""
        codes, known = self.exact(batch)
        others = codes.flatten(0, 1)[torch.randperm(codes[..., 0].numel(), device=codes.device)].view_as(codes)
        doubt = torch.rand(*codes.shape[:2], 1, device=codes.device)
        doubt = torch.where(torch.rand_like(doubt) < 0.1, doubt, 0.1 * doubt)
        kept = self.used - self.sizes[5]
        mixed = codes + doubt * (others - codes)
        unknown = torch.where(known[..., :kept] > 0, mixed[..., :kept], others[..., :kept] * torch.rand_like(doubt))
        strength = 0.85 + 0.3 * torch.rand(len(codes), 1, 1, device=codes.device)
        full = functional.pad(torch.cat((unknown, codes[..., kept:]), -1), (0, self.width - self.used))
        return full * strength + 0.25 * torch.randn_like(full)


def spread(count: int, width: int) -> Tensor:
    """`count` unit vectors that are far apart: drawn from a fixed seed and pushed away from each other."""
    codes = torch.randn(count, width, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    for _ in range(200):
        codes = functional.normalize(codes, dim=-1)
        near = codes @ codes.T - torch.eye(count, dtype=codes.dtype)
        codes = codes - 0.02 * near.clamp(min=0).pow(3) @ codes * count
    return functional.normalize(codes, dim=-1).float()
