"""From a picture to its views, as DeepSeek-VL2's processor makes them, and where things lie in them.

A view is a square tile: first the global view (the whole picture, padded to a square), then the local ones, row by row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from .sample import Box

TILE = 168
"""Side of a tile in pixels."""

MOST_TILES = 9
"""Most local tiles of a picture."""

TILED_PICTURES = 2
"""With more pictures than this none is tiled: each has the 1x1 grid."""

PADDING = (127, 127, 127)

CANDIDATES = sorted(
    (
        (columns * TILE, rows * TILE)
        for columns in range(1, 10)
        for rows in range(1, 10)
        if columns * rows <= MOST_TILES
    ),
    key=lambda size: (size[0] * size[1], size),
)
"""The resolutions (width, height) that a picture may be tiled at."""


@dataclass(frozen=True)
class Placement:
    """How pixels of a picture map to pixels of a canvas that it was scaled and centred on."""

    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float

    def apply(self, box: Box) -> Box:
        return Box(
            box.left * self.scale_x + self.offset_x,
            box.top * self.scale_y + self.offset_y,
            box.right * self.scale_x + self.offset_x,
            box.bottom * self.scale_y + self.offset_y,
        )

    def seen(self, size: tuple[int, int]) -> Box:
        """Where what the view shows of a picture of `size` is in the view."""
        left, top, right, bottom = self.apply(Box(0, 0, *size))
        left, top = max(0.0, left), max(0.0, top)
        return Box(left, top, max(left + 1, min(TILE, right)), max(top + 1, min(TILE, bottom)))


@dataclass(frozen=True)
class Views:
    """The views of one picture.

    `pixels`: uint8 [views, TILE, TILE, 3], the global view first. A 1x1 grid has one view that serves as both.
    `placements`: where the picture's pixels are in each view.
    """

    columns: int
    rows: int
    pixels: npt.NDArray[np.uint8]
    placements: list[Placement]


def resolution_for(size: tuple[int, int]) -> tuple[int, int]:
    """The candidate that keeps most of a picture's resolution, and of those the one with the least padding."""
    width, height = size
    best, best_key = CANDIDATES[0], (-1, 0)
    for candidate in CANDIDATES:
        scale = min(candidate[0] / width, candidate[1] / height)
        effective = min(int(width * scale) * int(height * scale), width * height)
        key = (effective, effective - candidate[0] * candidate[1])
        if key > best_key:
            best, best_key = candidate, key
    return best


def placement(size: tuple[int, int], canvas: tuple[int, int]) -> Placement:
    """Where `ImageOps.pad` puts a picture of `size` on a canvas."""
    width, height = size
    scale = min(canvas[0] / width, canvas[1] / height)
    inner = (width * scale, height * scale)
    offset = ((canvas[0] - inner[0]) / 2, (canvas[1] - inner[1]) / 2)
    return Placement(inner[0] / width, inner[1] / height, *offset)


def _pad(image: Image.Image, canvas: tuple[int, int]) -> npt.NDArray[np.uint8]:
    return np.asarray(ImageOps.pad(image, canvas, color=PADDING))


def views(image: Image.Image, tiled: bool = True) -> Views:
    """All views of an RGB picture."""
    width, height = resolution_for(image.size) if tiled else (TILE, TILE)
    columns, rows = width // TILE, height // TILE
    global_view = _pad(image, (TILE, TILE))[None]
    whole = placement(image.size, (TILE, TILE))
    if (columns, rows) == (1, 1):
        return Views(1, 1, global_view, [whole])
    canvas = _pad(image, (width, height))
    tiles = canvas.reshape(rows, TILE, columns, TILE, 3).swapaxes(1, 2).reshape(-1, TILE, TILE, 3)
    at = placement(image.size, (width, height))
    corners = [(column * TILE, row * TILE) for row in range(rows) for column in range(columns)]
    local = [Placement(at.scale_x, at.scale_y, at.offset_x - x, at.offset_y - y) for x, y in corners]
    return Views(columns, rows, np.concatenate([global_view, tiles]), [whole, *local])
