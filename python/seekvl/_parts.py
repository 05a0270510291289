"""What is inside a model, for those who build on its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from seekvl import _core, _messages
from seekvl._config import ImageConfig, core_options, resolve
from seekvl._images import ImageLike, as_image
from seekvl._messages import Messages
from seekvl._numpy import from_core

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Parts:
    """The parts of a `Model`: its tokenizer, its towers, its logits."""

    def __init__(self, core: _core.Model) -> None:
        self._core = core

    def info(self) -> dict[str, Any]:
        """What the model is made of: its towers' shapes, its parameters, and what its files hold."""
        import json

        info: dict[str, Any] = json.loads(self._core.info())
        return info

    def encode(self, text: str) -> list[int]:
        """The ids of a text; special tokens that are spelled out become theirs. None are added."""
        return self._core.encode(text)

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """The text of ids. Those that are no token are left out."""
        return self._core.decode(list(ids), skip_special_tokens)

    def vision_features(self, image: ImageLike, *, image_config: ImageConfig | None = None) -> npt.NDArray[np.float32]:
        """What the vision tower makes of an image.

        Returns:
            `[views, patches, width]`, float32: the global view first, then the tiles row by row.

        Raises:
            ImageError: The image cannot be read.
            ImportError: There is no numpy.
        """
        config, options = _reading(image_config)
        return from_core(self._core.vision_features(as_image(image, config), options))

    def visual_tokens(self, image: ImageLike, *, image_config: ImageConfig | None = None) -> npt.NDArray[np.float32]:
        """The rows that stand for an image in the language model's sequence.

        Returns:
            `[image tokens, hidden]`, float32, with the rows that separate lines and views.

        Raises:
            ImageError: The image cannot be read.
            ImportError: There is no numpy.
        """
        config, options = _reading(image_config)
        return from_core(self._core.visual_tokens(as_image(image, config), options))

    def logits(
        self, messages: Messages, *, every_position: bool = False, image_config: ImageConfig | None = None
    ) -> npt.NDArray[np.float32]:
        """The logits that follow a conversation's prompt.

        Args:
            messages: As `chat` takes them.
            every_position: Of the token after each position of the prompt, and not only of the next token.
            image_config: How images are read.

        Returns:
            `[vocabulary]`, or `[prompt tokens, vocabulary]`, float32.

        Raises:
            Error: As `chat`.
            ImportError: There is no numpy.
        """
        config, options = _reading(image_config)
        dialogue = _messages.conversation(messages, config)
        array = from_core(self._core.logits(dialogue, options, every_position))
        return array if every_position else array[0]


def _reading(image_config: ImageConfig | None) -> tuple[ImageConfig, _core.Options]:
    """How images are read, also in the form that the Rust side takes."""
    config, images = resolve({"image_config": image_config})
    return images, core_options(config, images)
