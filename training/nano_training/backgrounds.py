"""What things lie on."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from .colours import Rgb, contrast, from_hsv, mix

Size = tuple[int, int]
"""Width and height in pixels."""

Pixels = npt.NDArray[np.float32]
"""Height by width by red, green, blue from 0 to 255."""

Painter = Callable[[Size, Sequence[Rgb], random.Random], Pixels]


def generator(rng: random.Random) -> np.random.Generator:
    """NumPy's random numbers, determined by `rng`."""
    return np.random.Generator(np.random.SFC64(rng.getrandbits(63)))


def ramp(length: int) -> Pixels:
    """0 to 1 in `length` steps."""
    return np.linspace(0, 1, length, dtype=np.float32)


def blend(share: Pixels, colours: Sequence[Rgb]) -> Pixels:
    """From the first colour (share 0) to the second (share 1), for each pixel; `share` is height by width."""
    first, second = (np.array(colour, np.float32) for colour in colours[:2])
    blended: Pixels = first + share[..., None] * (second - first)
    return blended


def plain(size: Size, colours: Sequence[Rgb], rng: random.Random) -> Pixels:
    """One colour."""
    return np.broadcast_to(np.array(colours[0], np.float32), (size[1], size[0], 3)).copy()


def gradient(size: Size, colours: Sequence[Rgb], rng: random.Random) -> Pixels:
    """From one colour to another, along any direction."""
    across = rng.random()
    x, y = ramp(size[0])[None, :], ramp(size[1])[:, None]
    x, y = (1 - x if rng.random() < 0.5 else x), (1 - y if rng.random() < 0.5 else y)
    return blend(x * across + y * (1 - across), colours)


def stripes(size: Size, colours: Sequence[Rgb], rng: random.Random) -> Pixels:
    """Two colours in stripes; no squares, which would be things."""
    period = rng.uniform(8, 40)
    x, y = np.arange(size[0], dtype=np.float32)[None, :], np.arange(size[1], dtype=np.float32)[:, None]
    slant = rng.choice((0.0, 1.0, rng.uniform(-1, 1)))
    share = ((x * slant + y * (1 - abs(slant))) // period % 2).astype(np.float32)
    return blend(np.broadcast_to(share, (size[1], size[0])), colours)


def clouds(size: Size, colours: Sequence[Rgb], rng: random.Random) -> Pixels:
    """Two colours in soft blotches."""
    cells = (rng.randint(2, 9), rng.randint(2, 9))
    coarse = generator(rng).random(cells, dtype=np.float32)
    share = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR))
    return blend(share, colours)


def landscape(size: Size, colours: Sequence[Rgb], rng: random.Random) -> Pixels:
    """Something far behind something near: sky and ground, or wall and floor, each with a gradient of its own."""
    horizon = round(size[1] * rng.uniform(0.3, 0.8))
    far, near = colours[0], colours[1]
    rows = np.empty((size[1], 3), np.float32)
    rows[:horizon] = blend(ramp(horizon)[None, :], (far, mix(far, (255, 255, 255), 0.25)))[0]
    rows[horizon:] = blend(ramp(size[1] - horizon)[None, :], (mix(near, (0, 0, 0), 0.12), near))[0]
    return np.broadcast_to(rows[:, None, :], (size[1], size[0], 3)).copy()


PAINTERS: tuple[tuple[Painter, int, float], ...] = (
    (plain, 1, 0.3),
    (gradient, 2, 0.2),
    (stripes, 2, 0.1),
    (clouds, 2, 0.15),
    (landscape, 2, 0.25),
)
"""Each with the number of its colours and its share of all backgrounds."""

ENOUGH = 130.0
"""The contrast (see `colours.contrast`) at which a thing is seen well."""


def tone(rng: random.Random) -> Rgb:
    """A colour for a background: light, dark or in between; seldom strong."""
    style = rng.random()
    if style < 0.45:
        return from_hsv(rng.uniform(0, 360), rng.uniform(0, 0.25), rng.uniform(0.82, 1))
    if style < 0.7:
        return from_hsv(rng.uniform(0, 360), rng.uniform(0, 0.6), rng.uniform(0.05, 0.35))
    return from_hsv(rng.uniform(0, 360), rng.uniform(0.05, 0.6), rng.uniform(0.35, 0.9))


def tones(count: int, rng: random.Random) -> list[Rgb]:
    """`count` colours that go together: the second is near the first in half of all cases."""
    first = tone(rng)
    if count == 1:
        return [first]
    return [first, mix(first, tone(rng), 0.3) if rng.random() < 0.5 else tone(rng)]


def background(size: Size, things: Sequence[Rgb], rng: random.Random) -> tuple[Image.Image, bool]:
    """A background on which things of these colours are seen, and whether they are all seen well."""
    painter, count, _ = rng.choices(PAINTERS, [share for _, _, share in PAINTERS])[0]
    best, reached = tones(count, rng), -1.0
    for _ in range(24):
        colours = tones(count, rng)
        middle = [mix(colours[0], colours[1], 0.5)] if count == 2 and painter is not stripes else []
        found = contrast([*colours, *middle], things)
        if found > reached:
            best, reached = colours, found
        if reached >= ENOUGH:
            break
    pixels = painter(size, best, rng)
    if rng.random() < 0.4:
        grain = generator(rng).standard_normal((size[1], size[0], 1), dtype=np.float32)
        pixels = pixels + grain * rng.uniform(1, 9)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB"), reached >= ENOUGH
