"""What the generator hands to training and to evaluation: pictures, questions with true answers, and what is where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from PIL import Image

Split = Literal["train", "test"]

TIMES: dict[Split, int] = {"train": 2, "test": 1}
"""How many times the usual number of questions a picture of each split gets: drawing one costs more than asking."""

KINDS = (
    "circle",
    "square",
    "triangle",
    "star",
    "diamond",
    "heart",
    "cross",
    "ring",
    "arrow",
    "crescent",
    "cup",
    "house",
    "tree",
    "car",
    "fish",
    "flower",
    "key",
    "lamp",
    "boat",
    "book",
    "sign",
    "bar",
    "slice",
    "line",
)
"""What a thing can be."""

COLOURS = (
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
    "black",
    "grey",
    "white",
)
"""What colour a thing can have."""


class Box(NamedTuple):
    """A rectangle in pixels of a picture; the right and bottom edges are not part of it."""

    left: float
    top: float
    right: float
    bottom: float

    def in_thousandths(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """The corners as the model writes them: 0 to 999 along each side of a picture of `size` (width, height)."""

        def place(value: float, side: int) -> int:
            return min(999, max(0, round(value / side * 999)))

        width, height = size
        return (place(self.left, width), place(self.top, height), place(self.right, width), place(self.bottom, height))

    def from_thousandths(self, size: tuple[int, int]) -> Box:
        """The pixels of a picture of `size` where a box is that was written so."""
        width, height = (side / 999 for side in size)
        return Box(self.left * width, self.top * height, self.right * width, self.bottom * height)


class Glyph(NamedTuple):
    """A printed character (from "!" to "~") and where it is: from its baseline to the height of capitals, and its ink
    where that is known."""

    character: str
    box: Box
    ink: Box | None = None


class Thing(NamedTuple):
    """A drawn thing: its kind (of `KINDS`), its colour (of `COLOURS`) and where it is."""

    kind: str
    colour: str
    box: Box


@dataclass
class Question:
    """A question about a sample's pictures and its one true answer.

    `task` says what is asked and how the answer is judged, for instance `read/line` or `scene/colour`. `answer` is what
    the model shall write, grounding markup included. `text` does not hold the pictures' placeholders.
    """

    task: str
    text: str
    answer: str


@dataclass
class Picture:
    """A picture (RGB) and all that can be seen in it, for training the vision tower."""

    image: Image.Image
    glyphs: list[Glyph] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)


@dataclass
class Sample:
    """One picture, or two that are compared, with questions that do not depend on each other."""

    pictures: list[Picture]
    questions: list[Question]


def markup(label: str, boxes: Sequence[Box], size: tuple[int, int]) -> str:
    """A label and its boxes in a picture of `size`, as DeepSeek-VL2 writes them."""
    corners = [list(box.in_thousandths(size)) for box in boxes]
    return f"<|ref|>{label}<|/ref|><|det|>{corners}<|/det|>"
