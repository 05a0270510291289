"""What training minimises: the answers' cross-entropy, and what every patch shall know."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .batch import Batch
from .modeling.config import NanoConfig
from .modeling.layers import Linear
from .modeling.nano import Nano
from .targets import CHARACTERS, IGNORED, NO_COLOUR, NO_KIND

COMMON = 0.2
"""Weight of patches that hold nothing, which are most."""


class PatchHeads(nn.Module):
    """Linear readings of the tower's features; training alone needs them."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.sizes = (2 * (CHARACTERS + 1), NO_KIND + 1, NO_COLOUR + 1, 4)
        self.read = Linear(config.vision.width, sum(self.sizes))

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Of features [.., width]: logits of characters [.., 2 * (CHARACTERS + 1)], kinds, colours; edges [.., 4]."""
        return self.read(features).float().split(self.sizes, -1)


def patch_loss(heads: PatchHeads, features: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of the patch targets, and figures to log."""
    characters, kinds, colours, edges = heads(features)
    characters = characters.unflatten(-1, (2, CHARACTERS + 1))
    read = _balanced(characters, batch.characters, CHARACTERS)
    kind = _balanced(kinds, batch.kinds, NO_KIND)
    colour = _balanced(colours, batch.colours, NO_COLOUR)
    known = ~batch.edges.isnan()
    distance = functional.smooth_l1_loss(edges[known], batch.edges[known], beta=0.05, reduction="sum")
    edge = distance / known.sum().clamp(min=1)
    printed = (batch.characters >= 0) & (batch.characters < CHARACTERS)
    right = (characters.argmax(-1) == batch.characters)[printed].float().mean()
    things = (batch.kinds >= 0) & (batch.kinds < NO_KIND)
    named = (kinds.argmax(-1) == batch.kinds)[things].float().mean()
    coloured = (colours.argmax(-1) == batch.colours)[things].float().mean()
    figures = {
        "characters": right,
        "kinds": named,
        "colours": coloured,
        "edge": (edges - batch.edges)[known].abs().mean(),
    }
    return read + kind + 0.5 * colour + 4 * edge, {name: value.detach() for name, value in figures.items()}


def _balanced(logits: Tensor, targets: Tensor, nothing: int) -> Tensor:
    losses = functional.cross_entropy(logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORED, reduction="none")
    weights = torch.where(targets == nothing, COMMON, 1.0).flatten() * (targets != IGNORED).flatten()
    return (losses * weights).sum() / weights.sum().clamp(min=1)


@dataclass
class AnswerLoss:
    """`value`: the mean over answers' tokens, long answers' tokens counting less; `right` [tokens of answers]: whether
    each was the likeliest; `question`: the question of each."""

    value: Tensor
    right: Tensor
    question: Tensor


def answer_loss(model: Nano, features: Tensor, batch: Batch) -> AnswerLoss:
    """The answers' loss given the tower's features."""
    hidden = model(model.visual_tokens(features), batch.ids, batch.slots, batch.positions, batch.packing)
    places = torch.nonzero(batch.targets != IGNORED).squeeze(1)
    logits = model.language.lm_head(hidden.index_select(0, places)).float()
    targets, weights = batch.targets[places], batch.weights[places]
    losses = functional.cross_entropy(logits, targets, reduction="none")
    value = (losses * weights).sum() / weights.sum()
    return AnswerLoss(value, logits.detach().argmax(-1) == targets, batch.question[places])
