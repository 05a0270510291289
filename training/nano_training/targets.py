"""What the vision tower shall know of every patch: an aid to training alone, dropped when the model is exported.

Each half of a patch names the character whose centre is in it, and each patch the thing that covers its centre: kind,
colour, and how far the thing's edges are away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .sample import COLOURS, KINDS, Box, Picture
from .tiling import TILE, Placement

IGNORED = -100
FIRST_CHARACTER, CHARACTERS = 33, 94
NOTHING_PRINTED, NO_KIND, NO_COLOUR = CHARACTERS, len(KINDS), len(COLOURS)
LEAST_ADVANCE = 3.5
"""Characters narrower or lower than this many pixels in a view cannot be asked for there."""

LEAST_SIDE = 5.0
"""Nor can smaller things."""


@dataclass(frozen=True)
class PatchTargets:
    """Targets of some views; P patches each.

    `characters`: int64 [views, P, 2]; `kinds`, `colours`: int64 [views, P]; `edges`: float32 [views, P, 4], distances
    to the left, top, right and bottom edges over the tile's side, NaN where there is no thing.
    """

    characters: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.int64]
    colours: npt.NDArray[np.int64]
    edges: npt.NDArray[np.float32]


def patch_targets(picture: Picture, placements: list[Placement], grid: int) -> PatchTargets:
    """The targets of all views of a picture with `grid` patches along a side."""
    glyphs = np.array([glyph.box for glyph in picture.glyphs], np.float32).reshape(-1, 4)
    codes = np.array([ord(glyph.character) - FIRST_CHARACTER for glyph in picture.glyphs], np.int64)
    parts = [_targets_of_view(picture, glyphs, codes, at, grid) for at in placements]
    return PatchTargets(*(np.stack(part) for part in zip(*parts, strict=True)))


def _targets_of_view(
    picture: Picture, glyphs: npt.NDArray[np.float32], codes: npt.NDArray[np.int64], at: Placement, grid: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    characters = np.full((grid, grid * 2), NOTHING_PRINTED, np.int64)
    scale = np.array([at.scale_x, at.scale_y] * 2, np.float32)
    boxes = glyphs * scale + np.array([at.offset_x, at.offset_y] * 2, np.float32)
    column = np.floor((boxes[:, 0] + boxes[:, 2]) / 2 / TILE * grid * 2).astype(np.int64)
    row = np.floor((boxes[:, 1] + boxes[:, 3]) / 2 / TILE * grid).astype(np.int64)
    inside = (column >= 0) & (column < grid * 2) & (row >= 0) & (row < grid)
    legible = _legible(boxes)
    characters[row[inside], column[inside]] = np.where(legible, codes, IGNORED)[inside]
    kinds = np.full((grid, grid), NO_KIND, np.int64)
    colours = np.full((grid, grid), NO_COLOUR, np.int64)
    edges = np.full((grid, grid, 4), np.nan, np.float32)
    # Large things first, so that small ones in front of them count.
    for thing in sorted(picture.things, key=lambda thing: -_area(thing.box)):
        box = at.apply(thing.box)
        _paint(kinds, colours, edges, box, KINDS.index(thing.kind), COLOURS.index(thing.colour), grid)
    return (
        characters.reshape(grid * grid, 2),
        kinds.reshape(-1),
        colours.reshape(-1),
        edges.reshape(-1, 4),
    )


def _legible(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Whether characters are large enough to be read; thin ones count as wide as the median."""
    if len(boxes) == 0:
        return np.zeros(0, np.bool_)
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    large: npt.NDArray[np.bool_] = np.maximum(widths, heights * 0.4) >= LEAST_ADVANCE
    return large


def _area(box: Box) -> float:
    return (box.right - box.left) * (box.bottom - box.top)


def _paint(
    kinds: npt.NDArray[np.int64],
    colours: npt.NDArray[np.int64],
    edges: npt.NDArray[np.float32],
    box: Box,
    kind: int,
    colour: int,
    grid: int,
) -> None:
    patch = TILE / grid
    centres = (np.arange(grid) + 0.5) * patch
    # A thing that no centre falls into is known to the patch nearest to its middle.
    middle_x, middle_y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    columns = np.flatnonzero((centres >= box.left) & (centres < box.right))
    rows = np.flatnonzero((centres >= box.top) & (centres < box.bottom))
    if not len(columns) and 0 <= middle_x < TILE:
        columns = np.array([int(middle_x / patch)])
    if not len(rows) and 0 <= middle_y < TILE:
        rows = np.array([int(middle_y / patch)])
    if not len(columns) or not len(rows):
        return
    area = np.ix_(rows, columns)
    if min(box.right - box.left, box.bottom - box.top) < LEAST_SIDE:
        kind = colour = IGNORED
    kinds[area], colours[area] = kind, colour
    x, y = np.meshgrid(centres[columns], centres[rows])
    distances = np.stack((x - box.left, y - box.top, box.right - x, box.bottom - y), -1) / TILE
    edges[area] = distances if kind != IGNORED else np.nan
