"""Where in its picture each character of an answer is read, and where what a box is about is seen, for heads that are
taught to look there.

Told in training alone: a decoder that has to find out by itself how to keep its place in a text needs far longer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .modeling.config import NanoConfig
from .modeling.nano import slots_of_image
from .sample import Box, Picture, Question, Sample
from .targets import character_places, glyph_boxes, word_starts
from .tiling import Views

COPIES = 2
"""Most visual tokens that show the same character: one of the view of the whole and one of a tile."""

NOWHERE = (-1,) * COPIES

Aims = Sequence[tuple[int, ...]]
"""For each character `COPIES` places among a sample's tokens up to its last picture, -1 for none."""

GUIDED = ("read/", "document/", *(f"chart/{asked}" for asked in ("title", "value", "label", "largest", "smallest")))
"""Tasks whose answers are printed in the picture as they are."""

BOX = re.compile(r"\[(\d+), (\d+), (\d+), (\d+)\]")
"""A box as it is written."""


def aims_of(question: Question, sample: Sample, seen: list[Views], first: int, config: NanoConfig) -> Aims:
    """The visual tokens that show each character of an answer, where the picture has it once; `first` is the place of
    the picture's first token. What is not printed is where the printed character after it is."""
    answer = question.answer.strip()
    printed = printed_of(answer, question.task)
    letters = "".join(character for character, is_printed in zip(answer, printed, strict=True) if is_printed)
    if not question.task.startswith(GUIDED) or len(sample.pictures) != 1 or not letters:
        return ()
    start = place_of(letters, sample.pictures[0])
    if start is None:
        return ()
    tokens = visual_tokens(glyph_boxes(sample.pictures[0]), seen[0], config, legible=True)
    places = np.minimum(start + np.cumsum([0, *printed[:-1]]), len(tokens) - 1)
    return [shifted(tokens[place], first) for place in places]


def printed_of(answer: str, task: str) -> list[bool]:
    """Which characters of an answer are printed in the picture: not blanks, nor what makes a table of Markdown."""
    if task != "read/table":
        return [not character.isspace() for character in answer]
    rows = enumerate(answer.split("\n"))
    marks = [[number != 1 and character not in "| " for character in row] for number, row in rows]
    return [mark for row in marks for mark in (*row, False)][:-1]


def place_of(letters: str, picture: Picture) -> int | None:
    """The number of the character that `letters` begin with, if they are printed once: as words of their own, or else
    anywhere."""
    printed = "".join(glyph.character for glyph in picture.glyphs)
    found = [match.start() for match in re.finditer(f"(?={re.escape(letters)})", printed)]
    if len(found) > 1:
        starts = [*word_starts(glyph_boxes(picture)).tolist(), True]
        found = [start for start in found if starts[start] and starts[start + len(letters)]]
    return found[0] if len(found) == 1 else None


def corners_of(question: Question, sample: Sample, seen: list[Views], first: int, config: NanoConfig) -> Aims:
    """The visual tokens that show what each coordinate of an answer's boxes is of, four for each box."""
    boxes = [Box(*map(int, found)) for found in BOX.findall(question.answer)]
    if len(sample.pictures) != 1 or not boxes:
        return ()
    picture = sample.pictures[0]
    ends = np.array([end for box in boxes for end in ends_of(box, picture)], np.float32)
    tokens = [shifted(token, first) for token in visual_tokens(ends, seen[0], config, legible=False)]
    return [tokens[2 * (number // 4) + number % 4 // 2] for number in range(4 * len(boxes))]


def ends_of(box: Box, picture: Picture) -> tuple[Box, Box]:
    """What a box (in thousandths) begins and ends with: the first and last character in it, or the thing itself."""
    width, height = picture.image.size
    scaled = Box(*(value / 999 * side for value, side in zip(box, (width, height) * 2, strict=True)))
    if any(thing.box.in_thousandths(picture.image.size) == box for thing in picture.things):
        return scaled, scaled
    inside = [
        glyph.box
        for glyph in picture.glyphs
        if scaled.left <= (glyph.box.left + glyph.box.right) / 2 <= scaled.right
        and scaled.top <= (glyph.box.top + glyph.box.bottom) / 2 <= scaled.bottom
    ]
    return (inside[0], inside[-1]) if inside else (scaled, scaled)


def shifted(tokens: Sequence[int], first: int) -> tuple[int, ...]:
    """Tokens of an image as tokens of the sample, whose first of the image is `first`."""
    return tuple(first + token if token >= 0 else -1 for token in tokens)


def visual_tokens(boxes: npt.NDArray[np.float32], view: Views, config: NanoConfig, legible: bool) -> list[list[int]]:
    """For the middle of each box [n, 4] in the only picture, which of the image's tokens show it, -1 for none; only
    where a character of that size is legible, if wanted."""
    side, area, by = config.side, config.side**2, config.downsample_ratio
    slots = slots_of_image(0, view.columns, view.rows, side, view.columns * view.rows + 1)
    whole = {slot: place for place, slot in reversed(list(enumerate(slots)))}
    tile = dict(zip(slots, range(len(slots)), strict=True))
    found = np.full((len(boxes), COPIES), -1)
    for number, at in enumerate(view.placements):
        row, column, inside, told = character_places(boxes, at, config.vision.grid)
        shown = told if legible else inside
        slot = number * area + row // by * side + column // (2 * by)
        if number == 0:
            found[shown, 0] = [whole[each] for each in slot[shown]]
        if number > 0 or len(view.placements) == 1:
            found[shown, 1] = [tile[each] for each in slot[shown]]
    return found.tolist()
