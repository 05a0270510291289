"""Drawing for charts: text with the places of its characters, marks with theirs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from PIL import Image, ImageDraw

from .colours import Rgb, brightness, from_hsv, mix
from .drawing import SAMPLES, SOLID
from .figures import Point
from .fonts import Font
from .geometry import overlap
from .sample import Box, Glyph, Thing

Align = Literal["left", "middle", "right"]


GAP = 2.0
"""Pixels that text keeps free at its sides."""


class Canvas:
    """A picture in the making. All places are in pixels; text is placed by its baseline."""

    def __init__(self, size: tuple[int, int], paper: Rgb, font: Font) -> None:
        self.image = Image.new("RGB", size, paper)
        self.pen = ImageDraw.Draw(self.image)
        self.paper = paper
        self.font = font
        self.ink: Rgb = (20, 20, 20) if brightness(paper) > 128 else (240, 240, 240)
        self.faint = mix(paper, self.ink, 0.2)
        self.glyphs: list[Glyph] = []
        self.things: list[Thing] = []
        self.texts: list[Box] = []

    @property
    def line(self) -> float:
        """From one baseline to the next."""
        return self.font.height * 1.15

    def write(self, text: str, x: float, baseline: float, align: Align = "left", ink: Rgb | None = None) -> None:
        """Writes a text and remembers where its characters are."""
        width = self.font.length(text)
        start = round(x - {"left": 0.0, "middle": width / 2, "right": width}[align])
        base = round(baseline)
        self.pen.text((start, base), text, ink or self.ink, self.font.inner, anchor="ls")
        self.texts.append(
            Box(start - GAP, base - self.font.ascent, start + width + GAP, base + self.font.descent * 0.5)
        )
        pen = float(start)
        for character, advance in zip(text, self.font.advances(text), strict=True):
            if character != " ":
                left, top, right, bottom = self.font.ink(character)
                self.glyphs.append(Glyph(character, Box(pen + left, base + top, pen + right, base + bottom)))
            pen += advance

    def block(self, box: Box, paint: Rgb, edge: Rgb | None = None) -> Box:
        """A filled rectangle, on whole pixels; returns where it is."""
        left, top, right, bottom = (round(value) for value in box)
        self.pen.rectangle((left, top, right - 1, bottom - 1), paint, edge)
        return Box(left, top, right, bottom)

    def rule(self, ends: Sequence[Point], paint: Rgb, width: int = 1) -> None:
        """A thin line without antialiasing, for axes and grids."""
        self.pen.line([(round(x), round(y)) for x, y in ends], paint, width)

    def polygon(self, points: Sequence[Point], paint: Rgb) -> Box:
        """An antialiased polygon; returns where its solid pixels are."""
        return self._masked(points, None, paint)

    def curve(self, points: Sequence[Point], width: float, dot: float, paint: Rgb) -> Box:
        """An antialiased line through points with dots of a radius on them; returns where its solid pixels are."""
        return self._masked(points, (width, dot), paint)

    def _masked(self, points: Sequence[Point], stroke: tuple[float, float] | None, paint: Rgb) -> Box:
        """Fills a polygon, or draws a line of a width with dots of a radius."""
        margin = 2 + (max(stroke) if stroke else 0)
        xs, ys = [x for x, _ in points], [y for _, y in points]
        left, top = int(min(xs) - margin), int(min(ys) - margin)
        right, bottom = int(max(xs) + margin + 1), int(max(ys) + margin + 1)
        mask = Image.new("L", ((right - left) * SAMPLES, (bottom - top) * SAMPLES))
        pen = ImageDraw.Draw(mask)
        inner = [((x - left) * SAMPLES, (y - top) * SAMPLES) for x, y in points]
        if stroke is None:
            pen.polygon(inner, 255)
        else:
            pen.line(inner, 255, round(stroke[0] * SAMPLES), joint="curve")
            radius = stroke[1] * SAMPLES
            for x, y in inner:
                pen.ellipse((x - radius, y - radius, x + radius, y + radius), 255)
        mask = mask.reduce(SAMPLES)
        self.image.paste(paint, (left, top), mask)
        solid = mask.point([0] * SOLID + [255] * (256 - SOLID)).getbbox() or (0, 0, *mask.size)
        return Box(left + solid[0], top + solid[1], left + solid[2], top + solid[3])

    def tidy(self) -> bool:
        """Whether all text is in the picture and none lies on other text."""
        width, height = self.image.size
        inside = all(
            text.left + GAP >= 0 and text.top >= 0 and text.right - GAP <= width and text.bottom <= height
            for text in self.texts
        )
        pairs = ((one, other) for i, one in enumerate(self.texts) for other in self.texts[:i])
        return inside and not any(overlap(one, other) > 0 for one, other in pairs)


def some_paper(rng: random.Random) -> Rgb:
    """A colour for paper or a screen: mostly white, else light, seldom dark."""
    style = rng.random()
    if style < 0.5:
        return (255, 255, 255)
    if style < 0.85:
        return from_hsv(rng.uniform(0, 360), rng.uniform(0, 0.12), rng.uniform(0.9, 1))
    return from_hsv(rng.uniform(0, 360), rng.uniform(0, 0.4), rng.uniform(0.05, 0.2))
