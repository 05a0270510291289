"""The forms of charts: each draws its marks and their labels into a part of a canvas."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from .chart_canvas import Canvas
from .chart_data import Data, Form
from .colours import Rgb, brightness
from .figures import Point, arc
from .sample import Box, Thing


@dataclass(frozen=True)
class Style:
    """What is printed and where.

    `values_at`: on each mark ("end", or "inside" of it), or "axis" where values can be read off a scale, which they all
    lie on a tick of. `legend`: names beside patches of colour instead of at the marks.
    """

    values_at: str
    legend: str
    tick: int
    grid: bool
    spacing: float
    title_below: bool
    ring: bool


def ink_on(paint: Rgb) -> Rgb:
    """Black or white, whichever is seen better."""
    return (0, 0, 0) if brightness(paint) > 128 else (255, 255, 255)


def ticks_of(data: Data, style: Style) -> list[int]:
    """The numbers along the axis: all of them values' steps, or four or so without meaning for exact values."""
    most = max(data.values)
    if style.values_at == "axis":
        return list(range(0, most + 1, style.tick))
    step = max(1, math.ceil(most / 4))
    return list(range(0, most + 1, step)) if style.grid else [0]


def columns(canvas: Canvas, area: Box, data: Data, style: Style, rng: random.Random) -> None:
    """Bars that stand on a line, with names below them."""
    foot = canvas.line if style.legend == "" else canvas.font.height * 0.3
    head = canvas.line if style.values_at == "end" else canvas.font.height * 0.5
    plot, place = axis_upright(canvas, Box(area.left, area.top + head, area.right, area.bottom - foot), data, style)
    slot = (plot.right - plot.left) / len(data.names)
    for i, (name, value, label) in enumerate(zip(data.names, data.values, data.labels, strict=True)):
        middle, half = plot.left + slot * (i + 0.5), slot * style.spacing / 2
        box = canvas.block(Box(middle - half, place(value), middle + half, plot.bottom), data.paints[i])
        canvas.things.append(Thing("bar", data.colours[i], box))
        if style.legend == "":
            canvas.write(name, middle, plot.bottom + canvas.font.height * 0.95, "middle")
        fits = box.bottom - box.top > canvas.line and box.right - box.left > canvas.font.length(label)
        if style.values_at == "end" or (style.values_at == "inside" and not fits):
            canvas.write(label, middle, box.top - canvas.font.height * 0.25, "middle")
        elif style.values_at == "inside":
            canvas.write(label, middle, box.bottom - canvas.font.height * 0.3, "middle", ink_on(data.paints[i]))
    canvas.rule([(plot.left, plot.bottom), (plot.right, plot.bottom)], canvas.ink)


def axis_upright(canvas: Canvas, area: Box, data: Data, style: Style) -> tuple[Box, Callable[[float], float]]:
    """A scale at the left of an area; returns what is right of it, and where a value is in it."""
    ticks = ticks_of(data, style)
    numbered = style.values_at == "axis"
    left = area.left + (max(canvas.font.length(str(tick)) for tick in ticks) + 4 if numbered else 1)
    top = max([*data.values, *ticks])

    def place(value: float) -> float:
        return area.bottom - (area.bottom - area.top) * value / top

    for tick in ticks:
        y = place(tick)
        if style.grid:
            canvas.rule([(left, y), (area.right, y)], canvas.faint)
        if numbered:
            canvas.rule([(left - 2, y), (left, y)], canvas.ink)
            canvas.write(str(tick), left - 4, y + canvas.font.cap_height / 2, "right")
    canvas.rule([(left, area.top), (left, area.bottom)], canvas.ink)
    return Box(left + 2, area.top, area.right, area.bottom), place


def bars(canvas: Canvas, area: Box, data: Data, style: Style, rng: random.Random) -> None:
    """Bars that lie, with names left of them and values at their ends or on a scale below."""
    ticks, numbered = ticks_of(data, style), style.values_at == "axis"
    widest = max(canvas.font.length(name) for name in data.names) if style.legend == "" else 0
    tail = max(canvas.font.length(label) for label in data.labels) + 5 if style.values_at == "end" else 5
    left, right = area.left + widest + 5, area.right - max(tail, canvas.font.length(str(ticks[-1])) / 2)
    bottom = area.bottom - (canvas.line if numbered else 0)
    top_value = max([*data.values, *ticks])

    def place(value: float) -> float:
        return left + (right - left) * value / top_value

    for tick in ticks:
        if style.grid:
            canvas.rule([(place(tick), area.top), (place(tick), bottom)], canvas.faint)
        if numbered:
            canvas.rule([(place(tick), bottom), (place(tick), bottom + 2)], canvas.ink)
            canvas.write(str(tick), place(tick), bottom + canvas.font.cap_height + 4, "middle")
    slot = (bottom - area.top) / len(data.names)
    for i, (name, value, label) in enumerate(zip(data.names, data.values, data.labels, strict=True)):
        middle, half = area.top + slot * (i + 0.5), slot * style.spacing / 2
        box = canvas.block(Box(left, middle - half, place(value), middle + half), data.paints[i])
        canvas.things.append(Thing("bar", data.colours[i], box))
        base = middle + canvas.font.cap_height / 2
        if style.legend == "":
            canvas.write(name, left - 4, base, "right")
        fits = box.right - box.left > canvas.font.length(label) + 6 and box.bottom - box.top > canvas.font.cap_height
        if style.values_at == "end" or (style.values_at == "inside" and not fits):
            canvas.write(label, box.right + 3, base)
        elif style.values_at == "inside":
            canvas.write(label, box.left + 3, base, "left", ink_on(data.paints[i]))
    canvas.rule([(left - 1, area.top), (left - 1, bottom)], canvas.ink)


