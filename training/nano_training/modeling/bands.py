"""Samples side by side, padded: for a GPU what `packing` is for a CPU, as padding costs it less than many products.

All questions of a sample lie behind its pictures in one row and see the pictures, not each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

BANDS = 8
"""In how many groups of similar length the samples of a batch are laid; all of one are padded to its longest."""

ALIGNED = 8
"""Rows are a multiple of this long: what fused attention wants of its masks."""

PADDING = -2
"""The number of a question that padding belongs to; -1 are the pictures."""


class Rearranged(torch.autograd.Function):
    """Rows `index` of x; `back` finds each row of x in the result, and so its gradient without a sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(back)
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (back,) = ctx.saved_tensors
        return gradients[0].index_select(0, back), None, None


@dataclass
class Band:
    """Samples whose rows of tokens are padded to the same length; `question` [samples, length] is each token's."""

    question: Tensor
    bias: Tensor | None = None

    def mask(self, dtype: torch.dtype) -> Tensor:
        """What is added to scores, [samples, 1, length, length]: padding sees padding alone, and nothing sees it."""
        if self.bias is None or self.bias.dtype != dtype:
            asks, asked = self.question[:, None, :, None], self.question[:, None, None, :]
            seen = ((asks == asked) | ((asked == -1) & (asks >= 0))).tril()
            self.bias = torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, -torch.inf)
        return self.bias


@dataclass
class Bands:
    """Where the tokens of a row of `length` are laid: `index` the token at each place (any for padding), `back` the
    place of each token."""

    length: int
    bands: list[Band]
    index: Tensor
    back: Tensor

    def each(self, function: Callable[[Tensor], Tensor]) -> Bands:
        """The same with a function of each tensor in its place."""
        bands = [Band(function(band.question)) for band in self.bands]
        return replace(self, bands=bands, index=function(self.index), back=function(self.back))

    def laid(self, x: Tensor) -> list[Tensor]:
        """x [length, ..] as [samples, band's length, ..] for each band."""
        sizes = [band.question.shape for band in self.bands]
        parts = Rearranged.apply(x, self.index, self.back).split([size.numel() for size in sizes])
        return [part.unflatten(0, size) for part, size in zip(parts, sizes, strict=True)]

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Causal attention within the sequences; all three and the result are [length, heads, width]."""
        widths = [part.shape[-1] for part in (query, key, value)]
        outputs = []
        for band, part in zip(self.bands, self.laid(torch.cat((query, key, value), -1)), strict=True):
            queries, keys, values = part.transpose(1, 2).split(widths, -1)
            mask = band.mask(query.dtype).expand(-1, query.shape[1], -1, -1)
            attended = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
            outputs.append(attended.transpose(1, 2).flatten(0, 1))
        return Rearranged.apply(torch.cat(outputs), self.back, self.index)

    def shares_missed(self, query: Tensor, key: Tensor, aims: Tensor) -> tuple[Tensor, Tensor]:
        """See `Packing.shares_missed`; here of all tokens, and 1 where it is of one with an aim, else 0."""
        missed, told = [], []
        parts = self.laid(torch.cat((query, key), -1)[:, 0])
        for band, part, aimed in zip(self.bands, parts, self.laid(aims), strict=True):
            queries, keys = part.chunk(2, -1)
            scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2) + band.mask(query.dtype)[:, 0]
            scores = scores.float()
            reached = scores.gather(-1, aimed.clamp(min=0)).masked_fill(aimed < 0, -torch.inf)
            has = (aimed >= 0).any(-1) & (band.question >= 0)
            reached = torch.where(has[..., None], reached, 0.0).logsumexp(-1)
            missed.append(torch.where(has, scores.logsumexp(-1) - reached, 0.0).flatten())
            told.append(has.flatten())
        return torch.cat(missed), torch.cat(told).float()


def lay(pictures: list[int], questions: list[tuple[int, int]]) -> Bands:
    """The bands of samples in this order in the row (see `packing.pack`)."""
    numbers: list[list[int]] = [[-1] * length for length in pictures]
    for number, (owner, length) in enumerate(questions):
        numbers[owner] += [number] * length
    lengths = [len(row) for row in numbers]
    starts = [0, *torch.tensor(lengths).cumsum(0).tolist()]
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    size = -(-len(order) // BANDS)
    bands, index = [], []
    back = torch.empty(starts[-1], dtype=torch.long)
    place = 0
    for first in range(0, len(order), size):
        chosen = order[first : first + size]
        longest = -(-lengths[chosen[-1]] // ALIGNED) * ALIGNED
        question = torch.full((len(chosen), longest), PADDING)
        tokens = torch.zeros(len(chosen), longest, dtype=torch.long)
        for row, sample in enumerate(chosen):
            question[row, : lengths[sample]] = torch.tensor(numbers[sample])
            tokens[row, : lengths[sample]] = torch.arange(starts[sample], starts[sample + 1])
            back[starts[sample] : starts[sample + 1]] = place + torch.arange(lengths[sample])
            place += longest
        bands.append(Band(question))
        index.append(tokens.flatten())
    return Bands(starts[-1], bands, torch.cat(index), back)
