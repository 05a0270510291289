"""Large files in pieces that any channel carries."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import torch

PIECE = 15 * 2**20
"""Bytes of a piece."""


def write_pieces(state: Any, base: Path) -> None:
    """Saves `state` as `base.000`, `base.001`, ...; each appears whole or not at all."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getbuffer()
    count = -(-len(data) // PIECE)
    for i in range(count):
        part = base.with_suffix(f".{i:03}.new")
        part.write_bytes(data[i * PIECE : (i + 1) * PIECE])
    for i in range(count):
        os.replace(base.with_suffix(f".{i:03}.new"), base.with_suffix(f".{i:03}"))


def read_pieces(base: Path) -> io.BytesIO:
    """The bytes of all pieces."""
    parts = sorted(path for path in base.parent.glob(f"{base.name}.[0-9][0-9][0-9]"))
    return io.BytesIO(b"".join(part.read_bytes() for part in parts))
