"""What the vision tower shall know of every patch: an aid to training alone, dropped when the model is exported.

Each half of a patch names the character whose centre is in it, and each patch the thing that covers its centre: kind,
colour, its box in what the view shows of the picture (padding is no part of that), and whether its middle is here.
Where there is no thing, the box is that of the printed word, also where it is too small to be read: it can be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .sample import COLOURS, KINDS, Box, Picture
from .tiling import TILE, Placement

IGNORED = -100
FIRST_CHARACTER, CHARACTERS = 33, 94
NOTHING_PRINTED, NO_KIND, NO_COLOUR = CHARACTERS, len(KINDS), len(COLOURS)
LEAST_ADVANCE = 6.5
"""Characters narrower than this many pixels in a view, nearly half a patch, count as nothing there: a view of the whole
does not tell what its tiles tell."""

LEAST_SIDE = 5.0
"""Nor can smaller things."""

LEAST_HEIGHT = 3.0
"""Lower words are not told apart from the lines about them."""

LARGEST_GAP = 0.3
"""Between characters of a word, in heights of a character."""


@dataclass(frozen=True)
class PatchTargets:
    """Targets of some views; P patches each.

    `characters`: int64 [views, P, 2]; `kinds`, `colours`: int64 [views, P]; `boxes`: float32 [views, P, 5], left, top,
    right and bottom of the thing or word as shares of what is seen, and its longer side over the tile's, NaN where
    there is neither; `middles`: float32 [views, P], 1 where a thing's middle is.
    """

    characters: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.int64]
    colours: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    middles: npt.NDArray[np.float32]


def patch_targets(picture: Picture, placements: list[Placement], grid: int) -> PatchTargets:
    """The targets of all views of a picture with `grid` patches along a side."""
    glyphs = glyph_boxes(picture)
    codes = np.array([ord(glyph.character) - FIRST_CHARACTER for glyph in picture.glyphs], np.int64)
    words = words_of(glyphs, ink_boxes(picture))
    parts = [_targets_of_view(picture, glyphs, codes, words, at, grid) for at in placements]
    return PatchTargets(*(np.stack(part) for part in zip(*parts, strict=True)))


def glyph_boxes(picture: Picture) -> npt.NDArray[np.float32]:
    """Where the characters of a picture are, [glyphs, (left, top, right, bottom)] in its pixels."""
    return np.array([glyph.box for glyph in picture.glyphs], np.float32).reshape(-1, 4)


def ink_boxes(picture: Picture) -> npt.NDArray[np.float32]:
    """Where the ink of the characters of a picture is, as far as that is known, [glyphs, 4]."""
    return np.array([glyph.ink or glyph.box for glyph in picture.glyphs], np.float32).reshape(-1, 4)


def word_starts(glyphs: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Whether a word begins with each character; those of a word follow each other on a line, close together."""
    if len(glyphs) == 0:
        return np.zeros(0, np.bool_)
    before, after = glyphs[:-1], glyphs[1:]
    height = np.minimum(before[:, 3] - before[:, 1], after[:, 3] - after[:, 1])
    gap = after[:, 0] - before[:, 2]
    shared = np.minimum(before[:, 3], after[:, 3]) - np.maximum(before[:, 1], after[:, 1])
    ends = (gap > LARGEST_GAP * height) | (after[:, 0] < before[:, 0]) | (shared < 0.5 * height)
    return np.concatenate([[True], ends])


