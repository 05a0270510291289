"""Pictures, and the steps of the original's processor from a JPEG to tiles, with the libraries that it uses."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from seekvl_peers import shapes
from seekvl_peers.files import Files
from seekvl_peers.plan import JPEG, Work

#: What fills the border of a padded view: the mean of a pixel, truncated.
_GREY = (127, 127, 127)


class Pixels:
    """The original's processor: Pillow decodes and resizes, PyTorch makes tensors."""

    def __init__(self, model: str, threads: int, files: Files) -> None:
        """Choose the picture."""
        torch.set_num_threads(threads)
        self.path = files.photograph(*JPEG)
        self.model = model
        self.weights_bytes = 0

    def measure(self, _work: Work) -> float:
        """Seconds from the file to the tower's input."""
        started = time.perf_counter()
        views(Image.open(self.path), self.model)
        return time.perf_counter() - started


def views(picture: Any, model: str) -> tuple[Any, tuple[int, int]]:
    """The views of a picture as the original prepares them.

    Returns:
        A tensor of `[views, 3, side, side]`, the global view first, and the grid of the others: columns, rows.
    """
    side = shapes.tower(model).picture
    picture = picture.convert("RGB")
    width, height = _resolution(picture.size, shapes.config(model)["candidate_resolutions"])
    whole = ImageOps.pad(picture, (side, side), color=_GREY)
    parts = ImageOps.pad(picture, (width, height), color=_GREY)
    tiles = [
        parts.crop((left, top, left + side, top + side))
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]
    return torch.stack([_tensor(view) for view in (whole, *tiles)]), (width // side, height // side)


def photograph(width: int, height: int, out: Path) -> None:
    """Write a JPEG of slow gradients, squares, and some noise."""
    y, x = np.mgrid[0:height, 0:width]
    shades = np.stack([x * 160 // width, y * 160 // height, (x // 64 + y // 64) % 2 * 90], axis=-1)
    noise = np.random.default_rng(0).integers(0, 256, shades.shape) // 10
    # As cameras do: colours at half the resolution.
    Image.fromarray((shades + noise).astype(np.uint8)).save(out, format="JPEG", quality=92, subsampling="4:2:0")


def _resolution(size: tuple[int, int], candidates: list[list[int]]) -> tuple[int, int]:
    """The candidate that keeps most of the picture's pixels, and of several the one with the least border."""

    def worth(candidate: list[int]) -> tuple[int, int]:
        scale = min(c / s for c, s in zip(candidate, size, strict=True))
        kept = min(math.prod(int(s * scale) for s in size), math.prod(size))
        return kept, kept - math.prod(candidate)

    width, height = max(candidates, key=worth)
    return width, height


def _tensor(view: Any) -> Any:
    """Channels first, from -1 to 1."""
    pixels = torch.from_numpy(np.array(view)).permute(2, 0, 1).contiguous()
    return pixels.to(torch.float32).div(255).sub_(0.5).div_(0.5)
