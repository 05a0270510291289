"""What is done with a model's name: loading it, planning ahead, writing it anew."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from seekvl import _core, _messages
from seekvl._config import CallOptions, core_options, resolve
from seekvl._images import Images
from seekvl._model import Model
from seekvl._names import NANO, dtype_name, model_name
from seekvl._progress import Progress, reporter
from seekvl._results import Plan

if TYPE_CHECKING:
    from typing_extensions import Unpack


def load(
    model: str | os.PathLike[str] = NANO,
    *,
    dtype: object = "auto",
    device: str = "cpu",
    quantization: str | None = None,
    expert_budget: int | None = None,
    context_window: int | None = None,
    cache_dtype: object = "auto",
    revision: str | None = None,
    local_files_only: bool = False,
    recall: bool = True,
    progress: bool | Progress = True,
) -> Model:
    """Loads a model; without a name, nano, which is part of this package. See `Model.from_pretrained`."""
    return Model.from_pretrained(
        model,
        dtype=dtype,
        device=device,
        quantization=quantization,
        expert_budget=expert_budget,
        context_window=context_window,
        cache_dtype=cache_dtype,
        revision=revision,
        local_files_only=local_files_only,
        recall=recall,
        progress=progress,
    )


def plan(
    model: str | os.PathLike[str],
    image: Images,
    question: str = "",
    *,
    dtype: object = "auto",
    quantization: str | None = None,
    expert_budget: int | None = None,
    context_window: int | None = None,
    cache_dtype: object = "auto",
    revision: str | None = None,
    local_files_only: bool = False,
    **options: Unpack[CallOptions],
) -> Plan:
    """What an answer will take, before any weight is fetched. See `Model.plan` and `Model.from_pretrained`."""
    config, images = resolve(options)
    text = _core.plan(
        model_name(model),
        _messages.question(question, image, None, images),
        core_options(config, images),
        dtype=dtype_name(dtype),
        quantization=quantization,
        expert_budget=expert_budget,
        context_window=context_window,
        cache_dtype=dtype_name(cache_dtype),
        revision=revision,
        local_files_only=local_files_only,
    )
    return Plan._from_json(text)


def quantize(
    model: str | os.PathLike[str],
    to: str,
    out: str | os.PathLike[str],
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    progress: bool | Progress = True,
) -> int:
    """Writes a model into one GGUF file, which `load` takes as it takes the model.

    Args:
        model: As `Model.from_pretrained` takes it.
        to: `"q4_k_m"`, `"q4_0"`, `"q8_0"`, `"bf16"`, `"f16"` or `"f32"`.
        out: The file. One that is there is replaced when the new one is complete.
        revision: A branch, tag or commit on the hub.
        local_files_only: Take only files that are on this machine.
        progress: As `Model.from_pretrained` has it.

    Returns:
        The file's size in bytes.

    Raises:
        ModelError: The model cannot be had, has no form in GGUF, or the file cannot be written.
        OptionError: There is no such type.
    """
    return _core.quantize(
        model_name(model),
        to,
        out,
        revision=revision,
        local_files_only=local_files_only,
        progress=reporter(progress),
    )