def words_of(glyphs: npt.NDArray[np.float32], inks: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The bounds of the ink of each character's word, [glyphs, 4]."""
    if len(glyphs) == 0:
        return inks
    starts = np.flatnonzero(word_starts(glyphs))
    corners = [np.minimum.reduceat(inks[:, :2], starts), np.maximum.reduceat(inks[:, 2:], starts)]
    return np.repeat(np.concatenate(corners, 1), np.diff(np.append(starts, len(glyphs))), 0)


def _in_view(boxes: npt.NDArray[np.float32], at: Placement) -> npt.NDArray[np.float32]:
    scaled = boxes * np.array([at.scale_x, at.scale_y] * 2, np.float32)
    return scaled + np.array([at.offset_x, at.offset_y] * 2, np.float32)


class Places(NamedTuple):
    """Of some characters: the row of patches and the column of their halves that the centre of each is in, whether that
    is in the view, and whether it can be read there."""

    row: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    inside: npt.NDArray[np.bool_]
    told: npt.NDArray[np.bool_]


def character_places(glyphs: npt.NDArray[np.float32], at: Placement, grid: int) -> Places:
    """Where characters of boxes [glyphs, 4] are in a view."""
    cells = _in_view(glyphs, at)
    column = np.floor((cells[:, 0] + cells[:, 2]) / 2 / TILE * grid * 2).astype(np.int64)
    row = np.floor((cells[:, 1] + cells[:, 3]) / 2 / TILE * grid).astype(np.int64)
    inside = (column >= 0) & (column < grid * 2) & (row >= 0) & (row < grid)
    return Places(row, column, inside, inside & _legible(cells))


def _targets_of_view(
    picture: Picture,
    glyphs: npt.NDArray[np.float32],
    codes: npt.NDArray[np.int64],
    words: npt.NDArray[np.float32],
    at: Placement,
    grid: int,
) -> tuple[
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
    npt.NDArray[np.float32],
    npt.NDArray[np.float32],
]:
    characters = np.full((grid, grid * 2), NOTHING_PRINTED, np.int64)
    row, column, inside, told = character_places(glyphs, at, grid)
    characters[row[told], column[told]] = codes[told]
    kinds = np.full((grid, grid), NO_KIND, np.int64)
    colours = np.full((grid, grid), NO_COLOUR, np.int64)
    boxes = np.full((grid, grid, 5), np.nan, np.float32)
    middles = np.zeros((grid, grid), np.float32)
    seen = at.seen(picture.image.size)
    cells = _in_view(words[inside], at)
    low = (cells[:, 3] - cells[:, 1] < LEAST_HEIGHT)[:, None]
    boxes[row[inside], column[inside] // 2] = np.where(low, np.nan, _told(cells, seen))
    # Large things first, so that small ones in front of them count.
    for thing in sorted(picture.things, key=lambda thing: -_area(thing.box)):
        box = at.apply(thing.box)
        area, middle = _covered(box, grid)
        if area is not None:
            small = min(box.right - box.left, box.bottom - box.top) < LEAST_SIDE
            kinds[area] = IGNORED if small else KINDS.index(thing.kind)
            colours[area] = IGNORED if small else COLOURS.index(thing.colour)
            boxes[area] = np.nan if small else _told(np.array([box]), seen)
        if middle is not None:
            middles[middle] = 1
    return (
        characters.reshape(grid * grid, 2),
        kinds.reshape(-1),
        colours.reshape(-1),
        boxes.reshape(-1, 5),
        middles.reshape(-1),
    )


def _legible(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Whether characters are large enough to be read; thin ones count as wide as high ones mostly are."""
    if len(boxes) == 0:
        return np.zeros(0, np.bool_)
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    large: npt.NDArray[np.bool_] = np.maximum(widths, heights * 0.7) >= LEAST_ADVANCE
    return large


def _area(box: Box) -> float:
    return (box.right - box.left) * (box.bottom - box.top)


def _told(boxes: npt.NDArray[np.floating], seen: Box) -> npt.NDArray[np.float64]:
    """Boxes [n, 4] as shares of `seen`, and their longer sides, [n, 5]."""
    left, top, right, bottom = seen
    shares = (boxes - np.array([left, top] * 2)) / np.array([right - left, bottom - top] * 2)
    longer = (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True) / TILE
    return np.concatenate([shares, longer], 1)


def _covered(box: Box, grid: int) -> tuple[tuple[npt.NDArray[np.int64], ...] | None, tuple[int, int] | None]:
    """The patches whose centres a thing covers, and the one with its middle, where they are in the view."""
    patch = TILE / grid
    centres = (np.arange(grid) + 0.5) * patch
    # A thing that no centre falls into is known to the patch nearest to its middle.
    middle_x, middle_y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    columns = np.flatnonzero((centres >= box.left) & (centres < box.right))
    rows = np.flatnonzero((centres >= box.top) & (centres < box.bottom))
    inside = 0 <= middle_x < TILE and 0 <= middle_y < TILE
    middle = (int(middle_y / patch), int(middle_x / patch)) if inside else None
    if not len(columns) and 0 <= middle_x < TILE:
        columns = np.array([int(middle_x / patch)])
    if not len(rows) and 0 <= middle_y < TILE:
        rows = np.array([int(middle_y / patch)])
    if not len(columns) or not len(rows):
        return None, middle
    return np.ix_(rows, columns), middle
