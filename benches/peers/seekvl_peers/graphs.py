"""The tower's graph in OpenVINO and in ONNX Runtime."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from seekvl_peers import shapes
from seekvl_peers.files import Files
from seekvl_peers.plan import Work


class _Graph:
    """A function of tiles, timed."""

    weights_bytes: int
    model: str

    def run(self, tiles: Any) -> None:
        raise NotImplementedError

    def measure(self, work: Work) -> float:
        """Seconds for so many tiles."""
        side = shapes.tower(self.model).picture
        tiles = np.random.default_rng(0).standard_normal((work.size, 3, side, side), np.float32)
        started = time.perf_counter()
        self.run(tiles)
        return time.perf_counter() - started


class OpenVino(_Graph):
    """OpenVINO, which converts the f32 graph to bf16."""

    def __init__(self, model: str, form: str, threads: int, files: Files) -> None:
        """Compile the graph.

        Raises:
            RuntimeError: OpenVINO computes in another type on this processor.
        """
        import openvino

        self.model = model
        folder = files.graph(model, "f32")
        self.weights_bytes = _size(folder) // (2 if form == "bf16" else 1)
        options = {"INFERENCE_PRECISION_HINT": form, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        self.compiled = openvino.Core().compile_model(str(folder / "graph.onnx"), "CPU", options)
        precision = self.compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        if precision != form:
            raise RuntimeError(f"OpenVINO computes in {precision} instead of {form}")

    def run(self, tiles: Any) -> None:
        """Pass tiles through the graph."""
        self.compiled([tiles])


class OnnxRuntime(_Graph):
    """ONNX Runtime, in f32 or with weights and activations of its matrix products in 8 bits."""

    def __init__(self, model: str, form: str, threads: int, files: Files) -> None:
        """Load the graph."""
        import onnxruntime

        self.model = model
        folder = files.graph(model, form)
        self.weights_bytes = _size(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(folder / "graph.onnx", options, providers=["CPUExecutionProvider"])

    def run(self, tiles: Any) -> None:
        """Pass tiles through the graph."""
        self.session.run(None, {"tiles": tiles})


def _size(folder: Path) -> int:
    """A graph's bytes, and those of the weights that are kept beside it."""
    return sum(file.stat().st_size for file in folder.iterdir())
