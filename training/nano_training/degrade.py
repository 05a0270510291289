"""What befalls printed matter: it lies askew, its paper has a texture, shadows fall on it, a camera sees it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from .backgrounds import generator, ramp
from .camera import compressed, lit, noisy
from .page import Boxes, Page
from .sample import Box

Matrix = npt.NDArray[np.float64]
"""A homography, 3 by 3, of homogeneous pixel coordinates."""

CLEAN = 0.34
"""The share of pictures that nothing befalls."""


def tilt(rng: random.Random) -> float:
    """An angle in degrees: up to 4, seldom up to 9."""
    return rng.uniform(-9, 9) if rng.random() < 0.08 else rng.triangular(-4, 4, 0)


def rotation(degrees: float) -> Matrix:
    """Counterclockwise as seen, around the origin."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array(((cosine, sine, 0), (-sine, cosine, 0), (0, 0, 1)))


def shift(x: float, y: float) -> Matrix:
    """To the right and down."""
    return np.array(((1, 0, x), (0, 1, y), (0, 0, 1)))


def slant(size: tuple[int, int], rng: random.Random, strength: float) -> Matrix:
    """As seen a little from the side: the far edge is shorter by up to `strength` of its length."""
    width, height = size
    return np.array(
        (
            (1, 0, 0),
            (0, 1, 0),
            (rng.uniform(-strength, strength) / width, rng.uniform(-strength, strength) / height, 1),
        )
    )


def moved(matrix: Matrix, boxes: Boxes) -> Boxes:
    """Bounds of rectangles after a homography."""
    corners = np.stack((boxes[:, [0, 2, 2, 0]], boxes[:, [1, 1, 3, 3]], np.ones((len(boxes), 4))), -1) @ matrix.T
    places = corners[..., :2] / corners[..., 2:]
    return np.concatenate((places.min(1), places.max(1)), -1)


def fitted(
    matrix: Matrix, size: tuple[int, int], margins: tuple[float, float, float, float]
) -> tuple[Matrix, tuple[int, int]]:
    """The homography moved so that all of `size` is seen with margins left, above, right and below; and the canvas."""
    left, top, right, bottom = moved(matrix, np.array(((0.0, 0.0, *map(float, size)),)))[0]
    canvas = (
        max(1, round(right - left + margins[0] + margins[2])),
        max(1, round(bottom - top + margins[1] + margins[3])),
    )
    return shift(margins[0] - left, margins[1] - top) @ matrix, canvas


def transform(image: Image.Image, matrix: Matrix, canvas: tuple[int, int]) -> Image.Image:
    """An image after a homography; what it does not cover is 0."""
    inverse = np.linalg.inv(matrix)
    inverse /= inverse[2, 2]
    coefficients = tuple(inverse.reshape(-1)[:8].tolist())
    return image.transform(canvas, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC)


def pose(
    size: tuple[int, int], rng: random.Random, margins: tuple[float, float, float, float], slanted: bool
) -> tuple[Matrix, tuple[int, int]]:
    """How something of `size` comes to lie a little askew, and the canvas that holds it with margins."""
    matrix = rotation(tilt(rng))
    if slanted:
        matrix = slant(size, rng, 0.08) @ matrix
    return fitted(matrix, size, margins)


def askew(page: Page, rng: random.Random, slanted: bool) -> Page:
    """A page (of any mode) turned a little, on a canvas that just holds it; the rest of the canvas is 0."""
    matrix, canvas = pose(page.size, rng, (0, 0, 0, 0), slanted)
    return page.map(lambda boxes: moved(matrix, boxes), transform(page.image, matrix, canvas))


def scaled(page: Page, factor: float) -> Page:
    """A page made smaller or larger."""
    width, height = (max(1, round(side * factor)) for side in page.size)
    scale = np.array((width / page.size[0], height / page.size[1]) * 2)
    return page.map(lambda boxes: boxes * scale, page.image.resize((width, height), Image.Resampling.LANCZOS))


