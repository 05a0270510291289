"""How answers are made."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypedDict, cast

from seekvl import _core
from seekvl.errors import OptionError

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """How an answer's tokens are chosen, and when it ends. Immutable; `replace` makes a changed copy.

    Attributes:
        max_new_tokens: The most tokens of the answer, its end of sentence included.
        temperature: Logits are divided by it before a token is drawn. 0 always takes the most probable token.
        top_k: Draw only from so many of the most probable tokens. 0 is no limit.
        top_p: Draw only from the smallest set of most probable tokens that reach this probability, 0 to 1.
        min_p: Draw only from tokens at least this many times as probable as the most probable, 0 to 1.
        repetition_penalty: Makes tokens of prompt and answer less probable. 1 is no penalty; 1.1 is a common one.
        no_repeat_ngram_size: Never complete a run of so many tokens a second time. 0 is no ban.
        seed: Where random numbers start. The same seed draws the same tokens, on every machine.
        stop: A string, or several, that end the answer without being part of it.
        logprobs: Give the log-probability of each token, and of this many of the most probable ones. `None` is neither.
        repetition_guard: End answers that go round in circles. A tuple says what counts as one: the longest cycle in
            tokens, how many times it comes round at least, and how many tokens that fills at least.
        markup_guard: Choose only tokens that keep grounding markup well formed: tags in pairs, four numbers a box.
        ignore_eos: Go on after the end of sentence.
        prefill_chunk_size: Positions of the prompt that are computed at once. It bounds memory and changes no result.
            0 is no limit.
        thinking_budget: The most tokens that a model thinks (DeepSeek-R1) before it is made to answer. `None` is no
            limit but that of the whole answer.
        draft: Let the model's layer for multi-token prediction, if it has one (DeepSeek-V3), draft tokens that the
            model then verifies. Answers are the same.

    Raises:
        OptionError: A value outside its range.
        TypeError: A name that is none of these, or a value of a wrong type.
    """

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    seed: int = 0
    stop: str | Sequence[str] = ()
    logprobs: int | None = None
    repetition_guard: bool | tuple[int, int, int] = True
    markup_guard: bool = True
    ignore_eos: bool = False
    prefill_chunk_size: int = 512
    thinking_budget: int | None = None
    draft: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "stop", _stop_strings(self.stop))
        if isinstance(self.repetition_guard, Sequence):
            object.__setattr__(self, "repetition_guard", tuple(self.repetition_guard))
        for name in _COUNTS:
            check_count(name, getattr(self, name))
        core_options(self, ImageConfig())

    def replace(self, **options: Any) -> Self:  # noqa: ANN401
        """A copy with other values for some options."""
        _check_names(type(self), options)
        return replace(self, **options)


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """How images are read and cut into tiles. Immutable.

    Attributes:
        crop: Whether images are cut into tiles. `None` does so where there are at most two of them, as the original.
        max_tiles: The most tiles of an image; as many as the model's configuration allows if not given.
        candidate_resolutions: `(width, height)` in pixels that an image may be fitted to, in place of those of the
            model's configuration.
        as_stored: Read files as the original does: orientation ignored, transparency dropped. By default they are read
            as a viewer shows them.
        max_pixels: The most pixels of an image; 178 956 970 if not given.
        max_file_bytes: The most bytes of an encoded image; 256 MiB if not given.
    """

    crop: bool | None = None
    max_tiles: int | None = None
    candidate_resolutions: Sequence[tuple[int, int]] | None = None
    as_stored: bool = False
    max_pixels: int | None = None
    max_file_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.candidate_resolutions is not None:
            candidates = _sizes(self.candidate_resolutions)
            object.__setattr__(self, "candidate_resolutions", candidates)
        for name in ("max_tiles", "max_pixels", "max_file_bytes"):
            check_count(name, getattr(self, name))


class CallOptions(TypedDict, total=False):
    """What every call that answers takes beside its own arguments.

    `config` and `image_config` are a `GenerationConfig` and an `ImageConfig`; the others are options of
    `GenerationConfig`, and take precedence over `config`.
    """

    config: GenerationConfig | None
    image_config: ImageConfig | None
    max_new_tokens: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float
    no_repeat_ngram_size: int
    seed: int
    stop: str | Sequence[str]
    logprobs: int | None
    repetition_guard: bool | tuple[int, int, int]
    markup_guard: bool
    ignore_eos: bool
    prefill_chunk_size: int
    thinking_budget: int | None
    draft: bool


def resolve(options: Mapping[str, Any], **defaults: Any) -> tuple[GenerationConfig, ImageConfig]:  # noqa: ANN401
    """The configuration that a call's options mean. `defaults` hold where the caller gives no `config`."""
    given = dict(options)
    config: GenerationConfig | None = given.pop("config", None)
    image_config: ImageConfig | None = given.pop("image_config", None)
    if config is None:
        config = GenerationConfig(**defaults) if defaults else _DEFAULT
    elif not isinstance(config, GenerationConfig):
        raise TypeError(f"config is a {type(config).__name__}; it must be a GenerationConfig")
    if given:
        config = config.replace(**given)
    if image_config is None:
        image_config = _DEFAULT_IMAGES
    elif not isinstance(image_config, ImageConfig):
        raise TypeError(f"image_config is a {type(image_config).__name__}; it must be an ImageConfig")
    return config, image_config


