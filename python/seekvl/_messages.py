"""Messages, in OpenAI's form and in that of DeepSeek-VL2 and DeepSeek-VL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

from seekvl._config import ImageConfig
from seekvl._core import Image
from seekvl._images import ImageLike, Images, as_image, as_images
from seekvl._raw import Dialogue, Turn
from seekvl.errors import ConversationError

IMAGE_PLACEHOLDER = "<image>"

# {"role": "user", "content": ...} with text or a list of parts, and with "images" where the text has placeholders.
Message: TypeAlias = Mapping[str, Any]
Messages: TypeAlias = Sequence[Message]
# A conversation, or image or images and a question.
Request: TypeAlias = Messages | tuple[Images, str]

_SYSTEM = ("system", "developer", "deepseekapi-sys")
_ANSWERS = {
    "user": False,
    "<|User|>": False,
    "User": False,
    "assistant": True,
    "<|Assistant|>": True,
    "Assistant": True,
}


def question(text: str, images: Images, system: str | None, config: ImageConfig) -> Dialogue:
    """A question about images, which stand before it, one a line, unless it has placeholders of its own."""
    _check_text("question", text)
    opened = as_images(images, config)
    if IMAGE_PLACEHOLDER not in text:
        text = f"{IMAGE_PLACEHOLDER}\n" * len(opened) + text
    return system, [(False, text, opened)]


def written_out(prompt: str, images: Images, system: str | None, config: ImageConfig) -> Dialogue:
    """A user's message that has a placeholder for each image."""
    _check_text("prompt", prompt)
    return system, [(False, prompt, as_images(images, config))]


def request(request: Request, config: ImageConfig) -> Dialogue:
    """One element of a batch."""
    if isinstance(request, tuple) and len(request) == 2 and isinstance(request[1], str):
        pair: Any = request
        return question(pair[1], pair[0], None, config)
    return conversation(cast("Messages", request), config)


def conversation(messages: Messages, config: ImageConfig) -> Dialogue:
    """Messages as the Rust side takes them."""
    if isinstance(messages, (str, Mapping)):
        raise TypeError("messages are a list of dictionaries with the keys 'role' and 'content'")
    system: str | None = None
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise TypeError(f"message {index} is a {type(message).__name__}; messages are dictionaries")
        role = message.get("role")
        text, images = _content(message, index, config)
        if role in _SYSTEM:
            if index > 0:
                raise ConversationError(f"message {index} is a system message; only the first can be")
            if images:
                raise ConversationError("the system message cannot hold an image")
            system = text
        elif role in _ANSWERS:
            turns.append((_ANSWERS[role], text, images))
        else:
            known = "'user', 'assistant' and, for the first, 'system'"
            raise ConversationError(f"message {index} has the role {role!r}; roles are {known}")
    return system, turns


def _check_text(name: str, text: object) -> None:
    if not isinstance(text, str):
        raise TypeError(f"the {name} is a {type(text).__name__}; it must be text")


def _content(message: Message, index: int, config: ImageConfig) -> tuple[str, list[Image]]:
    content: object = message.get("content")
    given = as_images(message.get("images"), config)
    if content is None or isinstance(content, str):
        return content or "", given
    if not isinstance(content, Sequence):
        raise ConversationError(f"the content of message {index} is neither text nor a list of parts")
    texts: list[str] = []
    images: list[Image] = []
    waiting = iter(given)
    for number, part in enumerate(cast("Sequence[object]", content)):
        place = f"part {number} of message {index}"
        if isinstance(part, str):
            texts.append(part)
        elif not isinstance(part, Mapping):
            raise ConversationError(f"{place} is neither text nor a dictionary")
        elif part.get("type") in ("text", "input_text"):
            texts.append(_text(cast("Message", part), place))
        else:
            texts.append(IMAGE_PLACEHOLDER)
            images.append(_image(cast("Message", part), place, waiting, config))
    if next(waiting, None) is not None:
        raise ConversationError(f"message {index} has more images than image parts")
    return "\n".join(texts), images


def _text(part: Message, place: str) -> str:
    text: object = part.get("text")
    if not isinstance(text, str):
        raise ConversationError(f"{place} has no text")
    return text


def _image(part: Message, place: str, waiting: Iterator[Image], config: ImageConfig) -> Image:
    """The image of a part: OpenAI's `image_url`, or `image` with a source or, without one, the next of `images`."""
    kind: object = part.get("type")
    if kind not in ("image_url", "image", "input_image"):
        raise ConversationError(f"{place} is of type {kind!r}; types are 'text', 'image_url' and 'image'")
    source: object = next((part[key] for key in ("image_url", "image", "url", "path") if key in part), None)
    if isinstance(source, Mapping):
        source = cast("Message", source).get("url")
    if source is not None:
        return as_image(cast("ImageLike", source), config)
    image = next(waiting, None)
    if image is None:
        raise ConversationError(f"{place} has no image")
    return image
