"""Charts with titles, names and values, and what can be asked about them."""

from __future__ import annotations

import random

from .camera import photographed
from .chart_canvas import Canvas, some_paper
from .chart_data import Data, Form, paints_for, shares, some_names, some_values
from .chart_forms import FORMS, Style
from .chart_questions import asked
from .colours import Rgb
from .fonts import pick_plain
from .sample import TIMES, Box, Picture, Sample, Split
from .tiling import resolution_for

SHARES: dict[Form, float] = {"column": 3, "bar": 2.5, "line": 1.5, "lines": 0.8, "pie": 2}
"""How often each form is drawn."""


def some_size(rng: random.Random) -> tuple[int, int]:
    """Width and height: one tile, up to two by two, or up to three by three."""
    most = rng.choices((160, 320, 480), (0.35, 0.45, 0.2))[0]
    least = {160: 140, 320: 160, 480: 260}[most]
    return rng.randint(least, most), rng.randint(least, most)


def some_style(form: Form, split: Split, rng: random.Random) -> Style:
    """What is printed where. Values in bars, rings, titles below, legends left or above: in the test split only."""
    held = split == "test"
    sides = ("right", "below", "left", "above") if held else ("right", "below")
    ways = {"pie": ("inside", "inside", "none"), "lines": ("none",), "line": ("end", "end", "axis")}
    usual = ("end", "end", "end", "axis", "axis", "none", *(("inside", "inside") if held else ()))
    always = form in ("pie", "lines")
    return Style(
        values_at=rng.choice(ways.get(form, usual)),
        legend=rng.choice(sides) if always or (form != "line" and rng.random() < 0.3) else "",
        tick=rng.choice((1, 2, 5, 10, 10, 20, 50, 100)),
        grid=rng.random() < 0.4,
        spacing=rng.uniform(0.5, 0.9),
        title_below=held and rng.random() < 0.3,
        ring=held and rng.random() < 0.4,
    )


def some_data(form: Form, style: Style, most: int, paper: Rgb, rng: random.Random) -> Data:
    """Contents for a form and a style, with two to `most` names."""
    count = rng.randint(3 if form == "line" else 2, most)
    title, names = some_names(count, rng)
    one = form == "line" or (form in ("column", "bar") and style.legend == "" and rng.random() < 0.4)
    colours, paints = paints_for(count, paper, one, rng)
    if form == "pie":
        values = shares(count, rng)
    else:
        values = some_values(count, style.tick if style.values_at == "axis" else 1, rng)
    unit = "%" if form == "pie" or (style.values_at == "end" and rng.random() < 0.1) else ""
    return Data(form, title, names, values, [f"{value}{unit}" for value in values], colours, paints)


def titled(canvas: Canvas, area: Box, title: str, below: bool, rng: random.Random) -> Box:
    """Writes a title and returns what is left of the area."""
    left = rng.random() < 0.3
    x = area.left if left else (area.left + area.right) / 2
    if below:
        canvas.write(title, x, area.bottom - canvas.font.descent, "left" if left else "middle")
        return area._replace(bottom=area.bottom - canvas.line - 2)
    canvas.write(title, x, area.top + canvas.font.ascent, "left" if left else "middle")
    return area._replace(top=area.top + canvas.line + 2)


def keyed(canvas: Canvas, area: Box, data: Data, side: str) -> Box:
    """Draws the legend at a side of the area (none if `side` is empty) and returns what is left."""
    if not side:
        return area
    patch = round(canvas.font.cap_height)
    widths = [patch + 4 + canvas.font.length(name) for name in data.names]
    if side in ("left", "right"):
        width, height = max(widths), canvas.line * len(widths)
        left = area.left if side == "left" else area.right - width
        places = [(left, (area.top + area.bottom - height) / 2 + canvas.line * i) for i in range(len(widths))]
        rest = area._replace(left=left + width + 8) if side == "left" else area._replace(right=left - 8)
    else:
        places, x, row = [], area.left, 0
        for width in widths:
            if x > area.left and x + width > area.right:
                x, row = area.left, row + 1
            places.append((x, canvas.line * row))
            x += width + 8
        height = canvas.line * (row + 1)
        top = area.top if side == "above" else area.bottom - height
        places = [(x, y + top) for x, y in places]
        rest = area._replace(top=top + height + 4) if side == "above" else area._replace(bottom=top - 4)
    for (x, y), name, paint in zip(places, data.names, data.paints, strict=True):
        base = y + canvas.font.ascent
        canvas.block(Box(x, base - patch, x + patch, base), paint)
        canvas.write(name, x + patch + 4, base)
    return rest


def attempt(split: Split, rng: random.Random) -> tuple[Picture, Data, Style] | None:
    """A chart, unless something in it does not find room."""
    form = rng.choices(list(SHARES), list(SHARES.values()))[0]
    size = some_size(rng)
    seen = resolution_for(size)
    x_height = rng.uniform(5.5, 8.5) * max(size[0] / seen[0], size[1] / seen[1])
    canvas = Canvas(size, some_paper(rng), pick_plain(rng, split).for_x_height(x_height))
    style = some_style(form, split, rng)
    data = some_data(form, style, 4 if form == "lines" else 6, canvas.paper, rng)
    edge = rng.randint(3, 8)
    area = Box(edge, edge, size[0] - edge, size[1] - edge)
    area = titled(canvas, area, data.title, style.title_below, rng)
    area = keyed(canvas, area, data, style.legend)
    if min(area.right - area.left, area.bottom - area.top) < 0.35 * min(size):
        return None
    FORMS[form](canvas, area, data, style, rng)
    if not canvas.tidy():
        return None
    image = photographed(canvas.image, rng, 0.1 * canvas.font.x_height) if rng.random() < 0.4 else canvas.image
    return Picture(image, canvas.glyphs, canvas.things), data, style


def chart(rng: random.Random, split: Split) -> Sample:
    """One chart with five to eight questions."""
    while True:
        made = attempt(split, rng)
        if made is not None:
            picture, data, style = made
            return Sample([picture], asked(picture, data, style, rng, TIMES[split]))
