"""What training minimises: the answers' cross-entropy, and what every patch shall know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from .batch import Batch
from .codes import CodeBook
from .modeling.nano import Nano
from .targets import CHARACTERS, IGNORED, NO_COLOUR, NO_KIND

COMMON = 0.2
"""Weight of patches that hold nothing, which are most."""


EXACT = 0.3
"""Weight of the squared distance to the codes, beside the cross-entropies."""

BOXES = 0.5
"""Weight of the squared distance to the codes of boxes, which nothing else teaches."""


def patch_loss(book: CodeBook, features: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of the tower's features [N, P, width] against the code book, and figures to log."""
    characters, kinds, colours = book.logits(features)
    loss = (
        _balanced(characters, batch.characters, CHARACTERS)
        + _balanced(kinds, batch.kinds, NO_KIND)
        + 0.5 * _balanced(colours, batch.colours, NO_COLOUR)
    )
    codes, weights = book.exact(batch)
    off = (features[..., : book.used].float() - codes).pow(2)
    empty = (batch.kinds == NO_KIND) & (batch.characters == CHARACTERS).all(-1)
    weights = weights * torch.where(empty, COMMON, 1.0)[..., None]
    distance = (off * weights).sum() / weights.sum()
    things = (batch.kinds >= 0) & (batch.kinds < NO_KIND)
    words = _words(batch)
    box_off = torch.cat(off.split(book.sizes, -1)[4:6], -1).mean(-1)
    boxes = sum((box_off * where).sum() / where.sum().clamp(min=1) for where in (things, words))
    edges = (book.edges(features) - batch.boxes[..., :4].clamp(0, 1)).abs().mean(-1)
    printed = (batch.characters >= 0) & (batch.characters < CHARACTERS)
    figures = {
        "characters": _mean(characters.argmax(-1) == batch.characters, printed),
        "kinds": _mean(kinds.argmax(-1) == batch.kinds, things),
        "colours": _mean(colours.argmax(-1) == batch.colours, things),
        "edge": _mean(edges, things),
        "word edge": _mean(edges, words),
        "distance": distance,
    }
    return loss + EXACT * distance + BOXES * boxes, {name: value.detach() for name, value in figures.items()}


def held_loss(book: CodeBook, features: Tensor, before: Tensor, batch: Batch) -> Tensor:
    """How far features [N, P, width] have moved from what they were `before`, the boxes of printed words left out:
    a decoder that reads the old ones then reads the new ones too."""
    moved = (features.float() - before.float()).pow(2)
    words = _words(batch)
    parts = list(moved.split((*book.sizes, book.width - book.used), -1))
    parts[4] = parts[4] * ~words[..., None]
    return torch.cat(parts, -1).mean()


def _words(batch: Batch) -> Tensor:
    """The patches [N, P] that hold a printed word, whose box is told."""
    return (batch.kinds == NO_KIND) & ~batch.boxes[..., 0].isnan()


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """The mean of some values; NaN of none. (Picking them out would make a GPU wait for their number.)"""
    return torch.where(where, values, 0).sum() / where.sum()


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


@dataclass(frozen=True)
class Guide:
    """A head that shall look at the character that was written last, or at the one to be written next."""

    layer: int
    head: int
    looks: Literal["last", "next"]


GUIDES = (Guide(1, 0, "last"), Guide(2, 0, "next"), Guide(3, 0, "next"))
"""In this order, since where the next one is follows from where the last one was."""


def guide_loss(model: Nano, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """How far the guided heads look elsewhere while an answer is read off a picture (after a pass with
    `keep`), and the share of each one's attention that is where it should be."""
    last = torch.cat((batch.aims[:1], batch.aims[:-1]))
    figures: dict[str, Tensor] = {}
    loss = batch.weights.new_zeros(())
    if not batch.guided:
        return loss, figures
    for guide in GUIDES:
        kept = model.attentions()[guide.layer].kept
        assert kept is not None
        query, key = (x[:, guide.head, None] for x in kept)
        missed, counts = batch.packing.shares_missed(query, key, last if guide.looks == "last" else batch.aims)
        told = counts.sum().clamp(min=1)
        loss = loss + (missed * counts).sum() / told / len(GUIDES)
        figures[f"{guide.looks} {guide.layer}"] = (missed.detach().neg().exp() * counts).sum() / told
    return loss, figures


def answer_loss(model: Nano, features: Tensor, batch: Batch) -> AnswerLoss:
    """The answers' loss given the tower's features."""
    hidden = model(model.visual_tokens(features), batch.ids, batch.slots, batch.positions, batch.packing)
    places = batch.answered
    logits = model.language.lm_head(hidden.index_select(0, places)).float()
    targets, weights = batch.targets[places], batch.weights[places]
    losses = functional.cross_entropy(logits, targets, reduction="none")
    value = (losses * weights).sum() / weights.sum()
    return AnswerLoss(value, logits.detach().argmax(-1) == targets, batch.question[places])
