"""Colours that have one name, and how far two colours are apart."""

from __future__ import annotations

import colorsys
import random
from collections.abc import Iterable
from typing import NamedTuple

from .sample import COLOURS

Rgb = tuple[int, int, int]


class Range(NamedTuple):
    """Hue in degrees, saturation and value from 0 to 1; each as (lowest, highest)."""

    hue: tuple[float, float]
    saturation: tuple[float, float]
    value: tuple[float, float]


# The gaps between neighbours are wide enough that the camera's lighting and a thing's own shading do not close them.
RANGES: dict[str, Range] = {
    "red": Range((-8, 4), (0.80, 1.0), (0.70, 0.95)),
    "orange": Range((23, 32), (0.88, 1.0), (0.93, 1.0)),
    "yellow": Range((50, 58), (0.75, 1.0), (0.92, 1.0)),
    "green": Range((100, 145), (0.60, 1.0), (0.42, 0.75)),
    "blue": Range((206, 234), (0.65, 1.0), (0.55, 0.95)),
    "purple": Range((266, 286), (0.55, 0.9), (0.50, 0.75)),
    "pink": Range((322, 344), (0.30, 0.55), (0.95, 1.0)),
    "brown": Range((17, 28), (0.60, 0.85), (0.33, 0.50)),
    "black": Range((0, 360), (0.0, 0.2), (0.02, 0.11)),
    "grey": Range((0, 360), (0.0, 0.05), (0.38, 0.52)),
    "white": Range((0, 360), (0.0, 0.03), (0.94, 1.0)),
}
assert tuple(RANGES) == COLOURS


def from_hsv(hue: float, saturation: float, value: float) -> Rgb:
    """The colour of a hue in degrees, a saturation and a value from 0 to 1."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 360 / 360, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def shade_of(name: str, rng: random.Random) -> Rgb:
    """Some colour that everybody calls `name` (one of `COLOURS`)."""
    hue, saturation, value = RANGES[name]
    return from_hsv(rng.uniform(*hue), rng.uniform(*saturation), rng.uniform(*value))


def mix(one: Rgb, other: Rgb, share: float) -> Rgb:
    """`one` with `share` (0 to 1) of it replaced by `other`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def brightness(colour: Rgb) -> float:
    """Luma from 0 to 255 (ITU-R BT.601)."""
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue


def distance(one: Rgb, other: Rgb) -> float:
    """How different two colours look, 0 to about 765: Euclidean, weighted by the mean of red ("redmean")."""
    mean = (one[0] + other[0]) / 2
    red, green, blue = (a - b for a, b in zip(one, other, strict=True))
    return float(((2 + mean / 256) * red**2 + 4 * green**2 + (2 + (255 - mean) / 256) * blue**2) ** 0.5)


def contrast(backgrounds: Iterable[Rgb], colours: Iterable[Rgb]) -> float:
    """The smallest distance between any of `backgrounds` and any of `colours`."""
    colours = list(colours)
    return min((distance(a, b) for a in backgrounds for b in colours), default=765.0)
