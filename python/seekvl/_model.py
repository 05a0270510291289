"""Models."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from seekvl import _core, _messages
from seekvl._config import CallOptions, GenerationConfig, ImageConfig, check_count, core_options, resolve
from seekvl._images import Images
from seekvl._messages import Messages, Request
from seekvl._names import NANO, dtype_name, model_name
from seekvl._parts import Parts
from seekvl._progress import Progress, reporter
from seekvl._results import Answer, Plan

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from seekvl._aio import AsyncModel
    from seekvl._raw import Dialogue
    from seekvl._stream import Pending, Stream


class Model(Parts):
    """A model: DeepSeek-VL2, DeepSeek-VL, or a language model of their family, which reads text alone.

    Its weights never change, and any number of threads may share it. They are mapped from their files, not read into
    memory; the files must stay as they are while the model is in use. Work is done without holding the interpreter,
    and Ctrl-C ends it within a token.

    What an answer leaves is kept for the next (`recall`): another question about the same pictures need not look at
    them again, and a conversation's next turn reads only what is new. Answers are the same, bit for bit, but for models
    with latent attention, whose numbers differ by roundings. Of answers that are made at the same time one has it;
    `forget` lets go of it.

    A model is pickled by reference: what comes out at the other end is loaded there, from the same place. Processes
    that are forked after seekvl was used get a `ForkError`; start them with the method "spawn", or load models in them.
    """

    def __init__(self, core: _core.Model, reference: dict[str, Any]) -> None:
        """Not to be called: use `Model.from_pretrained` or `seekvl.load`."""
        super().__init__(core)
        self._reference = reference

    @classmethod
    def from_pretrained(
        cls,
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
        """Loads a model.

        Args:
            model: `"nano"`, which is part of this package; the path of a GGUF file, or of a directory in the layout of
                the Hugging Face hub (one called nano as `"./nano"`); or an id on the hub, `"owner/name"` or
                `"owner/name@revision"`, which is downloaded once into the standard cache.
            dtype: The type that weights are kept in: `"auto"` (as they are stored), `"float32"` or `"bfloat16"`.
            device: `"cpu"`; `"cuda"` and `"metal"` only in builds that have them.
            quantization: `"q8_0"`, `"q4_0"` or `"q4_k_m"` rounds matrices to 8 or 4 bits while they are loaded, on a
                CPU; `None` keeps them as `dtype` says.
            expert_budget: Leave the experts of a mixture in their files, but for so many bytes of those that were used
                last: for models that are larger than memory. Answers are the same, as soon as the disk has them.
            context_window: Let every token attend to the last so many only, so that prompt and answer may together be
                longer than the model's context. What is further back is forgotten.
            cache_dtype: What keys and values of the tokens so far are kept as, on a CPU: `"float32"`, `"bfloat16"`
                (half the memory) or `"q8_0"` (8 bits and scales, about half of that again, a little less exact, and
                not faster). `"auto"` is `"float32"` beside weights of that type, else `"bfloat16"`.
            revision: A branch, tag or commit on the hub.
            local_files_only: Take only files that are on this machine.
            recall: Keep for the next call: pictures as the language model is given them, at most 256 MiB of them, and
                the cache of the last conversation.
            progress: Show downloads, and the reading of weights where it takes long, on standard error where somebody
                may read it; or a function that is called with a file's name (`"weights"` while they are read), its
                bytes, and how many of them are there.

        Raises:
            ModelNotFoundError: There is no such model.
            DownloadError: It cannot be fetched.
            CheckpointError: Its files are not what they should be.
            OptionError: A value that is none of the above.
        """
        name = model_name(model)
        if name != NANO and Path(name).exists():
            # Stays the same in processes that run elsewhere.
            name = str(Path(name).absolute())
        check_count("expert_budget", expert_budget)
        check_count("context_window", context_window)
        reference: dict[str, Any] = {
            "model": name,
            "dtype": dtype_name(dtype),
            "device": str(device),
            "quantization": quantization,
            "expert_budget": expert_budget,
            "context_window": context_window,
            "cache_dtype": dtype_name(cache_dtype),
            "revision": revision,
            "local_files_only": local_files_only,
            "recall": recall,
        }
        return cls(_core.load(**reference, progress=reporter(progress)), reference)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._reference,)

    def __repr__(self) -> str:
        options = "".join(f", {key}={value!r}" for key, value in self._reference.items() if key in ("dtype", "device"))
        return f"Model({self._reference['model']!r}{options})"

    @property
    def name(self) -> str:
        """The id or the path that it was loaded by."""
        return str(self._reference["model"])

    @property
    def aio(self) -> AsyncModel:
        """The same model with methods to be awaited."""
        from seekvl._aio import AsyncModel

        return AsyncModel(self)

    # Each call that answers has a form that streams, told by the type of `stream`.

    @overload
    def ask(
        self,
        image: Images,
        question: str,
        *,
        system: str | None = ...,
        stream: Literal[False] = ...,
        **options: Unpack[CallOptions],
    ) -> Answer: ...
    @overload
    def ask(
        self,
        image: Images,
        question: str,
        *,
        system: str | None = ...,
        stream: Literal[True],
        **options: Unpack[CallOptions],
    ) -> Stream: ...
    def ask(
        self,
        image: Images,
        question: str,
        *,
        system: str | None = None,
        stream: bool = False,
        **options: Unpack[CallOptions],
    ) -> Answer | Stream:
        """Answers a question about an image, several images or none.

        Args:
            image: A path, bytes, an open file, a PIL image, an array or a tensor; a list of them; or `None`.
            question: The question. It may say `<image>` where each image belongs; else they stand before it.
            system: What the model is told first.
            stream: Return an iterator over the text instead of the answer.
            options: `config`, `image_config`, and any option of `GenerationConfig`.

        Raises:
            ImageError: An image cannot be read.
            ConversationError: Another number of `<image>` than of images.
            PromptTooLongError: The prompt does not fit the model's context.
            OptionError: An option has a value that it cannot have.
        """
        config, images = resolve(options)
        return self._answer(_messages.question(question, image, system, images), config, images, stream)

    @overload
    def ocr(self, image: Images, *, stream: Literal[False] = ..., **options: Unpack[CallOptions]) -> Answer: ...
    @overload
    def ocr(self, image: Images, *, stream: Literal[True], **options: Unpack[CallOptions]) -> Stream: ...
    def ocr(self, image: Images, *, stream: bool = False, **options: Unpack[CallOptions]) -> Answer | Stream:
        """Reads the text in an image. As `ask`, with the question that the model was trained with.

        Of a list the model sees all images at once, which it was not trained for; `batch` reads them one by one:
        `model.batch([(page, seekvl.OCR_PROMPT) for page in pages])`.
        """
        config, images = resolve(options)
        return self._answer(_messages.question(_core.OCR_PROMPT, image, None, images), config, images, stream)

    @overload
    def ground(
        self, image: Images, description: str, *, stream: Literal[False] = ..., **options: Unpack[CallOptions]
    ) -> Answer: ...
    @overload
    def ground(
        self, image: Images, description: str, *, stream: Literal[True], **options: Unpack[CallOptions]
    ) -> Stream: ...
    def ground(
        self, image: Images, description: str, *, stream: bool = False, **options: Unpack[CallOptions]
    ) -> Answer | Stream:
        """Finds a described thing in an image: `answer.boxes` has where. As `ask`, with `logprobs=0` if not given.

        Log-probabilities give the boxes their confidence.
        """
        config, images = resolve(options, logprobs=0)
        prompt = _core.ground_prompt(description)
        return self._answer(_messages.question(prompt, image, None, images), config, images, stream)

    @overload
    def generate(
        self,
        prompt: str,
        images: Images = ...,
        *,
        system: str | None = ...,
        stream: Literal[False] = ...,
        **options: Unpack[CallOptions],
    ) -> Answer: ...
    @overload
    def generate(
        self,
        prompt: str,
        images: Images = ...,
        *,
        system: str | None = ...,
        stream: Literal[True],
        **options: Unpack[CallOptions],
    ) -> Stream: ...
    def generate(
        self,
        prompt: str,
        images: Images = None,
        *,
        system: str | None = None,
        stream: bool = False,
        **options: Unpack[CallOptions],
    ) -> Answer | Stream:
        """Answers a prompt in DeepSeek-VL2's own form: text with `<image>` for each of a list of images.

        Nothing is added to the text. For the rest see `ask`.
        """
        config, image_config = resolve(options)
        dialogue = _messages.written_out(prompt, images, system, image_config)
        return self._answer(dialogue, config, image_config, stream)

    @overload
    def chat(self, messages: Messages, *, stream: Literal[False] = ..., **options: Unpack[CallOptions]) -> Answer: ...
    @overload
    def chat(self, messages: Messages, *, stream: Literal[True], **options: Unpack[CallOptions]) -> Stream: ...
    def chat(self, messages: Messages, *, stream: bool = False, **options: Unpack[CallOptions]) -> Answer | Stream:
        """Answers a conversation.

        Messages are dictionaries with `role` and `content`. The content is text, with `<image>` for each of the
        message's `images`, or a list of parts as OpenAI has them: `{"type": "text", "text": ...}` and
        `{"type": "image_url", "image_url": {"url": ...}}` with a path, or a `data:` or `file:` address. A part
        `{"type": "image", "image": ...}` takes any image that `ask` takes. Parts stand on lines of their own.

        The conversation ends with a user's message, or with the beginning of an answer, which the model continues.
        `answer.to_message()` is the message to go on with. For the rest see `ask`.
        """
        config, images = resolve(options)
        return self._answer(_messages.conversation(messages, images), config, images, stream)

    @overload
    def complete(self, text: str, *, stream: Literal[False] = ..., **options: Unpack[CallOptions]) -> Answer: ...
    @overload
    def complete(self, text: str, *, stream: Literal[True], **options: Unpack[CallOptions]) -> Stream: ...
    def complete(self, text: str, *, stream: bool = False, **options: Unpack[CallOptions]) -> Answer | Stream:
        """Goes on with a text as it stands, without a chat template. For the rest see `ask`."""
        config, images = resolve(options)
        return _answered(self._start_text(text, None, config, images, stream), stream)

    @overload
    def infill(
        self, prefix: str, suffix: str, *, stream: Literal[False] = ..., **options: Unpack[CallOptions]
    ) -> Answer: ...
    @overload
    def infill(self, prefix: str, suffix: str, *, stream: Literal[True], **options: Unpack[CallOptions]) -> Stream: ...
    def infill(
        self, prefix: str, suffix: str, *, stream: bool = False, **options: Unpack[CallOptions]
    ) -> Answer | Stream:
        """Writes what belongs between two pieces of code, with a model trained to (DeepSeek-Coder-V2).

        Raises:
            OptionError: The model is not one of these.
        """
        config, images = resolve(options)
        return _answered(self._start_text(prefix, suffix, config, images, stream), stream)

    def batch(self, requests: Iterable[Request], **options: Unpack[CallOptions]) -> list[Answer]:
        """Answers several requests together, which takes less time than one after the other and changes no answer.

        Args:
            requests: Conversations as `chat` takes them, or pairs of image and question as `ask` does.
            options: As for `ask`; they hold for all.

        Raises:
            Error: As `ask`, whichever request it is. `seekvl.batch.Predictor` gives each its own error instead.
        """
        config, images = resolve(options)
        dialogues = [_messages.request(request, images) for request in requests]
        generation = self._core.start_batch(dialogues, core_options(config, images))
        return [
            Answer._from_raw(raw, _last_image(dialogue))
            for raw, dialogue in zip(generation.result(), dialogues, strict=True)
        ]

    def plan(self, image: Images, question: str = "", **options: Unpack[CallOptions]) -> Plan:
        """What an answer will take: tiles, tokens and memory. Of image files only the headers are read.

        Raises:
            ImageError: An image's header cannot be read.
        """
        config, images = resolve(options)
        dialogue = _messages.question(question, image, None, images)
        return Plan._from_json(self._core.plan(dialogue, core_options(config, images)))

    def forget(self) -> None:
        """Lets go of what is kept for the next answer."""
        self._core.forget()

    def _start(self, dialogue: Dialogue, config: GenerationConfig, images: ImageConfig, streamed: bool) -> Pending:
        generation = self._core.start(dialogue, core_options(config, images), streamed)
        # What follows is done while the model works.
        from seekvl._stream import Pending

        return Pending(generation, _last_image(dialogue))

    def _start_text(
        self, text: str, suffix: str | None, config: GenerationConfig, images: ImageConfig, streamed: bool
    ) -> Pending:
        generation = self._core.start_text(text, suffix, core_options(config, images), streamed)
        from seekvl._stream import Pending

        return Pending(generation, None)

    def _answer(
        self, dialogue: Dialogue, config: GenerationConfig, images: ImageConfig, stream: bool
    ) -> Answer | Stream:
        return _answered(self._start(dialogue, config, images, stream), stream)


def _answered(pending: Pending, stream: bool) -> Answer | Stream:
    if not stream:
        return pending.result()
    from seekvl._stream import Stream

    return Stream(pending)


def _last_image(dialogue: Dialogue) -> _core.Image | None:
    return next((images[-1] for _, _, images in reversed(dialogue[1]) if images), None)


def _restore(reference: Mapping[str, Any]) -> Model:
    return Model.from_pretrained(**reference)
