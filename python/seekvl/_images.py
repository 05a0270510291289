"""Pictures, in all the forms that callers have them in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Union, cast

from seekvl._config import ImageConfig
from seekvl._core import Image
from seekvl.errors import ImageError

if TYPE_CHECKING:
    import numpy.typing as npt
    import PIL.Image


class BinaryFile(Protocol):
    """Something open for reading bytes."""

    def read(self) -> bytes:
        """All that is left of it."""
        ...


class ArrayLike(Protocol):
    """What numpy takes for an array: numpy's own, a torch tensor, and others."""

    def __array__(self) -> npt.NDArray[Any]:
        """As a numpy array."""
        ...


# A string is a path, a file:// address or a data: address. An array is of 8 bits, [height, width, 3] (RGB),
# [height, width, 4] (RGBA), [height, width, 1] or [height, width] (grey); a tensor may be [channels, height, width].
ImageLike: TypeAlias = Union[
    str, "os.PathLike[str]", bytes, bytearray, memoryview, BinaryFile, "PIL.Image.Image", ArrayLike, Image
]
Images: TypeAlias = ImageLike | Sequence[ImageLike] | None


def open_image(source: ImageLike, config: ImageConfig | None = None) -> Image:
    """Reads and decodes a picture, once for any number of questions about it.

    Args:
        source: A path, the content of an image file, an open file, a PIL image, an array or a tensor.
        config: How it is read.

    Raises:
        ImageError: It cannot be read or decoded, or is too large.
        TypeError: It is none of these.
    """
    return as_image(source, config or ImageConfig()).load()


def as_images(images: Images, config: ImageConfig) -> list[Image]:
    """None, one or several pictures, as a list."""
    if images is None:
        return []
    if isinstance(images, (list, tuple)):
        # Numbers would each be told that they are no image.
        if any(isinstance(image, (int, float)) for image in images):
            raise TypeError("a list of numbers is no image; give pixels as a numpy array")
        return [as_image(image, config) for image in cast("Sequence[ImageLike]", images)]
    return [as_image(cast("ImageLike", images), config)]


def as_image(source: ImageLike, config: ImageConfig) -> Image:
    """A picture as the Rust side takes it. Files are read later."""
    if isinstance(source, Image):
        return source
    if isinstance(source, str):
        return _from_string(source, config)
    if isinstance(source, os.PathLike):
        return _from_path(os.fspath(source), config)
    if isinstance(source, (bytes, bytearray)):
        return _from_bytes(source, config)
    if isinstance(source, memoryview):
        return _from_bytes(source.tobytes(), config)
    # PIL's images have a method `read` of no meaning in some versions, so they go first.
    if hasattr(source, "mode") and hasattr(source, "convert"):
        return _from_pil(cast("PIL.Image.Image", source))
    if hasattr(source, "__array__") or hasattr(source, "__dlpack__"):
        return _from_array(source)
    if hasattr(source, "read"):
        file: Any = source
        return _from_bytes(file.read(), config)
    raise TypeError(f"{_a(source)} is no image; give a path, bytes, a file, a PIL image or an array")


def _from_path(path: str, config: ImageConfig) -> Image:
    return Image.from_path(
        path, as_stored=config.as_stored, max_pixels=config.max_pixels, max_file_bytes=config.max_file_bytes
    )


def _from_bytes(data: bytes | bytearray, config: ImageConfig) -> Image:
    return Image.from_bytes(
        data, as_stored=config.as_stored, max_pixels=config.max_pixels, max_file_bytes=config.max_file_bytes
    )


def _from_string(source: str, config: ImageConfig) -> Image:
    scheme, _, rest = source[:8].partition(":")
    if scheme == "data" and rest:
        return _from_bytes(_data_uri(source), config)
    if source.startswith("file://"):
        from urllib.parse import urlsplit
        from urllib.request import url2pathname

        return _from_path(url2pathname(urlsplit(source).path), config)
    if source.startswith(("http://", "https://")):
        raise ImageError(f"{source[:80]} is not fetched; download it, and give the file or its bytes")
    return _from_path(source, config)


def _data_uri(uri: str) -> bytes:
    import base64
    import binascii
    from urllib.parse import unquote_to_bytes

    header, comma, content = uri.partition(",")
    if not comma:
        raise ImageError("a data: address without a comma before its content")
    if not header.endswith(";base64"):
        return unquote_to_bytes(content)
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise ImageError(f"the content of a data: address is not base64: {error}") from error


def _from_pil(image: PIL.Image.Image) -> Image:
    channels = {"L": 1, "RGB": 3, "RGBA": 4}
    if image.mode.startswith("I;16"):
        return _from_bytes(_png(image), ImageConfig())
    if image.mode in ("I", "F"):
        hint = "scale it to 0 to 255 and convert it to 'L'"
        raise ImageError(f"a PIL image of mode {image.mode!r} does not say which value is white; {hint}")
    if image.mode not in channels:
        has_alpha = image.mode in ("LA", "La", "PA", "RGBa") or "transparency" in image.info
        image = image.convert("RGBA" if has_alpha else "RGB")
    width, height = image.size
    return Image.from_pixels(image.tobytes(), width, height, channels[image.mode])


def _png(image: PIL.Image.Image) -> bytes:
    """A grey image of 16 bits as a file. PIL itself would cut its values off at 255 where it converts them."""
    import io

    import PIL.Image

    pixels = bytearray(image.tobytes())
    if image.mode == "I;16B":
        pixels[::2], pixels[1::2] = pixels[1::2], pixels[::2]
    content = io.BytesIO()
    PIL.Image.frombytes("I;16", image.size, bytes(pixels)).save(content, "PNG", compress_level=0)
    return content.getvalue()


def _from_array(source: object) -> Image:
    array = _host_array(source)
    shape, kind = tuple(array.shape), str(array.dtype)
    if kind != "uint8":
        raise ImageError(f"an array of {kind}; pixels must be uint8, from 0 to 255")
    is_tensor = hasattr(source, "dim")
    if is_tensor and len(shape) == 3 and shape[2] not in (1, 3, 4) and shape[0] in (1, 3, 4):
        array = array.transpose(1, 2, 0)
        shape = tuple(array.shape)
    if len(shape) == 2:
        shape = (*shape, 1)
    if len(shape) != 3 or shape[2] not in (1, 3, 4):
        raise ImageError(f"an array of shape {list(array.shape)}; pixels are [height, width, 1, 3 or 4]")
    height, width, channels = shape
    return Image.from_pixels(array.tobytes(), width, height, channels)


def _host_array(source: object) -> npt.NDArray[Any]:
    """A numpy array that shares the memory of `source` where that is the CPU's."""
    from seekvl._numpy import numpy

    if hasattr(source, "detach") and hasattr(source, "cpu"):
        tensor: Any = source
        return cast("npt.NDArray[Any]", tensor.detach().cpu().numpy())
    if hasattr(source, "__array__"):
        return cast("npt.NDArray[Any]", numpy().asarray(source))
    return cast("npt.NDArray[Any]", numpy().from_dlpack(source))


def _a(thing: object) -> str:
    name = type(thing).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"


def restore(kind: str, content: str | bytes, how: tuple[Any, ...]) -> Image:
    """The counterpart of `Image.__reduce__`."""
    if kind == "pixels":
        return Image.from_pixels(cast("bytes", content), *how)
    as_stored, max_pixels, max_file_bytes = how
    config = ImageConfig(as_stored=as_stored, max_pixels=max_pixels, max_file_bytes=max_file_bytes)
    return _from_bytes(content, config) if isinstance(content, bytes) else _from_path(os.fspath(content), config)
