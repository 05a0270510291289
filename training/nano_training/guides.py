"""Where in its picture each character of an answer is read, and where what a box is about is seen, for heads that are
taught to look there.

Told in training alone: a decoder that has to find out by itself how to keep its place in a text needs far longer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .modeling.config import NanoConfig
from .modeling.nano import slots_of_image
from .sample import Box, Picture, Question
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


class Sight:
    """A sample's only picture, of one view or more, and which tokens of the sample show what; `first` is its first."""

    def __init__(self, picture: Picture, view: Views, first: int, config: NanoConfig) -> None:
        self.picture, self.view, self.first, self.config = picture, view, first, config

    @cached_property
    def glyphs(self) -> npt.NDArray[np.float32]:
        """Where its characters are, [glyphs, 4]."""
        return glyph_boxes(self.picture)

    @cached_property
    def printed(self) -> str:
        """Its characters."""
        return "".join(glyph.character for glyph in self.picture.glyphs)

    @cached_property
    def word_starts(self) -> list[bool]:
        """Whether a word begins with each character, and after the last."""
        return [*word_starts(self.glyphs).tolist(), True]

    @cached_property
    def characters(self) -> Aims:
        """The tokens that show each character so that it can be read."""
        return self.tokens(self.glyphs, legible=True)

    @cached_property
    def slots(self) -> tuple[dict[int, int], dict[int, int]]:
        """The token of each slot: in the view of the whole, and in the tiles; one serves as both where there is one."""
        view, side = self.view, self.config.side
        slots = slots_of_image(0, view.columns, view.rows, side, view.columns * view.rows + 1)
        places = range(self.first, self.first + len(slots))
        whole = dict(zip(reversed(slots), reversed(places), strict=True))
        return whole, dict(zip(slots, places, strict=True))

    def tokens(self, boxes: npt.NDArray[np.float32], legible: bool) -> Aims:
        """The tokens that show the middle of each box [n, 4]; only where a character of that size is legible, if
        wanted."""
        side, by, (whole, tile) = self.config.side, self.config.downsample_ratio, self.slots
        found = np.full((len(boxes), COPIES), -1)
        for number, at in enumerate(self.view.placements):
            row, column, inside, told = character_places(boxes, at, self.config.vision.grid)
            shown = told if legible else inside
            slot = number * side**2 + row // by * side + column // (2 * by)
            if number == 0:
                found[shown, 0] = [whole[each] for each in slot[shown]]
            if number > 0 or len(self.view.placements) == 1:
                found[shown, 1] = [tile[each] for each in slot[shown]]
        return [tuple(aim) for aim in found.tolist()]

    def find(self, letters: str) -> int | None:
        """The number of the character that `letters` begin with, if they are printed once: as words of their own, or
        else anywhere."""
        found = [match.start() for match in re.finditer(f"(?={re.escape(letters)})", self.printed)]
        if len(found) > 1:
            starts = self.word_starts
            found = [start for start in found if starts[start] and starts[start + len(letters)]]
        return found[0] if len(found) == 1 else None

    def ends(self, box: Box) -> tuple[Box, Box]:
        """What a box (in thousandths) begins and ends with: the first and last character in it, or the thing itself."""
        size = self.picture.image.size
        scaled = box.from_thousandths(size)
        if any(thing.box.in_thousandths(size) == box for thing in self.picture.things):
            return scaled, scaled
        middles = (self.glyphs[:, :2] + self.glyphs[:, 2:]) / 2
        inside = np.flatnonzero(((middles >= scaled[:2]) & (middles <= scaled[2:])).all(1))
        if len(inside) == 0:
            return scaled, scaled
        return self.picture.glyphs[inside[0]].box, self.picture.glyphs[inside[-1]].box


def aims_of(question: Question, sight: Sight) -> Aims:
    """The visual tokens that show each character of an answer, where the picture has it once. What is not printed is
    where the printed character after it is."""
    if not question.task.startswith(GUIDED):
        return ()
    answer = question.answer.strip()
    printed = printed_of(answer, question.task)
    letters = "".join(character for character, is_printed in zip(answer, printed, strict=True) if is_printed)
    start = sight.find(letters) if letters else None
    if start is None:
        return ()
    places = np.minimum(start + np.cumsum([0, *printed[:-1]]), len(sight.characters) - 1)
    return [sight.characters[place] for place in places]


def printed_of(answer: str, task: str) -> list[bool]:
    """Which characters of an answer are printed in the picture: not blanks, nor what makes a table of Markdown."""
    if task != "read/table":
        return [not character.isspace() for character in answer]
    rows = enumerate(answer.split("\n"))
    marks = [[number != 1 and character not in "| " for character in row] for number, row in rows]
    return [mark for row in marks for mark in (*row, False)][:-1]


def corners_of(question: Question, sight: Sight) -> Aims:
    """The visual tokens that show what each coordinate of an answer's boxes is of, four for each box."""
    boxes = [Box(*map(int, found)) for found in BOX.findall(question.answer)]
    if not boxes:
        return ()
    ends = np.array([end for box in boxes for end in sight.ends(box)], np.float32)
    return [token for token in sight.tokens(ends, legible=False) for _ in ("x", "y")]
