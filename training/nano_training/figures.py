"""Outlines of things, as polygons: shapes here, drawn objects in `objects`."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

Point = tuple[float, float]
Tone = Literal["body", "shade", "tint", "dark", "pale", "bark", "leaf", "hole"]
"""What a part is filled with: the thing's colour, that colour darker or lighter, a neutral, or nothing."""


class Part(NamedTuple):
    """A filled polygon; x to the right, y down, in units of no meaning. Later parts lie over earlier ones."""

    points: Sequence[Point]
    tone: Tone = "body"


class Figure(NamedTuple):
    """How a kind of thing is drawn: its parts, anew each time, and by how many degrees it may be turned either way."""

    parts: Callable[[random.Random], list[Part]]
    turn: float


def arc(cx: float, cy: float, rx: float, ry: float, start: float = 0, end: float = 360, steps: int = 36) -> list[Point]:
    """Points on an ellipse from `start` to `end` degrees, clockwise from three o'clock."""
    angles = (math.radians(start + (end - start) * step / steps) for step in range(steps + 1))
    return [(cx + rx * math.cos(angle), cy + ry * math.sin(angle)) for angle in angles]


def rectangle(left: float, top: float, right: float, bottom: float) -> list[Point]:
    """The corners of a rectangle."""
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def turned(points: Sequence[Point], degrees: float) -> list[Point]:
    """`points` rotated clockwise about the origin."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [(x * cosine - y * sine, x * sine + y * cosine) for x, y in points]


def circle(rng: random.Random) -> list[Part]:
    """Nearly round."""
    return [Part(arc(0, 0, 1, rng.uniform(0.95, 1), steps=48))]


def square(rng: random.Random) -> list[Part]:
    """Nearly even sides."""
    half = rng.uniform(0.92, 1)
    return [Part(rectangle(-1, -half, 1, half))]


def triangle(rng: random.Random) -> list[Part]:
    """With two equal sides."""
    return [Part([(0, -rng.uniform(0.8, 1.2)), (1, 0.7), (-1, 0.7)])]


def star(rng: random.Random) -> list[Part]:
    """With five points, seldom six."""
    tips = rng.choice((5, 5, 5, 5, 6))
    inner = rng.uniform(0.38, 0.5)
    corners = ((1 if corner % 2 == 0 else inner, math.pi * (corner / tips - 0.5)) for corner in range(2 * tips))
    return [Part([(radius * math.cos(angle), radius * math.sin(angle)) for radius, angle in corners])]


def diamond(rng: random.Random) -> list[Part]:
    """Higher than wide."""
    half = rng.uniform(0.58, 0.78)
    return [Part([(0, -1), (half, 0), (0, 1), (-half, 0)])]


def heart(rng: random.Random) -> list[Part]:
    """The usual curve."""
    height = rng.uniform(0.92, 1.05)
    points = []
    for step in range(48):
        t = 2 * math.pi * step / 48
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((16 * math.sin(t) ** 3, -y * height))
    return [Part(points)]


def cross(rng: random.Random) -> list[Part]:
    """Four equal arms."""
    half = rng.uniform(0.26, 0.4)
    arm = [(half, -half), (half, -1), (-half, -1), (-half, -half)]
    return [Part([point for quarter in range(4) for point in turned(arm, -90 * quarter)])]


def ring(rng: random.Random) -> list[Part]:
    """A circle with a round hole."""
    hole = rng.uniform(0.48, 0.68)
    return [Part(arc(0, 0, 1, 1, steps=48)), Part(arc(0, 0, hole, hole, steps=48), "hole")]


def arrow(rng: random.Random) -> list[Part]:
    """A shaft and a head, to the right."""
    shaft, head, neck = rng.uniform(0.18, 0.28), rng.uniform(0.55, 0.75), rng.uniform(0, 0.25)
    upper = [(-1, -shaft), (neck, -shaft), (neck, -head)]
    return [Part([*upper, (1, 0), *((x, -y) for x, y in reversed(upper))])]


def crescent(rng: random.Random) -> list[Part]:
    """A circle with a bite out of its right."""
    offset, radius = rng.uniform(0.42, 0.55), rng.uniform(0.8, 0.88)
    meet = (1 - radius**2 + offset**2) / (2 * offset)
    outer = math.degrees(math.acos(meet))
    inner = math.degrees(math.atan2(math.sin(math.radians(outer)), meet - offset))
    away = arc(0, 0, 1, 1, outer, 360 - outer)
    back = arc(offset, 0, radius, radius, 360 - inner, inner)
    return [Part(away + back)]


# A square on its corner would be a diamond, and a diamond on its side a square: those two turn little.
SHAPES: dict[str, Figure] = {
    "circle": Figure(circle, 0),
    "square": Figure(square, 14),
    "triangle": Figure(triangle, 180),
    "star": Figure(star, 180),
    "diamond": Figure(diamond, 12),
    "heart": Figure(heart, 40),
    "cross": Figure(cross, 180),
    "ring": Figure(ring, 0),
    "arrow": Figure(arrow, 180),
    "crescent": Figure(crescent, 180),
}
