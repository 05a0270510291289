"""Where in its picture each character of an answer is read, for heads that are taught to look there.

Told in training alone: a decoder that has to find out by itself how to keep its place in a text needs far longer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .modeling.config import NanoConfig
from .modeling.nano import slots_of_image
from .sample import Question, Sample
from .targets import character_places, glyph_boxes
from .tiling import Views

COPIES = 2
"""Most visual tokens that show the same character: one of the view of the whole and one of a tile."""

NOWHERE = (-1,) * COPIES

Aims = Sequence[tuple[int, ...]]
"""For each character `COPIES` places among a sample's tokens up to its last picture, -1 for none."""

GUIDED = ("read/", "document/")
"""Tasks whose answers are printed in the picture as they are."""


def aims_of(question: Question, sample: Sample, seen: list[Views], first: int, config: NanoConfig) -> Aims:
    """The visual tokens that show each character of an answer, where the picture has it once; `first` is the place of
    the picture's first token. Blanks are where the character after them is."""
    answer = question.answer.strip()
    letters = "".join(answer.split())
    if not question.task.startswith(GUIDED) or len(sample.pictures) != 1 or not letters:
        return ()
    printed = "".join(glyph.character for glyph in sample.pictures[0].glyphs)
    start = printed.find(letters)
    if start < 0 or printed.find(letters, start + 1) >= 0:
        return ()
    tokens = visual_tokens_of_glyphs(sample, seen[0], config)
    aims = []
    for character in answer:
        aims.append(tuple(first + token if token >= 0 else -1 for token in tokens[start]))
        start += not character.isspace()
    return aims


def visual_tokens_of_glyphs(sample: Sample, view: Views, config: NanoConfig) -> list[list[int]]:
    """For each printed character of the only picture, which of the image's tokens show it, -1 for none."""
    side, area, by = config.side, config.side**2, config.downsample_ratio
    slots = slots_of_image(0, view.columns, view.rows, side, view.columns * view.rows + 1)
    whole = {slot: place for place, slot in reversed(list(enumerate(slots)))}
    tile = dict(zip(slots, range(len(slots)), strict=True))
    boxes = glyph_boxes(sample.pictures[0])
    found = np.full((len(boxes), COPIES), -1)
    for number, at in enumerate(view.placements):
        row, column, _, told = character_places(boxes, at, config.vision.grid)
        slot = number * area + row // by * side + column // (2 * by)
        if number == 0:
            found[told, 0] = [whole[each] for each in slot[told]]
        if number > 0 or len(view.placements) == 1:
            found[told, 1] = [tile[each] for each in slot[told]]
    return found.tolist()
