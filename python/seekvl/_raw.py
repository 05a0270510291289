"""The form in which `seekvl._core` hands over results. Only type checkers look at this."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from seekvl._core import Image

Reading: TypeAlias = Literal["as_written", "repaired", "invalid"]
FinishReason: TypeAlias = Literal["stop", "stop_string", "length", "context", "repetition", "cancelled"]

# Whether the model said it, the text with "<image>" for each image, the images.
Turn: TypeAlias = tuple[bool, str, list[Image]]
# What the model is told first, and the turns.
Dialogue: TypeAlias = tuple[str | None, list[Turn]]
# Whether it is what the model thinks, and the text.
RawDelta: TypeAlias = tuple[bool, str]


class RawBox(TypedDict):
    """The fields of `seekvl.Box`, but for its label."""

    relative: list[int] | None
    pixels: list[float] | None
    reading: Reading
    repairs: list[str]
    raw: str
    confidence: float | None


class RawRegion(TypedDict):
    """The fields of `seekvl.Region`."""

    label: str | None
    span: tuple[int, int]
    boxes: list[RawBox]


class RawExpertUse(TypedDict):
    """The fields of `seekvl.ExpertUse`."""

    budget: int
    hits: int
    reads: int
    hit_rate: float
    bytes_read: int
    resident: int
    most_resident: int


class RawAnswer(TypedDict):
    """The fields of `seekvl.Answer`, but for its image."""

    text: str
    raw: str
    thinking: str | None
    finish_reason: FinishReason
    regions: list[RawRegion]
    tokens: list[int]
    logprobs: list[tuple[float, list[tuple[int, float]]]] | None
    prompt_tokens: int
    image_tokens: list[int]
    cached_tokens: int
    drafts: tuple[int, int]
    image_size: tuple[int, int] | None
    timings: tuple[float, float, float, float, float]
    experts: RawExpertUse | None
