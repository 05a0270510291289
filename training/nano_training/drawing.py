"""From a figure and a colour to an antialiased cut-out."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from .colours import Rgb, brightness, mix
from .figures import SHAPES, Figure, Part, Point, Tone, turned
from .objects import OBJECTS

FIGURES: dict[str, Figure] = SHAPES | OBJECTS
"""How each kind of thing in scenes is drawn."""

SAMPLES = 3
"""Samples along each side of a pixel."""

SOLID = 96
"""The opacity from which a pixel counts as the thing's."""


def palette(colour: Rgb) -> dict[Tone, Rgb]:
    """What each tone is for a thing of this colour. Parts of a black thing are told apart by being lighter."""
    black = brightness(colour) < 40
    return {
        "body": colour,
        "shade": mix(colour, (255, 255, 255), 0.2) if black else mix(colour, (0, 0, 0), 0.25),
        "tint": mix(colour, (255, 255, 255), 0.12 if black else 0.22),
        "dark": (70, 70, 74) if black else (38, 38, 42),
        "pale": (205, 205, 200) if brightness(colour) > 200 else (238, 238, 230),
        "bark": (92, 66, 48),
        "leaf": (66, 122, 62),
    }


def fitted(parts: Sequence[Part], size: float) -> tuple[list[Part], tuple[int, int]]:
    """Parts moved and scaled so that their longer side is `size`, one unit off the edges, and the size of a canvas."""
    xs = [x for part in parts if part.tone != "hole" for x, _ in part.points]
    ys = [y for part in parts if part.tone != "hole" for _, y in part.points]
    left, top = min(xs), min(ys)
    scale = size / max(max(xs) - left, max(ys) - top)
    margin = 2 * SAMPLES
    moved = [
        Part([((x - left) * scale + margin, (y - top) * scale + margin) for x, y in part.points], part.tone)
        for part in parts
    ]
    across, down = ((max(values) - min(values)) * scale + 2 * margin for values in (xs, ys))
    return moved, (-(-int(across + 1) // SAMPLES) * SAMPLES, -(-int(down + 1) // SAMPLES) * SAMPLES)


def posed(figure: Figure, rng: random.Random) -> list[Part]:
    """A figure's parts, mirrored or not, stretched a little and turned as far as it may be."""
    mirror = rng.choice((-1, 1))
    stretch = rng.uniform(0.93, 1.07) * mirror
    degrees = rng.uniform(-figure.turn, figure.turn)

    def pose(points: Sequence[Point]) -> list[Point]:
        return turned([(x * stretch, y) for x, y in points], degrees)

    return [Part(pose(part.points), part.tone) for part in figure.parts(rng)]


def shaded(patch: Image.Image, rng: random.Random) -> Image.Image:
    """Light from one side: a cut-out (RGBA) whose brightness changes by up to a tenth across it."""
    pixels = np.asarray(patch).astype(np.float32)
    strength = rng.uniform(0.04, 0.1)
    height, width = pixels.shape[:2]
    down = np.linspace(1 + strength, 1 - strength, height, dtype=np.float32)[:, None, None]
    across = np.linspace(1 + strength * rng.uniform(-1, 1), 1, width, dtype=np.float32)[None, :, None]
    pixels[..., :3] = np.minimum(pixels[..., :3] * down * across, 255)
    return Image.fromarray(pixels.astype(np.uint8), "RGBA")


def draw(kind: str, colour: Rgb, size: float, outline: bool, rng: random.Random) -> Image.Image:
    """A thing whose longer side is about `size` pixels, as an RGBA cut-out that is cropped to its solid pixels."""
    parts, canvas = fitted(posed(FIGURES[kind], rng), size * SAMPLES)
    tones = palette(colour)
    patch = Image.new("RGBA", canvas, (*colour, 0))
    pen = ImageDraw.Draw(patch)
    edge = mix(colour, (255, 255, 255) if brightness(colour) < 60 else (0, 0, 0), rng.uniform(0.3, 0.7))
    width = round(SAMPLES * max(1.0, size / 50) * rng.uniform(0.7, 1.3))
    for part in parts:
        fill = (*colour, 0) if part.tone == "hole" else (*tones[part.tone], 255)
        pen.polygon(part.points, fill=fill)
        if outline and part.tone in ("body", "hole", "shade"):
            pen.line([*part.points, *part.points[:2]], fill=(*edge, 255), width=width, joint="curve")
    patch = patch.reduce(SAMPLES)
    if rng.random() < 0.5:
        patch = shaded(patch, rng)
    return patch.crop(solid_box(patch))


def solid_box(patch: Image.Image) -> tuple[int, int, int, int]:
    """The bounds of the solid pixels of an RGBA cut-out."""
    return patch.getchannel("A").point([0] * SOLID + [255] * (256 - SOLID)).getbbox() or (0, 0, *patch.size)
