"""DeepSeek-VL2 on the machine that you have: ask about pictures, read their text, find things in them.

    import seekvl

    model = seekvl.load()  # nano, a tiny model that is part of this package
    print(model.ask("receipt.png", "What is the total?"))

`Model` is where everything starts; `Answer` is what comes out. `seekvl.batch` is for jobs over many pictures, and
`seekvl.errors` says what can go wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seekvl import errors
from seekvl._config import CallOptions, GenerationConfig, ImageConfig
from seekvl._core import OCR_PROMPT, Image, __version__
from seekvl._images import ImageLike, Images, open_image
from seekvl._load import load, plan, quantize
from seekvl._messages import Message, Messages, Request
from seekvl._model import Model
from seekvl._names import NANO
from seekvl._results import Answer, Box, Drafts, ExpertUse, ImagePlan, Plan, Region, Timings, TokenLogprobs
from seekvl.errors import Error

if TYPE_CHECKING:
    from seekvl import batch
    from seekvl._aio import AsyncModel
    from seekvl._export import to_coco
    from seekvl._stream import AsyncStream, Delta, Stream

__all__ = [
    "NANO",
    "OCR_PROMPT",
    "Answer",
    "AsyncModel",
    "AsyncStream",
    "Box",
    "CallOptions",
    "Delta",
    "Drafts",
    "Error",
    "ExpertUse",
    "GenerationConfig",
    "Image",
    "ImageConfig",
    "ImageLike",
    "ImagePlan",
    "Images",
    "Message",
    "Messages",
    "Model",
    "Plan",
    "Region",
    "Request",
    "Stream",
    "Timings",
    "TokenLogprobs",
    "__version__",
    "batch",
    "errors",
    "load",
    "open_image",
    "plan",
    "quantize",
    "to_coco",
]

# Modules that take a while to import wait until they are asked for.
_LATER = {
    "AsyncModel": "seekvl._aio",
    "AsyncStream": "seekvl._stream",
    "Delta": "seekvl._stream",
    "Stream": "seekvl._stream",
    "to_coco": "seekvl._export",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    from importlib import import_module

    if name == "batch":
        return import_module("seekvl.batch")
    if name in _LATER:
        globals()[name] = getattr(import_module(_LATER[name]), name)
        return globals()[name]
    raise AttributeError(f"module 'seekvl' has no attribute {name!r}")
