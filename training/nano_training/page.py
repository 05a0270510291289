"""A page under way: an image to print on, and where every character on it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from .fonts import Font
from .sample import Box, Glyph, Picture, Thing

Boxes = npt.NDArray[np.float64]
"""Rectangles [count, (left, top, right, bottom)]."""

Fill = int | tuple[int, int, int]


class Run(NamedTuple):
    """Some characters of a page in a row: the first one's number and the one after the last's; blanks have none."""

    text: str
    start: int
    stop: int


class Page:
    """An image with the characters printed on it.

    `cells` are where characters stand (advance by height of capitals), `inks` where their ink is.
    """

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self.pen = ImageDraw.Draw(image)
        self.characters: list[str] = []
        self.cells: list[tuple[float, float, float, float]] = []
        self.inks: list[tuple[float, float, float, float]] = []
        self.things: list[Thing] = []

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.size

    def write(self, x: float, baseline: float, text: str, font: Font, fill: Fill, tracking: float = 0.0) -> Run:
        """Prints `text` from `x` on along a baseline, `tracking` pixels further apart than the font says."""
        start = len(self.characters)
        if tracking == 0.0:
            self.pen.text((x, baseline), text, font=font.inner, fill=fill, anchor="ls")
        for character, advance in zip(text, font.advances(text), strict=True):
            if character != " ":
                if tracking != 0.0:
                    self.pen.text((x, baseline), character, font=font.inner, fill=fill, anchor="ls")
                left, top, right, bottom = font.ink(character)
                self.characters.append(character)
                self.cells.append((x, baseline - font.cap_height, x + advance, baseline))
                self.inks.append((x + left, baseline + top, x + right, baseline + bottom))
            x += advance + tracking
        return Run(text, start, len(self.characters))

    def write_right(self, x: float, baseline: float, text: str, font: Font, fill: Fill, tracking: float = 0.0) -> Run:
        """Prints `text` so that it ends at `x`."""
        return self.write(x - width_of(text, font, tracking), baseline, text, font, fill, tracking)

    def write_centred(self, x: float, baseline: float, text: str, font: Font, fill: Fill, tracking: float = 0.0) -> Run:
        """Prints `text` with its middle at `x`."""
        return self.write(x - width_of(text, font, tracking) / 2, baseline, text, font, fill, tracking)

    def box(self, run: Run) -> Box:
        """The bounds of a run's ink."""
        inks = self.inks[run.start : run.stop]
        lefts, tops, rights, bottoms = zip(*inks, strict=True)
        return Box(min(lefts), min(tops), max(rights), max(bottoms))

    def map(self, place: Callable[[Boxes], Boxes], image: Image.Image) -> Page:
        """The page after a change of its geometry: `image`, with every rectangle moved by `place`."""
        moved = Page(image)
        moved.characters = self.characters
        if self.cells:
            count = len(self.cells)
            boxes = place(np.array(self.cells + self.inks, np.float64)).tolist()
            moved.cells = [(a, b, c, d) for a, b, c, d in boxes[:count]]
            moved.inks = [(a, b, c, d) for a, b, c, d in boxes[count:]]
        if self.things:
            boxes = place(np.array([thing.box for thing in self.things], np.float64)).tolist()
            moved.things = [thing._replace(box=Box(*box)) for thing, box in zip(self.things, boxes, strict=True)]
        return moved

    def picture(self, image: Image.Image | None = None) -> Picture:
        """The page as a picture; in the guise of `image`, of the same size, if there is one."""
        glyphs = [
            Glyph(character, Box(*cell), Box(*ink))
            for character, cell, ink in zip(self.characters, self.cells, self.inks, strict=True)
        ]
        return Picture(image or self.image, glyphs, list(self.things))


def width_of(text: str, font: Font, tracking: float = 0.0) -> float:
    """How wide a text is printed."""
    return font.length(text) + tracking * (len(text) - 1)


def joined(runs: Iterable[Run]) -> str:
    """The text of runs, one line each."""
    return "\n".join(run.text for run in runs)
