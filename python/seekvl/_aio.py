"""Models whose methods are awaited. The work is done on other threads, and the event loop goes on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, overload

from seekvl import _core, _messages
from seekvl._config import CallOptions, GenerationConfig, ImageConfig, resolve
from seekvl._images import ImageLike, Images
from seekvl._messages import Messages, Request
from seekvl._model import Model
from seekvl._names import NANO
from seekvl._progress import Progress
from seekvl._results import Answer, Plan
from seekvl._stream import AsyncStream, Pending, wait

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from typing_extensions import Unpack

    from seekvl._raw import Dialogue


class AsyncModel:
    """A model with the methods of `Model`, to be awaited.

    With `stream=True` they give an `AsyncStream`:

        async for piece in await model.aio.ask("sign.png", "What does it say?", stream=True):
            print(piece, end="")

    What takes no time, such as `encode`, is not here but in `model`. A task that is cancelled while it waits ends the
    work before its next token.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def model(self) -> Model:
        """The same model with methods that wait."""
        return self._model

    @classmethod
    async def from_pretrained(
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
    ) -> AsyncModel:
        """See `Model.from_pretrained`."""
        loaded = await asyncio.to_thread(
            Model.from_pretrained,
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
        return cls(loaded)

    def __repr__(self) -> str:
        return f"{self._model!r}.aio"

    @overload
    async def ask(
        self,
        image: Images,
        question: str,
        *,
        system: str | None = ...,
        stream: Literal[False] = ...,
        **options: Unpack[CallOptions],
    ) -> Answer: ...
    @overload
    async def ask(
        self,
        image: Images,
        question: str,
        *,
        system: str | None = ...,
        stream: Literal[True],
        **options: Unpack[CallOptions],
    ) -> AsyncStream: ...
    async def ask(
        self,
        image: Images,
        question: str,
        *,
        system: str | None = None,
        stream: bool = False,
        **options: Unpack[CallOptions],
    ) -> Answer | AsyncStream:
        """See `Model.ask`."""
        config, images = resolve(options)
        return await self._answer(lambda: _messages.question(question, image, system, images), config, images, stream)

    @overload
    async def ocr(self, image: Images, *, stream: Literal[False] = ..., **options: Unpack[CallOptions]) -> Answer: ...
    @overload
    async def ocr(self, image: Images, *, stream: Literal[True], **options: Unpack[CallOptions]) -> AsyncStream: ...
    async def ocr(self, image: Images, *, stream: bool = False, **options: Unpack[CallOptions]) -> Answer | AsyncStream:
        """See `Model.ocr`."""
        config, images = resolve(options)
        prompt = _core.OCR_PROMPT
        return await self._answer(lambda: _messages.question(prompt, image, None, images), config, images, stream)

    @overload
    async def ground(
        self, image: Images, description: str, *, stream: Literal[False] = ..., **options: Unpack[CallOptions]
    ) -> Answer: ...
    @overload
    async def ground(
        self, image: Images, description: str, *, stream: Literal[True], **options: Unpack[CallOptions]
    ) -> AsyncStream: ...
    async def ground(
        self, image: Images, description: str, *, stream: bool = False, **options: Unpack[CallOptions]
    ) -> Answer | AsyncStream:
        """See `Model.ground`."""
        config, images = resolve(options, logprobs=0)
        prompt = _core.ground_prompt(description)
        return await self._answer(lambda: _messages.question(prompt, image, None, images), config, images, stream)

    @overload
    async def generate(
        self,
        prompt: str,
        images: Images = ...,
        *,
        system: str | None = ...,
        stream: Literal[False] = ...,
        **options: Unpack[CallOptions],
    ) -> Answer: ...
    @overload
    async def generate(
        self,
        prompt: str,
        images: Images = ...,
        *,
        system: str | None = ...,
        stream: Literal[True],
        **options: Unpack[CallOptions],
    ) -> AsyncStream: ...
    async def generate(
        self,
        prompt: str,
        images: Images = None,
        *,
        system: str | None = None,
        stream: bool = False,
        **options: Unpack[CallOptions],
    ) -> Answer | AsyncStream:
        """See `Model.generate`."""
        config, image_config = resolve(options)
        dialogue = lambda: _messages.written_out(prompt, images, system, image_config)  # noqa: E731
        return await self._answer(dialogue, config, image_config, stream)

    @overload
    async def chat(
        self, messages: Messages, *, stream: Literal[False] = ..., **options: Unpack[CallOptions]
    ) -> Answer: ...
    @overload
    async def chat(
        self, messages: Messages, *, stream: Literal[True], **options: Unpack[CallOptions]
    ) -> AsyncStream: ...
    async def chat(
        self, messages: Messages, *, stream: bool = False, **options: Unpack[CallOptions]
    ) -> Answer | AsyncStream:
        """See `Model.chat`."""
        config, images = resolve(options)
        return await self._answer(lambda: _messages.conversation(messages, images), config, images, stream)

    @overload
    async def complete(self, text: str, *, stream: Literal[False] = ..., **options: Unpack[CallOptions]) -> Answer: ...
    @overload
    async def complete(self, text: str, *, stream: Literal[True], **options: Unpack[CallOptions]) -> AsyncStream: ...
    async def complete(
        self, text: str, *, stream: bool = False, **options: Unpack[CallOptions]
    ) -> Answer | AsyncStream:
        """See `Model.complete`."""
        config, images = resolve(options)
        return await _answered(lambda: self._model._start_text(text, None, config, images, stream), stream)

    @overload
    async def infill(
        self, prefix: str, suffix: str, *, stream: Literal[False] = ..., **options: Unpack[CallOptions]
    ) -> Answer: ...
    @overload
    async def infill(
        self, prefix: str, suffix: str, *, stream: Literal[True], **options: Unpack[CallOptions]
    ) -> AsyncStream: ...
    async def infill(
        self, prefix: str, suffix: str, *, stream: bool = False, **options: Unpack[CallOptions]
    ) -> Answer | AsyncStream:
        """See `Model.infill`."""
        config, images = resolve(options)
        return await _answered(lambda: self._model._start_text(prefix, suffix, config, images, stream), stream)

    async def batch(self, requests: Iterable[Request], **options: Unpack[CallOptions]) -> list[Answer]:
        """See `Model.batch`. It goes on in the background when the task is cancelled."""
        return await asyncio.to_thread(lambda: self._model.batch(requests, **options))

    async def plan(self, image: Images, question: str = "", **options: Unpack[CallOptions]) -> Plan:
        """See `Model.plan`."""
        return await asyncio.to_thread(lambda: self._model.plan(image, question, **options))

    async def vision_features(
        self, image: ImageLike, *, image_config: ImageConfig | None = None
    ) -> npt.NDArray[np.float32]:
        """See `Model.vision_features`. It goes on in the background when the task is cancelled."""
        return await asyncio.to_thread(lambda: self._model.vision_features(image, image_config=image_config))

    async def visual_tokens(
        self, image: ImageLike, *, image_config: ImageConfig | None = None
    ) -> npt.NDArray[np.float32]:
        """See `Model.visual_tokens`. It goes on in the background when the task is cancelled."""
        return await asyncio.to_thread(lambda: self._model.visual_tokens(image, image_config=image_config))

    async def logits(
        self, messages: Messages, *, every_position: bool = False, image_config: ImageConfig | None = None
    ) -> npt.NDArray[np.float32]:
        """See `Model.logits`. It goes on in the background when the task is cancelled."""
        return await asyncio.to_thread(
            lambda: self._model.logits(messages, every_position=every_position, image_config=image_config)
        )

    async def _answer(
        self, dialogue: Callable[[], Dialogue], config: GenerationConfig, images: ImageConfig, stream: bool
    ) -> Answer | AsyncStream:
        # Copying pixels takes time, too.
        return await _answered(lambda: self._model._start(dialogue(), config, images, stream), stream)


async def _answered(start: Callable[[], Pending], stream: bool) -> Answer | AsyncStream:
    pending = await asyncio.to_thread(start)
    return AsyncStream(pending) if stream else await wait(pending)
