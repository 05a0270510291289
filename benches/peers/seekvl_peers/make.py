"""Makes one file: `python -m seekvl_peers.make FOLDER PATH checkpoint|gguf|graph|photograph WHAT ...`."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from seekvl_peers import shapes
from seekvl_peers.files import Files

_RANDOM_WEIGHTS = Path(__file__).parents[3] / "target" / "release" / "random-weights"


def main(folder: str, path: str, kind: str, *what: str) -> None:
    """Make a file; it gets its name when it is whole."""
    out = Path(path)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f"part-{out.name}")
    if part.is_dir():
        shutil.rmtree(part)
    makers: dict[str, Callable[..., None]] = {
        "checkpoint": checkpoint,
        "gguf": gguf,
        "graph": graph,
        "photograph": photograph,
    }
    makers[kind](Files(Path(folder)), part, *what)
    part.rename(out)


def checkpoint(_files: Files, out: Path, model: str) -> None:
    """Random weights as seekvl reads them."""
    config = out.with_name("config.json")
    config.write_text(json.dumps(shapes.config(model)), encoding="utf-8")
    subprocess.run([_RANDOM_WEIGHTS, "--config", config, "--out", out], check=True)


def gguf(files: Files, out: Path, model: str, form: str) -> None:
    """Random weights as llama.cpp reads them, quantised as it quantises.

    Raises:
        RuntimeError: llama.cpp does not quantise them.
    """
    if form == "bf16":
        from seekvl_peers import gguf_file

        gguf_file.write(shapes.language(model), out)
        return
    import llama_cpp

    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{form.upper()}")
    params.max_buf_size = 1 << 30
    source = files.gguf(model, "bf16")
    if llama_cpp.llama_model_quantize(bytes(source), bytes(out), ctypes.byref(params)):
        raise RuntimeError(f"llama.cpp does not quantise {source} to {form}")


def graph(files: Files, out: Path, model: str, form: str) -> None:
    """A folder with the tower as a graph, its matrix products in 8 bits if so asked."""
    out.mkdir()
    if form == "f32":
        from seekvl_peers import pytorch

        pytorch.export_tower(shapes.tower(model), out / "graph.onnx")
        return
    from onnxruntime.quantization import QuantType, quantize_dynamic

    source = files.graph(model, "f32") / "graph.onnx"
    products = ["MatMul", "Gemm"]
    quantize_dynamic(
        source,
        out / "graph.onnx",
        weight_type=QuantType.QInt8,
        op_types_to_quantize=products,
        per_channel=True,
    )


def photograph(_files: Files, out: Path, width: str, height: str) -> None:
    """A picture."""
    from seekvl_peers import pixels

    pixels.photograph(int(width), int(height), out)


if __name__ == "__main__":
    main(*sys.argv[1:])
