"""A line on standard error that says how a download goes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TypeAlias

# Called with a file's name, its size in bytes, and how many of them are there.
Progress: TypeAlias = Callable[[str, int, int], object]

_WIDTH = 20


def reporter(progress: bool | Progress) -> Progress | None:
    """Whom to tell: nobody, the caller's function, or a line where somebody may read it."""
    if callable(progress):
        return progress
    in_notebook = type(sys.stderr).__module__.startswith("ipykernel")
    if progress and (sys.stderr.isatty() or in_notebook):
        return Line()
    return None


class Line:
    """Writes over itself, and leaves a line for each file that is complete."""

    def __init__(self) -> None:
        self._file = ""
        self._started = 0.0

    def __call__(self, file: str, total: int, done: int) -> None:
        """Shows how far the file is."""
        if file != self._file:
            self._file, self._started = file, time.monotonic()
        elapsed = time.monotonic() - self._started
        end = "\n" if done >= total else ""
        sys.stderr.write(f"\r{line(file, total, done, elapsed)}{end}")
        sys.stderr.flush()


def line(file: str, total: int, done: int, elapsed: float) -> str:
    """The line for a file of `total` bytes, `done` of which came in `elapsed` seconds."""
    share = done / total if total else 1.0
    filled = int(share * _WIDTH)
    rate = done / elapsed if elapsed > 0 else 0.0
    left = f"{(total - done) / rate:.0f}s" if rate > 0 else "?"
    bar = "█" * filled + " " * (_WIDTH - filled)
    return f"{file}: {share:4.0%}|{bar}| {_size(done)}/{_size(total)} [{elapsed:.0f}s<{left}, {_size(rate)}/s]"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"
