# What `python/src` is to Python. `python/check` holds it against the module.
import os
from collections.abc import Callable, Sequence
from typing import Any, Final, final

from seekvl._raw import Dialogue, RawAnswer, RawDelta

__all__ = [
    "OCR_PROMPT",
    "Generation",
    "Image",
    "Model",
    "Options",
    "__version__",
    "ground_prompt",
    "load",
    "plan",
    "quantize",
]

OCR_PROMPT: Final[str]
__version__: Final[str]

@final
class Image:
    @staticmethod
    def from_path(
        path: str | os.PathLike[str],
        *,
        as_stored: bool = False,
        max_pixels: int | None = None,
        max_file_bytes: int | None = None,
    ) -> Image: ...
    @staticmethod
    def from_bytes(
        data: bytes | bytearray,
        *,
        as_stored: bool = False,
        max_pixels: int | None = None,
        max_file_bytes: int | None = None,
    ) -> Image: ...
    @staticmethod
    def from_pixels(data: bytes | bytearray, width: int, height: int, channels: int) -> Image: ...
    def load(self) -> Image: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    def tobytes(self) -> bytes: ...
    @property
    def __array_interface__(self) -> dict[str, Any]: ...
    def to_png(self) -> bytes: ...
    def _repr_png_(self) -> bytes: ...
    def save(self, path: str | os.PathLike[str]) -> None: ...
    def draw(
        self, raw: str, *, font_size: float | None = None, line_width: int | None = None, font: bytes | None = None
    ) -> Image: ...
    def __reduce__(self) -> tuple[Callable[..., Image], tuple[Any, ...]]: ...

@final
class Options:
    def __new__(
        cls,
        *,
        max_new_tokens: int,
        temperature: float,
        top_k: int,
        top_p: float,
        min_p: float,
        repetition_penalty: float,
        no_repeat_ngram_size: int,
        seed: int,
        stop: Sequence[str],
        logprobs: int | None,
        repetition_guard: tuple[int, int, int] | None,
        markup_guard: bool,
        ignore_eos: bool,
        prefill_chunk_size: int,
        thinking_budget: int | None,
        draft: bool,
        crop: bool | None,
        max_tiles: int | None,
        candidate_resolutions: Sequence[tuple[int, int]] | None,
    ) -> Options: ...

@final
class Generation:
    def __iter__(self) -> Generation: ...
    def __next__(self) -> RawDelta: ...
    def next_or_none(self) -> RawDelta | None: ...
    def result(self) -> list[RawAnswer]: ...
    def cancel(self) -> None: ...

@final
class Model:
    def start(self, dialogue: Dialogue, options: Options, streamed: bool) -> Generation: ...
    def start_text(self, text: str, suffix: str | None, options: Options, streamed: bool) -> Generation: ...
    def forget(self) -> None: ...
    def start_batch(self, dialogues: Sequence[Dialogue], options: Options) -> Generation: ...
    def plan(self, dialogue: Dialogue, options: Options) -> str: ...
    def info(self) -> str: ...
    def encode(self, text: str) -> list[int]: ...
    def decode(self, ids: Sequence[int], skip_special_tokens: bool) -> str: ...
    def vision_features(self, image: Image, options: Options) -> tuple[list[int], bytearray]: ...
    def visual_tokens(self, image: Image, options: Options) -> tuple[list[int], bytearray]: ...
    def logits(self, dialogue: Dialogue, options: Options, every_position: bool) -> tuple[list[int], bytearray]: ...

def load(
    model: str,
    *,
    dtype: str,
    device: str,
    quantization: str | None,
    expert_budget: int | None,
    context_window: int | None,
    cache_dtype: str,
    revision: str | None,
    local_files_only: bool,
    recall: bool,
    progress: Callable[[str, int, int], object] | None,
) -> Model: ...
def plan(
    model: str,
    dialogue: Dialogue,
    options: Options,
    *,
    dtype: str,
    quantization: str | None,
    expert_budget: int | None,
    context_window: int | None,
    cache_dtype: str,
    revision: str | None,
    local_files_only: bool,
) -> str: ...
def quantize(
    model: str,
    to: str,
    out: str | os.PathLike[str],
    *,
    revision: str | None,
    local_files_only: bool,
    progress: Callable[[str, int, int], object] | None,
) -> int: ...
def ground_prompt(description: str) -> str: ...
