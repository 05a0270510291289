"""Names of models and types, as callers write them."""

from __future__ import annotations

import os

#: The tiny model that is part of this package.
NANO = "nano"

_DTYPES = {
    "f32": "float32",
    "float": "float32",
    "bf16": "bfloat16",
    "f16": "float16",
    "half": "float16",
    "None": "auto",
}


def model_name(model: str | os.PathLike[str]) -> str:
    """The name or path of a model that is to be loaded.

    Raises:
        TypeError: It is something else, such as a model that is loaded already.
    """
    name: object = os.fspath(model) if isinstance(model, os.PathLike) else model
    if isinstance(name, str):
        return name
    loaded = "; a loaded one has its in `.name`" if hasattr(model, "name") else ""
    raise TypeError(f"a {type(model).__name__} names no model; give an id or a path{loaded}")


def dtype_name(dtype: object) -> str:
    """The name of a type; torch's and numpy's types have theirs in their strings."""
    name = dtype.__name__ if isinstance(dtype, type) else str(dtype).removeprefix("torch.")
    return _DTYPES.get(name, name)
