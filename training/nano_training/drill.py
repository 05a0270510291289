"""Pictures crammed with text, without questions: what the vision tower learns letters from."""

from __future__ import annotations

import random

from PIL import Image

from . import words
from .camera import photographed
from .colours import Rgb
from .fonts import Font, pick, pick_plain
from .page import Page
from .sample import Sample, Split
from .text import ink_on, light_paper
from .tiling import TILE

ADVANCES = (7, 8, 9, 10, 11, 12, 14, 16, 20, 25)
"""Widths of a letter in pixels: small ones mostly, since a step costs the same however little there is to read."""


def drill(rng: random.Random, split: Split) -> Sample:
    """Lines of any face, size and colour, close together."""
    paper = light_paper(rng) if rng.random() < 0.5 else (rng.randrange(256), rng.randrange(256), rng.randrange(256))
    page = Page(Image.new("RGB", size(rng), paper))
    face, ink = pick(rng, split), ink_on(paper, rng)
    top = rng.uniform(0, 6)
    while top < page.size[1]:
        if rng.random() < 0.4:
            face, ink = pick(rng, split), ink_on(paper, rng)
        advance = rng.choice(ADVANCES) * rng.uniform(0.9, 1.2)
        top = fill_line(page, top, face.for_advance(advance), ink, rng, split)
    return Sample([page.picture(photographed(page.image, rng, 0.8) if rng.random() < 0.5 else None)], [])


def easy_drill(rng: random.Random, split: Split) -> Sample:
    """One plain face, dark on white, not small: where training begins."""
    page = Page(Image.new("RGB", size(rng), (255, 255, 255)))
    face, ink = pick_plain(rng, split), (rng.randrange(40),) * 3
    top = rng.uniform(0, 6)
    while top < page.size[1]:
        top = fill_line(page, top, face.for_advance(rng.uniform(9, 24)), ink, rng, split)
    return Sample([page.picture()], [])


def size(rng: random.Random) -> tuple[int, int]:
    """At most one tile."""
    return rng.randint(TILE * 2 // 3, TILE), rng.randint(TILE // 3, TILE)


def fill_line(page: Page, top: float, font: Font, ink: Rgb, rng: random.Random, split: Split) -> float:
    """Prints snippets from left to right while they fit; where the next line begins. None fit below the page."""
    bottom = top + font.height
    if bottom > page.size[1]:
        return bottom
    x = rng.uniform(1, 12)
    while x < page.size[0] - 10:
        text = words.snippet(rng, split, 24)
        while font.length(text) > page.size[0] - x:
            text = text[:-1]
        if not text.strip():
            break
        page.write(x, top + font.ascent, text, font, ink)
        x += font.length(text) + rng.uniform(6, 20)
    return top + font.height * rng.uniform(1.0, 1.4)
