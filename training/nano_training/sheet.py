"""Contact sheets: samples to look at."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from .sample import Picture, Sample

CELL = 330
"""Width of a sample's column in pixels; larger pictures are shrunk."""

ROW = 13
LETTERS = 62
"""Height of a line of text in pixels, and characters in it."""


def shown(picture: Picture, boxes: bool, width: int) -> Image.Image:
    """A picture of at most `width` and twice as high, with its things' boxes if wanted."""
    image = picture.image.copy()
    if boxes:
        pen = ImageDraw.Draw(image)
        for thing in picture.things:
            left, top, right, bottom = thing.box
            pen.rectangle((left, top, right - 1, bottom - 1), None, (255, 0, 255))
    image.thumbnail((width, 2 * width))
    return image


def cell(sample: Sample, boxes: bool) -> Image.Image:
    """A sample's pictures side by side, with its questions and answers below."""
    images = [shown(picture, boxes, CELL // len(sample.pictures) - 4) for picture in sample.pictures]
    lines: list[str] = []
    for question in sample.questions:
        text = f"[{question.task}] {question.text} -> {question.answer}"
        lines += textwrap.wrap(text.replace("<|", "<").replace("|>", ">"), LETTERS, subsequent_indent="    ")
    top = max(image.height for image in images) + 4
    paper = Image.new("RGB", (CELL, top + ROW * len(lines) + 8), (250, 250, 250))
    x = 0
    for image in images:
        paper.paste(image, (x, 0))
        x += image.width + 4
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(10)
    for i, line in enumerate(lines):
        pen.text((2, top + ROW * i), line, (0, 0, 0), font)
    return paper


def contact_sheet(samples: Sequence[Sample], boxes: bool = False, columns: int = 5) -> Image.Image:
    """All samples in columns of about equal height."""
    heights = [0] * columns
    places: list[tuple[Image.Image, int, int]] = []
    for sample in samples:
        column = heights.index(min(heights))
        image = cell(sample, boxes)
        places.append((image, column * (CELL + 6), heights[column]))
        heights[column] += image.height + 6
    paper = Image.new("RGB", (columns * (CELL + 6), max(1, *heights)), (120, 120, 130))
    for image, x, y in places:
        paper.paste(image, (x, y))
    return paper
