"""Documents in the making: a page that grows downwards, its rows in reading order, its fields."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from PIL import Image

from .backgrounds import background
from .colours import Rgb, brightness, from_hsv, mix
from .degrade import CLEAN, laid_on, photographed
from .fonts import Face, Font, pick, pick_plain
from .page import Page, Run
from .sample import Box, Split


class Entry(NamedTuple):
    """A value on a document: its kind (a key of `document_questions.KINDS`, "" for any other), its label, its place."""

    kind: str
    label: str
    run: Run


@dataclass(frozen=True)
class Style:
    """How a document is set. `em` is the height of a line of normal text; all distances are made of it."""

    normal: Font
    strong: Font
    large: Font
    paper: Rgb
    ink: Rgb
    accent: Rgb
    pitch: float

    @property
    def em(self) -> float:
        """The size of normal letters."""
        return self.normal.size

    @property
    def faint(self) -> Rgb:
        """For rules and frames."""
        return mix(self.paper, self.ink, 0.35)


def zoom(rng: random.Random) -> float:
    """How much larger than it is seen a document is drawn: mostly not at all."""
    return rng.uniform(1.3, 3.0) if rng.random() < 0.1 else 1.0


def style_for(advance: float, rng: random.Random, split: Split, face: Face | None = None, dark: float = 0.06) -> Style:
    """A style whose normal characters are `advance` pixels wide on average where they are seen; see `zoom`."""
    face = face or pick_plain(rng, split)
    scale = zoom(rng)
    normal = face.for_advance(advance * scale)
    if normal.x_height < 5.0 * scale:
        normal = face.for_x_height(5.0 * scale)
    bold = replace(face, style="bold")
    strong = bold.at(normal.size) if rng.random() < 0.6 else normal
    if rng.random() < 0.25:
        title_face = pick(rng, split, bold=0.6)
        large = title_face.for_x_height(normal.x_height * rng.uniform(1.15, 1.5))
    else:
        large = bold.at(round(normal.size * rng.uniform(1.1, 1.6)))
    if rng.random() < dark:
        paper = from_hsv(rng.uniform(0, 360), rng.uniform(0, 0.4), rng.uniform(0.05, 0.25))
        ink: Rgb = from_hsv(0, 0, rng.uniform(0.85, 1))
    else:
        paper = (
            (255, 255, 255)
            if rng.random() < 0.45
            else from_hsv(rng.uniform(0, 360), rng.uniform(0, 0.12), rng.uniform(0.9, 1))
        )
        ink = from_hsv(rng.uniform(0, 360), rng.random() ** 3, rng.uniform(0, 0.3))
    accent = from_hsv(rng.uniform(0, 360), rng.uniform(0.4, 0.9), rng.uniform(0.3, 0.55))
    pitch = max(normal.height * rng.uniform(1.1, 1.4), normal.x_height * 2.0)
    return Style(normal, strong, large, paper, ink, accent, pitch)


@dataclass
class Sheet:
    """A document under way. `y` is the top of what comes next; `rows` are in reading order, each from left to right."""

    page: Page
    style: Style
    margin: float
    y: float
    rows: list[list[Run]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    buttons: list[tuple[str, Box]] = field(default_factory=list)

    @classmethod
    def new(cls, width: float, style: Style, height: float = 2400.0) -> Sheet:
        """An empty sheet, higher than needed: see `close`."""
        image = Image.new("RGB", (round(width), round(height)), style.paper)
        margin = style.em * 0.7
        return cls(Page(image), style, margin, margin)

    @property
    def left(self) -> float:
        """Where text begins."""
        return self.margin

    @property
    def right(self) -> float:
        """Where text ends."""
        return self.page.size[0] - self.margin

    def fits(self, text: str, font: Font | None = None) -> bool:
        """Whether a line of text has room."""
        return (font or self.style.normal).length(text) <= self.right - self.left

    def baseline(self, font: Font | None = None) -> float:
        """The baseline of a line of text whose top is `y`."""
        return round(self.y + (font or self.style.normal).ascent)

    def advance(self, font: Font | None = None, lines: float = 1.0) -> None:
        """Goes on by lines."""
        ratio = (font or self.style.normal).size / self.style.normal.size
        self.y += lines * self.style.pitch * ratio

    def row(self, *runs: Run) -> None:
        """Notes a row of the reading."""
        self.rows.append(list(runs))

    def centred(self, text: str, font: Font | None = None, ink: Rgb | None = None) -> Run:
        """A line in the middle."""
        font = font or self.style.normal
        run = self.page.write_centred(self.page.size[0] / 2, self.baseline(font), text, font, ink or self.style.ink)
        self.row(run)
        self.advance(font)
        return run

    def line(self, text: str, font: Font | None = None, ink: Rgb | None = None, right: bool = False) -> Run:
        """A line at the left, or at the right."""
        font = font or self.style.normal
        start = self.right - font.length(text) if right else self.left
        run = self.page.write(round(start), self.baseline(font), text, font, ink or self.style.ink)
        self.row(run)
        self.advance(font)
        return run

    def spread(self, one: str, other: str, font: Font | None = None, ink: Rgb | None = None) -> tuple[Run, Run]:
        """A line with something at the left and something at the right, which is a line of its own if need be."""
        font, ink = font or self.style.normal, ink or self.style.ink
        first = self.page.write(self.left, self.baseline(font), one, font, ink)
        if not self.fits(f"{one}  {other}", font):
            self.row(first)
            self.advance(font)
            return first, self.line(other, font, ink, right=True)
        second = self.page.write_right(self.right, self.baseline(font), other, font, ink)
        self.row(first, second)
        self.advance(font)
        return first, second

    def rule(self, rng: random.Random) -> None:
        """A line across, whole or dashed."""
        self.y += self.style.em * 0.2
        y, step = round(self.y), max(3, round(self.style.em * 0.4))
        if rng.random() < 0.5:
            self.page.pen.line((self.left, y, self.right, y), self.style.faint)
        else:
            for x in range(round(self.left), round(self.right), step):
                self.page.pen.line((x, y, x + step // 2, y), self.style.ink)
        self.y += self.style.em * 0.35

    def note(self, kind: str, label: str, run: Run) -> None:
        """Notes a field."""
        self.entries.append(Entry(kind, label, run))

    @staticmethod
    def part(run: Run, text: str) -> Run:
        """The part of a run that is `text`, at the run's end."""
        printed = sum(character != " " for character in text)
        return Run(text, run.stop - printed, run.stop)

    def close(self) -> None:
        """Cuts off what is below the last line."""
        height = min(self.page.size[1], round(self.y + self.margin * 0.6))
        self.page = self.page.map(lambda boxes: boxes, self.page.image.crop((0, 0, self.page.size[0], height)))

    def text(self) -> str:
        """All that is printed, row by row."""
        return "\n".join(" ".join(run.text for run in row) for row in self.rows)

    def present(self, rng: random.Random) -> None:
        """What befalls the document before it is seen."""
        if rng.random() < CLEAN:
            return
        if rng.random() < 0.45:
            far = None if rng.random() < 0.1 else background((96, 96), [self.style.paper], rng)[0]
            # Box and page move together; a button's box is the bounds of what it becomes.
            laid = laid_on(self.page, far, rng, [box for _, box in self.buttons])
            self.page = laid.page
            self.buttons = [(name, box) for (name, _), box in zip(self.buttons, laid.boxes, strict=True)]
        self.page.image = photographed(self.page.image, rng, self.style.normal.x_height)


def light(colour: Rgb) -> bool:
    """Whether dark letters are seen on it."""
    return brightness(colour) > 127