def line(canvas: Canvas, area: Box, data: Data, style: Style, rng: random.Random) -> None:
    """One line over names, with values above its points or on a scale."""
    head = canvas.line if style.values_at == "end" else canvas.font.height * 0.5
    inner = Box(area.left, area.top + head, area.right, area.bottom - canvas.line)
    plot, place = axis_upright(canvas, inner, data, style)
    canvas.rule([(plot.left - 2, plot.bottom), (plot.right, plot.bottom)], canvas.ink)
    slot = (plot.right - plot.left) / len(data.names)
    points = [(plot.left + slot * (i + 0.5), place(value)) for i, value in enumerate(data.values)]
    width = max(1.6, canvas.font.height / 8)
    box = canvas.curve(points, width, width * rng.uniform(1.2, 1.8), data.paints[0])
    canvas.things.append(Thing("line", data.colours[0], box))
    for i, ((x, _), name) in enumerate(zip(points, data.names, strict=True)):
        canvas.write(name, x, plot.bottom + canvas.font.height * 0.95, "middle")
        if style.values_at == "end":
            beside_point(canvas, points, i, data.labels[i], plot.bottom)


def beside_point(canvas: Canvas, points: list[Point], i: int, label: str, bottom: float) -> None:
    """Writes a label at a point of a line, where the line is not: below a valley, above a peak, aside on a slope."""
    x, y = points[i]
    before = points[i - 1][1] if i > 0 else None
    after = points[i + 1][1] if i + 1 < len(points) else None
    valley = all(other is None or other < y for other in (before, after))
    if valley and y + canvas.line * 1.1 < bottom:
        canvas.write(label, x, y + canvas.font.cap_height + canvas.font.height * 0.35, "middle")
    elif before is not None and after is not None and before < y < after:
        canvas.write(label, x + 2, y - canvas.font.height * 0.2, "left")
    elif before is not None and after is not None and before > y > after:
        canvas.write(label, x - 2, y - canvas.font.height * 0.2, "right")
    else:
        canvas.write(label, x, y - canvas.font.height * 0.4, "middle")


def lines(canvas: Canvas, area: Box, data: Data, style: Style, rng: random.Random) -> None:
    """Several lines without values, each named in the legend."""
    width = max(1.4, canvas.font.height / 8)
    canvas.rule([(area.left, area.top), (area.left, area.bottom), (area.right, area.bottom)], canvas.ink)
    count = rng.randint(4, 7)
    for name, paint in zip(data.colours, data.paints, strict=True):
        level, points = rng.uniform(0.1, 0.9), list[Point]()
        for i in range(count):
            level = min(0.95, max(0.05, level + rng.uniform(-0.3, 0.3)))
            x = area.left + 4 + (area.right - area.left - 8) * i / (count - 1)
            points.append((x, area.bottom - 3 - (area.bottom - area.top - 6) * level))
        canvas.things.append(Thing("line", name, canvas.curve(points, width, width * 0.5, paint)))


def pie(canvas: Canvas, area: Box, data: Data, style: Style, rng: random.Random) -> None:
    """Slices, clockwise from some angle, with their percentages in them."""
    radius = min(area.right - area.left, area.bottom - area.top) / 2 - 1
    x, y = (area.left + area.right) / 2, (area.top + area.bottom) / 2
    hole = radius * 0.45 if style.ring else 0.0
    angle = rng.choice((-90.0, rng.uniform(0, 360)))
    labels: list[tuple[str, float, float, Rgb]] = []
    for i, value in enumerate(data.values):
        turn = 3.6 * value
        rim = arc(x, y, radius, radius, angle, angle + turn, max(2, round(turn / 4)))
        inside = arc(x, y, hole, hole, angle + turn, angle, max(2, round(turn / 4))) if hole else [(x, y)]
        box = canvas.polygon(rim + inside, data.paints[i])
        canvas.things.append(Thing("slice", data.colours[i], box))
        middle, far = math.radians(angle + turn / 2), (radius + hole) / 2 if hole else radius * 0.66
        labels.append((data.labels[i], x + far * math.cos(middle), y + far * math.sin(middle), ink_on(data.paints[i])))
        angle += turn
    for label, at, level, ink in labels:
        canvas.write(label, at, level + canvas.font.cap_height / 2, "middle", ink)


FORMS: dict[Form, Callable[[Canvas, Box, Data, Style, random.Random], None]] = {
    "column": columns,
    "bar": bars,
    "line": line,
    "lines": lines,
    "pie": pie,
}