class Laid(NamedTuple):
    """A page that lies on something, and where other rectangles of it have gone."""

    page: Page
    boxes: list[Box]


def laid_on(page: Page, backdrop: Image.Image | None, rng: random.Random, boxes: Sequence[Box] = ()) -> Laid:
    """An RGB page lying askew on something; `backdrop` is scaled to what is needed, black if there is none."""
    sides = (*page.size, *page.size)
    left, top, right, bottom = (rng.uniform(0, 0.1) * side for side in sides)
    page.image.putalpha(255)
    matrix, canvas = pose(page.size, rng, (left, top, right, bottom), rng.random() < 0.4)
    laid = page.map(lambda boxes: moved(matrix, boxes), transform(page.image, matrix, canvas))
    ground = Image.new("RGB", canvas) if backdrop is None else backdrop.resize(canvas)
    mask = laid.image.getchannel("A")
    if rng.random() < 0.6:
        reach = rng.randint(1, 5)
        shade = mask.filter(ImageFilter.GaussianBlur(reach)).point([level // 2 for level in range(256)])
        ground.paste((0, 0, 0), (rng.randint(-reach, reach), reach), shade)
    ground.paste(laid.image.convert("RGB"), (0, 0), mask)
    laid.image = ground
    return Laid(laid, [Box(*box) for box in moved(matrix, np.array(boxes, np.float64).reshape(-1, 4)).tolist()])


def papered(image: Image.Image, rng: random.Random) -> Image.Image:
    """The grain and the creases of paper, multiplied onto the image."""
    width, height = image.size
    numbers = generator(rng)
    coarse = Image.fromarray(numbers.random((height // 6 + 2, width // 6 + 2), np.float32)).resize((width, height))
    light = np.minimum(1 - np.asarray(coarse) * np.float32(rng.uniform(0.02, 0.1)), 1)
    for _ in range(rng.choice((0, 0, 1, 2))):
        fold = rng.randrange(height)
        light[fold : fold + 2] *= rng.uniform(0.85, 0.95)
    pixels = np.asarray(image).astype(np.float32) * light[..., None]
    return Image.fromarray(pixels.astype(np.uint8), "RGB")


def shadowed(image: Image.Image, rng: random.Random) -> Image.Image:
    """A soft shadow over one side, or darker corners."""
    width, height = image.size
    x, y = ramp(width)[None, :] - 0.5, ramp(height)[:, None] - 0.5
    depth = np.float32(rng.uniform(0.1, 0.4))
    if rng.random() < 0.4:
        light = 1 - depth * (x * x + y * y) * 2
    else:
        angle = rng.uniform(0, 2 * math.pi)
        across = x * np.float32(math.cos(angle)) + y * np.float32(math.sin(angle)) - np.float32(rng.uniform(-0.4, 0.4))
        light = 1 - depth / (1 + np.exp(across * np.float32(rng.uniform(8, 40))))
    pixels = np.asarray(image).astype(np.float32) * light[..., None]
    return Image.fromarray(pixels.astype(np.uint8), "RGB")


def pale(image: Image.Image, rng: random.Random) -> Image.Image:
    """Less contrast than there was."""
    depth, floor = rng.uniform(0.55, 0.9), rng.uniform(0, 60)
    return image.point([round(min(255.0, level * depth + floor)) for level in range(256)] * 3)


def photographed(image: Image.Image, rng: random.Random, x_height: float) -> Image.Image:
    """An RGB picture as a camera or a scanner might have it; letters of `x_height` pixels stay legible."""
    if rng.random() < 0.3:
        image = papered(image, rng)
    if rng.random() < 0.25:
        image = shadowed(image, rng)
    if rng.random() < 0.2:
        image = pale(image, rng)
    if rng.random() < 0.3:
        image = lit(image, rng)
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.11 * min(x_height, 14.0))))
    if rng.random() < 0.3:
        image = noisy(image, rng)
    if rng.random() < 0.4:
        image = compressed(image, rng)
    return image
