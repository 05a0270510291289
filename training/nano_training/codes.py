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
"""Length of a code of a character, kind or colour, and of the mark of a thing's middle."""

SHARPNESS = 2.0
"""Of the softmax that compares features with codes."""

TENTHS = 10
"""Values that tell an edge, one for each tenth of the side: the first digit of a coordinate is the largest of them."""

SPREAD = 0.07
"""Deviation of the bell by which they fall off."""

SIZE = (0.1, 0.7)
"""Longer sides of things, in tiles, that are told as 1 and 6."""


class CodeBook(nn.Module):
    """The codes. Order: left character, right character, kind, colour, box of the thing, its middle, place of a patch.

    A box is told by the bells of its four edges, its middle's coordinates and its size.
    """

    characters: Tensor
    place: Tensor
    tenths: Tensor

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.width = config.vision.width
        self.sizes = (CHARACTER, CHARACTER, NO_KIND + 1, NO_COLOUR + 1, 4 * TENTHS + 3, 1, 4)
        self.used = sum(self.sizes)
        assert self.used <= self.width
        self.register_buffer("characters", spread(CHARACTERS + 1, CHARACTER), persistent=False)
        along = (torch.arange(config.vision.grid) + 0.5) / config.vision.grid * math.pi
        rows, columns = torch.meshgrid(along, along, indexing="ij")
        waves = (columns.sin(), columns.cos(), rows.sin(), rows.cos())
        self.register_buffer("place", 1.2 * torch.stack(waves, -1).flatten(0, 1), persistent=False)
        self.register_buffer("tenths", (torch.arange(TENTHS) + 0.5) / TENTHS, persistent=False)

    def logits(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of features [N, P, width]: characters [N, P, 2, CHARACTERS + 1], kinds and colours [N, P, ..]."""
        left, right, kind, colour, *_ = self.split(features)
        characters = torch.stack((left, right), -2) @ self.characters.T
        return SHARPNESS * characters, SHARPNESS * kind, SHARPNESS * colour

    def split(self, features: Tensor) -> tuple[Tensor, ...]:
        """The parts of features in float32, in order."""
        return features[..., : self.used].float().split(self.sizes, -1)

    def written(self, boxes: Tensor) -> Tensor:
        """The part of the code that tells boxes [.., 5]."""
        edges, size = boxes[..., :4].clamp(0, 1), boxes[..., 4:]
        bells = STRENGTH * torch.exp(-0.5 * ((edges[..., None] - self.tenths) / SPREAD).square())
        middles = 3 * (boxes[..., :2] + boxes[..., 2:4] - 1).clamp(-1, 1)
        low, high = map(math.log, SIZE)
        sizes = 1 + 5 * (size.clamp(0.7 * SIZE[0], 1.5 * SIZE[1]).log() - low) / (high - low)
        return torch.cat((bells.flatten(-2), middles, sizes), -1)

    def edges(self, features: Tensor) -> Tensor:
        """What features say of the four edges, [N, P, 4]: about where the middle of each bell is."""
        bells = self.split(features)[4][..., : 4 * TENTHS].unflatten(-1, (4, TENTHS)).clamp(min=0)
        return bells.square() @ self.tenths / bells.square().sum(-1).clamp(min=1e-6)

    def exact(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The codes [N, P, used] of a batch and what of them is known, as weights."""
        known_kinds = batch.kinds != IGNORED
        characters = self.characters[batch.characters] * STRENGTH
        kinds = functional.one_hot(batch.kinds.clamp(min=0), NO_KIND + 1) * STRENGTH
        colours = functional.one_hot(batch.colours.clamp(min=0), NO_COLOUR + 1) * STRENGTH
        told = ~batch.boxes[..., :1].isnan()
        codes = (
            characters.flatten(-2),
            kinds.float(),
            colours.float(),
            torch.where(told, self.written(batch.boxes.nan_to_num(0.5)), 0.0),
            STRENGTH * batch.middles[..., None],
            self.place.expand(len(batch.kinds), -1, -1),
        )
        ones = torch.ones(1, device=batch.boxes.device)
        weights = (
            ones.expand(*batch.kinds.shape, 2 * CHARACTER),
            known_kinds[..., None] * ones.expand(NO_KIND + 1),
            known_kinds[..., None] * ones.expand(NO_COLOUR + 1),
            known_kinds[..., None] * ones.expand(self.sizes[4]),
            ones.expand(*batch.kinds.shape, 1 + self.sizes[6]),
        )
        return torch.cat(codes, -1), torch.cat(weights, -1)

    def features(self, batch: Batch) -> Tensor:
        """What a tower that is nearly right might say [N, P, width]: the codes with doubts, mistakes and noise."""
        codes, known = self.exact(batch)
        others = codes.flatten(0, 1)[torch.randperm(codes[..., 0].numel(), device=codes.device)].view_as(codes)
        doubt = torch.rand(*codes.shape[:2], 1, device=codes.device)
        doubt = torch.where(torch.rand_like(doubt) < 0.1, doubt, 0.1 * doubt)
        kept = self.used - self.sizes[6]
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
