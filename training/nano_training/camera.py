"""What happens to a picture between the world and the file: light, blur, noise, compression. Nothing moves."""

from __future__ import annotations

import io
import random

import numpy as np
from PIL import Image, ImageFilter

from .backgrounds import generator, ramp


def lit(image: Image.Image, rng: random.Random) -> Image.Image:
    """Light that is a little too strong or too weak, falls off to one side and has a faint tint."""
    pixels = np.asarray(image).astype(np.float32)
    height, width = pixels.shape[:2]
    strength = rng.uniform(0.92, 1.08)
    across, down = rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05)
    pixels *= strength + (ramp(width) * across)[None, :, None] + (ramp(height) * down)[:, None, None]
    pixels *= np.array([rng.uniform(0.97, 1.03) for _ in range(3)], np.float32)
    return Image.fromarray(np.minimum(pixels, 255).astype(np.uint8), "RGB")


def noisy(image: Image.Image, rng: random.Random) -> Image.Image:
    """Noise as a sensor's, one value for each channel of each pixel."""
    pixels = np.asarray(image).astype(np.float32)
    pixels += generator(rng).standard_normal(pixels.shape, dtype=np.float32) * rng.uniform(1, 9)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")


def compressed(image: Image.Image, rng: random.Random) -> Image.Image:
    """There and back through JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=rng.randint(45, 95))
    return Image.open(file).convert("RGB")


def photographed(image: Image.Image, rng: random.Random, most_blur: float = 1.1) -> Image.Image:
    """An RGB picture as some camera might have it; a third of them come out as they went in.

    `most_blur` is the largest standard deviation of the blur in pixels.
    """
    if rng.random() < 0.34:
        return image
    if rng.random() < 0.5:
        image = lit(image, rng)
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, most_blur)))
    if rng.random() < 0.3:
        image = noisy(image, rng)
    if rng.random() < 0.4:
        image = compressed(image, rng)
    return image
