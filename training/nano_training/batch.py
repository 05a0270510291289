"""From samples to the tensors of a training step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .guides import COPIES, NOWHERE, Aims, Sight, aims_of, corners_of
from .modeling.bands import Bands, lay
from .modeling.config import NanoConfig
from .modeling.nano import slots_of_image
from .modeling.packing import Packing, pack
from .sample import Question, Sample
from .targets import IGNORED, PatchTargets, patch_targets
from .tiling import TILED_PICTURES, Views, views
from .tokenizer import ASSISTANT, USER, NanoTokenizer


@dataclass(frozen=True)
class Asked:
    """A question in tokens: what is asked, the answer with its end, how much each token of the answer counts, and where
    each is to be read (see `guides`)."""

    task: str
    prompt: list[int]
    answer: list[int]
    weights: list[float]
    aims: Aims

    @property
    def length(self) -> int:
        """Tokens that the model reads; it need not read the end."""
        return len(self.prompt) + len(self.answer) - 1


@dataclass(frozen=True)
class Encoded:
    """A sample in tokens: `ids` up to its last picture, and its questions."""

    views: list[Views]
    patch_targets: list[PatchTargets]
    ids: list[int]
    questions: list[Asked]

    @property
    def length(self) -> int:
        """Tokens in all."""
        return len(self.ids) + sum(question.length for question in self.questions)

    @property
    def views_count(self) -> int:
        """Views of all pictures."""
        return sum(len(view.pixels) for view in self.views)


def encode(sample: Sample, tokenizer: NanoTokenizer, config: NanoConfig, most_tokens: int) -> Encoded:
    """Tokens, views and targets of a sample; questions longer than `most_tokens` are left out."""
    tiled = len(sample.pictures) <= TILED_PICTURES
    seen = [views(picture.image, tiled) for picture in sample.pictures]
    ids = [tokenizer.bos, *tokenizer.encode(f"{USER}: ")]
    for i, view in enumerate(seen):
        if i > 0:
            ids += tokenizer.encode("\n")
        slots = slots_of_image(0, view.columns, view.rows, config.side, view.columns * view.rows + 1)
        ids += [tokenizer.image] * len(slots)
    grid = config.vision.grid
    targets = [
        patch_targets(picture, view.placements, grid) for picture, view in zip(sample.pictures, seen, strict=True)
    ]
    # Where there are two pictures, nobody is told which to look at.
    sight = Sight(sample.pictures[0], seen[0], ids.index(tokenizer.image), config) if len(seen) == 1 else None
    questions = [encode_question(question, tokenizer, sight) for question in sample.questions]
    return Encoded(seen, targets, ids, [question for question in questions if question.length <= most_tokens])


SPELLED = ("read/", "document/", "chart/")
"""Tasks whose answers are read off the picture: they are learnt letter by letter, as they are seen, whatever merges
the tokenizer has. The text is the same."""


DIGITS = (4.0, 2.0, 1.0)
"""How much the digits of a coordinate count, beside other tokens: the first says most of where a box is, the last
matters for a line of text alone."""


def encode_question(question: Question, tokenizer: NanoTokenizer, sight: Sight | None = None) -> Asked:
    """The ids after the pictures, as the chat template has them, and those of the answer with its end; with the aims of
    its characters or coordinates where there is a `sight` of the picture."""
    prompt = tokenizer.encode(f"\n{question.text.strip()}\n\n{ASSISTANT}:")
    answer = question.answer.strip()
    encode_answer = tokenizer.spell if question.task.startswith(SPELLED) else tokenizer.encode
    ids = [*encode_answer(answer), tokenizer.eos]
    places = coordinates(ids, tokenizer)
    weights = [(DIGITS[min(at.digit, 2)] if at.digit >= 0 else 1.0) * len(ids) ** -0.5 for at in places]
    aims: Aims = [NOWHERE] * len(ids)
    if sight and len(characters := aims_of(question, sight)) == len(ids) - 1:
        aims = [*characters, NOWHERE]
    elif sight and (corners := corners_of(question, sight)):
        aims = [corners[at.number] if 0 <= at.number < len(corners) else NOWHERE for at in places]
    return Asked(question.task, prompt, ids, weights, aims)


class Coordinate(NamedTuple):
    """Where a token is in the boxes of an answer: in or before which coordinate of all, and which digit it is of that;
    -1 outside of boxes, and for what is no digit."""

    number: int
    digit: int


def coordinates(answer: list[int], tokenizer: NanoTokenizer) -> list[Coordinate]:
    """Where each token of an answer is in its boxes."""
    places, number, digit, inside = [], 0, -1, False
    for token in answer:
        inside = token == tokenizer.box or (inside and token != tokenizer.box_end)
        if inside and token in tokenizer.digits:
            digit += 1
        else:
            number += digit >= 0
            digit = -1
        places.append(Coordinate(number if inside else -1, digit))
    return places


@dataclass
class Batch:
    """The tensors of a step: T tokens in a row, N views of P patches, Q questions.

    `pixels` uint8 [N, side, side, 3]; `characters` [N, P, 2], `kinds`, `colours`, `middles` [N, P],
    `boxes` [N, P, 5];
    `ids`, `slots` (rows of `Nano.visual_tokens`, -1 elsewhere), `positions`, `targets` (what follows in an answer, else
    `IGNORED`), `weights`, `question` (its number, -1 before the questions) [T]; `aims` [T, COPIES]: which tokens of its
    sample's pictures show what follows, else -1; `answered` the tokens with a target; `guided` whether any has an aim;
    `tasks` Q names.
    """

    pixels: Tensor
    characters: Tensor
    kinds: Tensor
    colours: Tensor
    boxes: Tensor
    middles: Tensor
    ids: Tensor
    slots: Tensor
    positions: Tensor
    targets: Tensor
    weights: Tensor
    question: Tensor
    aims: Tensor
    packing: Packing | Bands
    answered: Tensor
    guided: bool
    tasks: list[str]
    samples: int

    def each(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with a function of each of its tensors in its place."""
        changed: dict[str, Any] = {}
        for name, part in vars(self).items():
            if isinstance(part, Tensor):
                changed[name] = function(part)
            elif isinstance(part, Packing | Bands):
                changed[name] = part.each(function)
        return replace(self, **changed)

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        return self.each(lambda part: part.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The batch in memory that a GPU reads by itself; called by PyTorch's loader."""
        return self.each(lambda part: part.pin_memory())


def collate(samples: list[Encoded], tokenizer: NanoTokenizer, config: NanoConfig, banded: bool = False) -> Batch:
    """Puts samples together, `banded` as a GPU likes them."""
    all_views = [view for sample in samples for view in sample.views]
    all_targets = [targets for sample in samples for targets in sample.patch_targets]
    total = sum(len(view.pixels) for view in all_views)
    ids: list[int] = []
    slots: list[int] = []
    positions: list[int] = []
    targets: list[int] = []
    weights: list[float] = []
    question: list[int] = []
    aims: list[tuple[int, ...]] = []
    tasks: list[str] = []
    first = 0
    for sample in samples:
        before = len(sample.ids)
        ids += sample.ids
        pointers: list[int] = []
        for view in sample.views:
            pointers += slots_of_image(first, view.columns, view.rows, config.side, total)
            first += len(view.pixels)
        left = iter(pointers)
        slots += [next(left) if token == tokenizer.image else -1 for token in sample.ids]
        positions += range(before)
        targets += [IGNORED] * before
        weights += [0.0] * before
        question += [-1] * before
        aims += [NOWHERE] * before
        for asked in sample.questions:
            unseen = len(asked.prompt) - 1
            ids += asked.prompt + asked.answer[:-1]
            slots += [-1] * asked.length
            positions += range(before, before + asked.length)
            targets += [IGNORED] * unseen + asked.answer
            weights += [0.0] * unseen + asked.weights
            aims += [*[NOWHERE] * unseen, *asked.aims]
            question += [len(tasks)] * asked.length
            tasks.append(asked.task)
    lengths = [(owner, asked.length) for owner, sample in enumerate(samples) for asked in sample.questions]

    def joined(name: str) -> Tensor:
        return torch.from_numpy(np.concatenate([getattr(part, name) for part in all_targets]))

    known = torch.tensor(targets)
    return Batch(
        pixels=torch.from_numpy(np.concatenate([view.pixels for view in all_views])),
        characters=joined("characters"),
        kinds=joined("kinds"),
        colours=joined("colours"),
        boxes=joined("boxes"),
        middles=joined("middles"),
        ids=torch.tensor(ids),
        slots=torch.tensor(slots),
        positions=torch.tensor(positions),
        targets=known,
        weights=torch.tensor(weights),
        question=torch.tensor(question),
        aims=torch.tensor(aims).view(-1, COPIES),
        packing=(lay if banded else pack)([len(sample.ids) for sample in samples], lengths),
        answered=torch.nonzero(known != IGNORED).squeeze(1),
        guided=any(aim != NOWHERE for aim in aims),
        tasks=tasks,
        samples=len(samples),
    )
