"""What comes out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from seekvl._core import Image
from seekvl._raw import FinishReason, RawAnswer, RawBox, RawRegion, Reading
from seekvl.errors import ImageError

if TYPE_CHECKING:
    import supervision


@dataclass(frozen=True)
class Box:
    """One box of an answer.

    Attributes:
        label: The words that it was given for, or `None`.
        relative: `(x1, y1, x2, y2)`, left and top first, each an integer from 0 to 999 over the image's width and
            height, as the model writes them. `None` where the model wrote something that is no box.
        pixels: The same in pixels of the image. `None` also where there was no image.
        confidence: The geometric mean of the probabilities of the tokens that spell the box, 0 to 1; not calibrated.
            `None` unless log-probabilities were asked for (`logprobs=0` is enough, and `Model.ground` does).
        reading: `"as_written"`, `"repaired"` where something had to be put right, or `"invalid"`.
        repairs: What was put right, or what is wrong.
        raw: The characters that it was read from.
    """

    label: str | None
    relative: tuple[int, int, int, int] | None
    pixels: tuple[float, float, float, float] | None
    confidence: float | None = None
    reading: Reading = "as_written"
    repairs: tuple[str, ...] = ()
    raw: str = ""

    def __repr__(self) -> str:
        place = f"relative={self.relative}"
        if self.pixels is not None:
            place = f"pixels=({', '.join(f'{edge:.1f}' for edge in self.pixels)})"
        confidence = "" if self.confidence is None else f", confidence={self.confidence:.2f}"
        reading = "" if self.reading == "as_written" else f", reading={self.reading!r}"
        return f"Box(label={self.label!r}, {place}{confidence}{reading})"

    @staticmethod
    def _from_raw(label: str | None, raw: RawBox) -> Box:
        relative, pixels = raw["relative"], raw["pixels"]
        return Box(
            label=label,
            relative=None if relative is None else (relative[0], relative[1], relative[2], relative[3]),
            pixels=None if pixels is None else (pixels[0], pixels[1], pixels[2], pixels[3]),
            confidence=raw["confidence"],
            reading=raw["reading"],
            repairs=tuple(raw["repairs"]),
            raw=raw["raw"],
        )


@dataclass(frozen=True)
class Region:
    """A label with the boxes given for it.

    Attributes:
        label: The words, or `None` for boxes that came without.
        span: Where the label stands in the answer's text: `text[start:end]`.
        boxes: The boxes, those that are none included.
    """

    label: str | None
    span: tuple[int, int]
    boxes: tuple[Box, ...]

    @staticmethod
    def _from_raw(raw: RawRegion) -> Region:
        boxes = tuple(Box._from_raw(raw["label"], box) for box in raw["boxes"])
        return Region(label=raw["label"], span=raw["span"], boxes=boxes)


@dataclass(frozen=True)
class TokenLogprobs:
    """Log-probabilities (natural logarithms, before any penalty or temperature) at one token of an answer.

    Attributes:
        logprob: Of the token that was chosen.
        top: The most probable tokens, `(id, log-probability)`, falling; as many as were asked for.
    """

    logprob: float
    top: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Timings:
    """Wall-clock seconds of each stage.

    Attributes:
        images: Decoding, resizing and tiling the images.
        vision: Vision tower and projector.
        prefill: The prompt, up to the first token.
        decode: The tokens after the first.
        total: All of it, with what lies between the stages. The answers of a batch are made together and share it.
    """

    images: float
    vision: float
    prefill: float
    decode: float
    total: float


@dataclass(frozen=True)
class Drafts:
    """Tokens that were drafted (`draft=True`).

    Attributes:
        proposed: Drafted.
        accepted: Of these, those that the model chose as well.
    """

    proposed: int
    accepted: int


@dataclass(frozen=True)
class ExpertUse:
    """How experts that stay in their files (`expert_budget`) were used while an answer was made.

    Answers that the same model makes at the same time count too.

    Attributes:
        budget: The most bytes of experts in memory.
        hits: Times that tokens were sent to an expert that was in memory.
        reads: Times that it had to be read.
        hit_rate: The share of hits in both; 0 where there were none.
        bytes_read: Bytes read from the files.
        resident: Bytes of the experts that were in memory in the end.
        most_resident: The most that those were since the model was loaded.
    """

    budget: int
    hits: int
    reads: int
    hit_rate: float
    bytes_read: int
    resident: int
    most_resident: int


@dataclass(frozen=True, repr=False)
class Answer:
    """An answer, with all that is known of it. `str(answer)` is its text, and a notebook shows its boxes.

    Attributes:
        text: The text, without grounding markup.
        raw: The text as the model wrote it, thoughts left out.
        thinking: What the model thought before it answered, where it is one that does (DeepSeek-R1).
        finish_reason: `"stop"` where the model ended it, `"stop_string"`, `"length"` (`max_new_tokens`), `"context"`
            (the model can hold no more), `"repetition"` (it went round in circles and was cut back) or `"cancelled"`.
        regions: What it points at. Boxes are over the last image of the conversation.
        tokens: Ids, an end of sentence included.
        logprobs: For each token, where they were asked for.
        prompt_tokens: Tokens of the prompt, those of images included.
        image_tokens: Of these, those of each image.
        cached_tokens: Of the prompt's tokens, those that the last answer had left (see `Model`).
        image_size: Width and height of the last image in pixels.
        timings: Where time went.
        drafts: How many tokens were drafted and accepted; `None` where none were.
        experts: How experts that stay in their files were used; `None` without `expert_budget`.
        image: The last image.
    """

    text: str
    raw: str
    thinking: str | None
    finish_reason: FinishReason
    regions: tuple[Region, ...]
    tokens: tuple[int, ...]
    logprobs: tuple[TokenLogprobs, ...] | None
    prompt_tokens: int
    image_tokens: tuple[int, ...]
    image_size: tuple[int, int] | None
    cached_tokens: int = field(compare=False)
    timings: Timings = field(compare=False)
    drafts: Drafts | None = field(compare=False)
    image: Image | None = field(compare=False)
    experts: ExpertUse | None = field(default=None, compare=False)

    @staticmethod
    def _from_raw(raw: RawAnswer, image: Image | None) -> Answer:
        logprobs, (proposed, accepted), experts = raw["logprobs"], raw["drafts"], raw["experts"]
        return Answer(
            text=raw["text"],
            raw=raw["raw"],
            thinking=raw["thinking"],
            finish_reason=raw["finish_reason"],
            regions=tuple(map(Region._from_raw, raw["regions"])),
            tokens=tuple(raw["tokens"]),
            logprobs=None if logprobs is None else tuple(TokenLogprobs(one, tuple(top)) for one, top in logprobs),
            prompt_tokens=raw["prompt_tokens"],
            image_tokens=tuple(raw["image_tokens"]),
            image_size=raw["image_size"],
            cached_tokens=raw["cached_tokens"],
            timings=Timings(*raw["timings"]),
            drafts=Drafts(proposed, accepted) if proposed else None,
            image=image,
            experts=None if experts is None else ExpertUse(**experts),
        )

    @cached_property
    def boxes(self) -> tuple[Box, ...]:
        """The boxes of all regions, without those that are none."""
        return tuple(box for region in self.regions for box in region.boxes if box.relative is not None)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= 200 else f"{self.text[:199]}…"
        boxes = f", boxes={list(self.boxes)!r}" if self.boxes else ""
        return f"Answer({text!r}, finish_reason={self.finish_reason!r}, tokens={len(self.tokens)}{boxes})"

    def to_message(self) -> dict[str, str]:
        """The answer as a message, to go on with a conversation."""
        # Only a user's message has images; the model may say the word.
        return {"role": "assistant", "content": self.raw.replace("<image>", "")}

    def to_dict(self) -> dict[str, Any]:
        """Everything but the image, in types that JSON has. Keys are those of the program's `--json`, and more."""
        regions = [
            {
                "label": region.label,
                "span": {"start": region.span[0], "end": region.span[1]},
                "boxes": [_plain(box) for box in region.boxes],
            }
            for region in self.regions
        ]
        return {
            "text": self.text,
            "raw": self.raw,
            "thinking": self.thinking,
            "finish_reason": self.finish_reason,
            "tokens": list(self.tokens),
            "prompt_tokens": self.prompt_tokens,
            "image_tokens": list(self.image_tokens),
            "cached_tokens": self.cached_tokens,
            "image_size": None if self.image_size is None else list(self.image_size),
            "regions": regions,
            "logprobs": None if self.logprobs is None else [_logprobs(one) for one in self.logprobs],
            "timings": asdict(self.timings),
            "drafts": None if self.drafts is None else asdict(self.drafts),
            "experts": None if self.experts is None else asdict(self.experts),
        }

    def to_json(self, **options: Any) -> str:  # noqa: ANN401
        """`to_dict` as JSON; options are those of `json.dumps`."""
        import json

        options.setdefault("ensure_ascii", False)
        return json.dumps(self.to_dict(), **options)

    def draw(
        self, *, font_size: float | None = None, line_width: int | None = None, font: bytes | None = None
    ) -> Image:
        """The image with the boxes and their labels drawn.

        Args:
            font_size: Height of the letters in pixels.
            line_width: Width of the lines in pixels.
            font: A TrueType or OpenType font, for scripts that the one built in lacks.

        Raises:
            ImageError: The answer is about no image, or the image is a file that is gone.
            OptionError: The font cannot be read.
        """
        if self.image is None:
            raise ImageError("the answer is about no image that boxes could be drawn on")
        return self.image.draw(self.raw, font_size=font_size, line_width=line_width, font=font)

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows, where there are boxes to see."""
        if not self.boxes:
            return None
        try:
            return self.draw().to_png()
        except ImageError:
            return None

    def to_supervision(self) -> supervision.Detections:
        """The boxes as `supervision.Detections`, with `class_name` in their data."""
        from seekvl._export import to_supervision

        return to_supervision(self)

    def to_coco(self, file_name: str = "") -> dict[str, Any]:
        """The boxes as a COCO data set of one image. `seekvl.to_coco` makes one of many."""
        from seekvl._export import to_coco

        return to_coco([self], [file_name])

    def to_label_studio(self, image_url: str, *, from_name: str = "label", to_name: str = "image") -> dict[str, Any]:
        """The boxes as a Label Studio task with a prediction, for a project with `RectangleLabels`.

        Args:
            image_url: Where Label Studio finds the image.
            from_name: The name of the labelling control.
            to_name: The name of the image object.
        """
        from seekvl._export import to_label_studio

        return to_label_studio(self, image_url, from_name, to_name)

    def to_hocr(self, image_name: str = "") -> str:
        """The labels and their boxes as an hOCR page, each a line.

        Raises:
            ImageError: The answer is about no image.
        """
        from seekvl._export import to_hocr

        return to_hocr(self, image_name)


@dataclass(frozen=True)
class ImagePlan:
    """What becomes of an image: its size in pixels, its grid of tiles, its tokens in the prompt."""

    width: int
    height: int
    cols: int
    rows: int
    tokens: int


@dataclass(frozen=True)
class Plan:
    """What an answer will take.

    Attributes:
        images: The images, in order.
        prompt_tokens: Tokens of the prompt, those of images included.
        image_tokens: Of these, the images'.
        max_new_tokens: The most tokens of the answer.
        context: Tokens that the model can hold, prompt and answer together.
        cache_type: What the cache keeps keys and values as: `"f32"`, `"bf16"` or `"q8_0"`.
        cache_bytes_per_token: Bytes that it takes for each token.
        memory: An estimate of the memory in bytes, by what it is for; `memory["peak"]` is the most at once.
    """

    images: tuple[ImagePlan, ...]
    prompt_tokens: int
    image_tokens: int
    max_new_tokens: int
    context: int
    cache_type: str
    cache_bytes_per_token: int
    memory: dict[str, Any]

    @property
    def fits(self) -> bool:
        """Whether the prompt fits the context."""
        return self.prompt_tokens <= self.context

    @staticmethod
    def _from_json(text: str) -> Plan:
        import json

        raw: dict[str, Any] = json.loads(text)
        raw["images"] = tuple(ImagePlan(**image) for image in raw["images"])
        return Plan(**raw)


def _plain(box: Box) -> dict[str, Any]:
    plain = asdict(box)
    del plain["label"]
    return {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}


def _logprobs(token: TokenLogprobs) -> dict[str, Any]:
    return {"logprob": token.logprob, "top": [{"id": id_, "logprob": logprob} for id_, logprob in token.top]}
