"""What is measured, who takes part, and which ratios are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

#: The length of a prompt, in tokens.
PROMPT = 512
#: How many tokens are decoded for one measurement.
DECODED = 64
#: The picture that is asked about, and the question in tokens; the answer has as many as are decoded otherwise.
PICTURE = (1536, 1024)
QUESTION = 20
#: The picture that is cut into tiles.
JPEG = (3000, 2000)


class Kind(Enum):
    """A stage of the work; the value is its name in `seekvl bench --only`."""

    VISION = "vision"
    PREFILL = "prefill"
    DECODE = "decode"
    END_TO_END = "end-to-end"
    PREPROCESS = "preprocess"


@dataclass(frozen=True)
class Work:
    """One thing to measure.

    Attributes:
        kind: The stage.
        size: Tiles, tokens of the prompt, or tokens of context; 0 where there is nothing to count.
    """

    kind: Kind
    size: int = 0

    def __str__(self) -> str:
        """The work in words."""
        return {
            Kind.VISION: "one tile" if self.size == 1 else f"{self.size} tiles",
            Kind.PREFILL: f"prefill of {self.size}",
            Kind.DECODE: f"decode at {self.size}" if self.size else "decode from empty",
            Kind.END_TO_END: "a picture, a question, an answer",
            Kind.PREPROCESS: "a JPEG to tiles",
        }[self.kind]


@dataclass(frozen=True)
class Contestant:
    """A program and the form of its weights."""

    program: str
    form: str

    def __str__(self) -> str:
        """Its name in the tables."""
        return f"{self.program} {self.form}"


@dataclass(frozen=True)
class Target:
    """How many times as fast as a peer seekvl should be.

    Attributes:
        ours: The form of seekvl's weights.
        peer: Whom it is compared with.
        ratio: The peer's time over seekvl's, at the least.
        works: What it holds for.
    """

    ours: str
    peer: Contestant
    ratio: float
    works: tuple[Work, ...]


@dataclass(frozen=True)
class Group:
    """Contestants that do the same works in turns.

    Attributes:
        name: What `--only` calls it.
        title: What the table calls it.
        model: The model, of `shapes.MODELS`.
        works: What each of them does in each round.
        contestants: Who takes part, in the order of their turns.
        targets: What is asked for.
        busy: Whether another process keeps a core busy meanwhile.
        memory: How many times its weights' size seekvl may have in memory, caches apart; None where a model is only
            used in part.
    """

    name: str
    title: str
    model: str
    works: tuple[Work, ...]
    contestants: tuple[Contestant, ...]
    targets: tuple[Target, ...] = field(default=())
    busy: bool = False
    memory: float | None = None


def _ours(*forms: str) -> tuple[Contestant, ...]:
    return tuple(Contestant("seekvl", form) for form in forms)


_TORCH = Contestant("pytorch", "bf16")
_OPENVINO = Contestant("openvino", "bf16")
_ORT_INT8 = Contestant("onnxruntime", "int8")
_LLAMA = {form: Contestant("llama.cpp", form) for form in ("bf16", "q8_0", "q4_0", "q4_k_m")}

_TILES = (Work(Kind.VISION, 1), Work(Kind.VISION, 10))
_PREFILL = (Work(Kind.PREFILL, PROMPT),)
_EMPTY = (Work(Kind.DECODE, 0),)
_DEEP = (Work(Kind.DECODE, 512), Work(Kind.DECODE, 1536))
_WHOLE = (Work(Kind.END_TO_END),)
_JPEG = (Work(Kind.PREPROCESS),)


def _language_targets(model: str, form: str, prefill: float, empty: float, deep: float) -> tuple[Target, ...]:
    """The targets beside llama.cpp in the same form; those in a filled context are T's alone."""
    peer = _LLAMA[form]
    targets = (Target(form, peer, prefill, _PREFILL), Target(form, peer, empty, _EMPTY))
    return (*targets, Target(form, peer, deep, _DEEP)) if model == "T" else targets


def _language(model: str) -> tuple[Group, ...]:
    """A language model in 16, 8 and 4 bits."""
    title = {"T": "Tiny's language model", "S6": "V2-Lite's shape cut to 6 layers"}[model]
    works = _PREFILL + _EMPTY + (_DEEP if model == "T" else ())
    bits16 = _language_targets(model, "bf16", prefill=1.5, empty=1.15, deep=1.25)
    bits8 = _language_targets(model, "q8_0", prefill=4.0, empty=1.25, deep=1.5)
    bits4 = tuple(
        target
        for form in ("q4_0", "q4_k_m")
        for target in _language_targets(model, form, prefill=2.0, empty=1.4, deep=1.8)
    )
    name = model.lower()
    return (
        Group(f"{name}-bf16", f"{title}, bf16", model, works, (_LLAMA["bf16"], *_ours("bf16")), bits16),
        Group(f"{name}-q8", f"{title}, 8 bits", model, works, (_LLAMA["q8_0"], *_ours("q8_0")), bits8),
        Group(
            f"{name}-q4",
            f"{title}, 4 bits",
            model,
            works,
            (_LLAMA["q4_0"], *_ours("q4_0"), _LLAMA["q4_k_m"], *_ours("q4_k_m")),
            bits4,
        ),
    )


GROUPS: tuple[Group, ...] = (
    Group(
        "vision",
        "Vision tower and projector",
        "T",
        _TILES,
        (_TORCH, _OPENVINO, *_ours("bf16"), _ORT_INT8, *_ours("q8_0")),
        (
            Target("bf16", _TORCH, 1.25, _TILES),
            Target("bf16", _OPENVINO, 1.0, _TILES),
            Target("q8_0", _TORCH, 2.2, _TILES),
            Target("q8_0", _ORT_INT8, 1.7, _TILES),
        ),
    ),
    *_language("T"),
    *_language("S6"),
    Group(
        "busy",
        "Tiny's language model, 4 bits, beside a busy process",
        "T",
        _EMPTY + _DEEP,
        (_LLAMA["q4_0"], *_ours("q4_0"), _LLAMA["q4_k_m"], *_ours("q4_k_m")),
        tuple(Target(form, _LLAMA[form], 4.0, _EMPTY + _DEEP) for form in ("q4_0", "q4_k_m")),
        busy=True,
    ),
    Group(
        "whole",
        f"A picture of 1536 x 1024, a question of {QUESTION} tokens, an answer of {DECODED}: Tiny",
        "T",
        _WHOLE,
        (_TORCH, *_ours("bf16", "q8_0", "q4_k_m")),
        (Target("bf16", _TORCH, 1.5, _WHOLE), Target("q8_0", _TORCH, 2.5, _WHOLE)),
        memory=1.1,
    ),
    Group(
        "jpeg",
        "A JPEG of 3000 x 2000 to tiles",
        "T",
        _JPEG,
        (Contestant("pillow", "pixels"), *_ours("bf16")),
        (Target("bf16", Contestant("pillow", "pixels"), 2.5, _JPEG),),
    ),
)
