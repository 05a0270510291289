"""The files that the contestants need, made when they are first asked for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


class Files:
    """A folder of made files, with a folder in it for each model."""

    def __init__(self, folder: Path) -> None:
        """Keep files in `folder`."""
        self.folder = folder

    def checkpoint(self, model: str) -> Path:
        """A checkpoint of random bf16 weights that seekvl reads."""
        return self._made(self.folder / model / "seekvl", "checkpoint", model)

    def gguf(self, model: str, form: str) -> Path:
        """A language model for llama.cpp: of random bf16 weights, or that one quantised by llama.cpp itself."""
        return self._made(self.folder / model / f"llama-{form}.gguf", "gguf", model, form)

    def graph(self, model: str, form: str) -> Path:
        """A folder with the tower and projector as `graph.onnx`: in f32, or that one with 8-bit products."""
        return self._made(self.folder / model / f"tower-{form}", "graph", model, form)

    def photograph(self, width: int, height: int) -> Path:
        """A JPEG of that size with about the detail of a photograph."""
        return self._made(self.folder / f"{width}x{height}.jpg", "photograph", str(width), str(height))

    def discard(self, model: str) -> None:
        """Delete what was made for a model."""
        shutil.rmtree(self.folder / model, ignore_errors=True)

    def _made(self, path: Path, *what: str) -> Path:
        """The file at `path`, made if need be by another process, whose memory is not the contestant's."""
        if not path.exists():
            make = [sys.executable, "-m", "seekvl_peers.make", str(self.folder), str(path), *what]
            subprocess.run(make, check=True, stdout=sys.stderr)
        return path