@functools.lru_cache(maxsize=64)
def core_options(config: GenerationConfig, images: ImageConfig) -> _core.Options:
    """The checked form that the Rust side takes."""
    guard = config.repetition_guard
    return _core.Options(
        **{name: getattr(config, name) for name in _PLAIN},
        repetition_guard=(256, 6, 128) if guard is True else guard or None,
        crop=images.crop,
        max_tiles=images.max_tiles,
        candidate_resolutions=images.candidate_resolutions,
    )


def _stop_strings(stop: object) -> tuple[str, ...]:
    strings: object = (stop,) if isinstance(stop, str) else stop
    if not isinstance(strings, Iterable):
        raise TypeError(f"stop is {stop!r}; it must be text or a list of texts")
    found = tuple(cast("Iterable[object]", strings))
    for string in found:
        if not isinstance(string, str):
            raise TypeError(f"stop has {string!r}; it must be text")
    return cast("tuple[str, ...]", found)


def _sizes(candidates: Iterable[object]) -> tuple[tuple[int, int], ...]:
    sizes = [tuple(cast("Iterable[object]", pair)) if isinstance(pair, Iterable) else pair for pair in candidates]
    for size in sizes:
        if not (isinstance(size, tuple) and len(size) == 2 and all(isinstance(side, int) for side in size)):
            raise OptionError(f"candidate_resolutions has {size!r}; it must be pairs of width and height in pixels")
    return cast("tuple[tuple[int, int], ...]", tuple(sizes))


def check_count(name: str, value: object) -> None:
    """Refuses what no count of anything can be."""
    if isinstance(value, int) and not 0 <= value < 2**63:
        raise OptionError(f"{name} is {value}; it must be an integer from 0 to 2**63 - 1")


def _check_names(cls: type, given: Iterable[str]) -> None:
    known = [field.name for field in fields(cls)]
    for name in given:
        if name not in known:
            import difflib

            close = difflib.get_close_matches(_COMMON_NAMES.get(name, name), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}"
            raise TypeError(f"{cls.__name__} has no option {name!r}; {hint}")


def _explain_unknown_names(cls: type) -> None:
    """Lets a dataclass say which option was probably meant."""
    init: Callable[..., None] = cls.__init__  # type: ignore[misc]

    @functools.wraps(init)
    def explained(self: object, *arguments: object, **given: object) -> None:
        _check_names(cls, given)
        init(self, *arguments, **given)

    cls.__init__ = explained  # type: ignore[misc]


# What other libraries call these options.
_COMMON_NAMES = {
    "max_tokens": "max_new_tokens",
    "max_completion_tokens": "max_new_tokens",
    "top_logprobs": "logprobs",
    "stop_strings": "stop",
    "stop_sequences": "stop",
    "random_seed": "seed",
}
_COUNTS = (
    "max_new_tokens",
    "top_k",
    "no_repeat_ngram_size",
    "seed",
    "logprobs",
    "prefill_chunk_size",
    "thinking_budget",
)
_PLAIN = [field.name for field in fields(GenerationConfig) if field.name != "repetition_guard"]
_explain_unknown_names(GenerationConfig)
_explain_unknown_names(ImageConfig)
_DEFAULT = GenerationConfig()
_DEFAULT_IMAGES = ImageConfig()
