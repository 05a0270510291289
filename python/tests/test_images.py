from __future__ import annotations

import base64
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
from conftest import PICTURES

import seekvl
from seekvl.errors import ImageError


def pixels(image: seekvl.ImageLike) -> npt.NDArray[np.uint8]:
    opened = seekvl.open_image(image)
    array: npt.NDArray[np.uint8] = np.asarray(opened)
    assert array.shape == (opened.height, opened.width, 3)
    assert array.tobytes() == opened.tobytes()
    return array


@pytest.fixture
def array() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(7).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def test_all_forms_of_a_file_are_the_same(picture: Path) -> None:
    content = picture.read_bytes()
    expected = pixels(picture)
    uri = "data:image/png;base64," + base64.b64encode(content).decode()
    for form in (str(picture), content, bytearray(content), memoryview(content), io.BytesIO(content), uri):
        np.testing.assert_array_equal(pixels(form), expected)
    with picture.open("rb") as file:
        np.testing.assert_array_equal(pixels(file), expected)
    np.testing.assert_array_equal(pixels(picture.as_uri()), expected)
    with PIL.Image.open(picture) as image:
        np.testing.assert_array_equal(pixels(image), np.asarray(image.convert("RGB")))


def test_all_forms_of_pixels_are_the_same(array: npt.NDArray[np.uint8]) -> None:
    transparent = np.dstack([array, np.full(array.shape[:2], 255, np.uint8)])
    wide = np.repeat(array, 2, axis=1)[:, ::2]
    for form in (array, PIL.Image.fromarray(array), transparent, wide, np.asfortranarray(array), array[::-1][::-1]):
        np.testing.assert_array_equal(pixels(form), array)
    grey = array[:, :, 0]
    for form in (grey, grey[:, :, None], PIL.Image.fromarray(grey)):
        np.testing.assert_array_equal(pixels(form), np.dstack([grey] * 3))


def test_transparency_is_over_white(array: npt.NDArray[np.uint8]) -> None:
    clear = np.dstack([array, np.zeros(array.shape[:2], np.uint8)])
    assert (pixels(clear) == 255).all()
    assert (pixels(PIL.Image.fromarray(clear)) == 255).all()
    half = PIL.Image.new("LA", (2, 2), (0, 128))
    assert set(pixels(half).flatten().tolist()) == {127}


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "HSV"])
def test_other_modes_of_pil_become_rgb(mode: str, array: npt.NDArray[np.uint8]) -> None:
    image = PIL.Image.fromarray(array).convert("L" if mode == "1" else "RGB").convert(mode)
    np.testing.assert_array_equal(pixels(image), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("kind", ["<u2", ">u2"])
def test_grey_of_16_bits_is_scaled(kind: str, tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    image = PIL.Image.frombytes("I;16" if kind == "<u2" else "I;16B", (16, 16), values.astype(kind).tobytes())
    np.testing.assert_array_equal(pixels(image), np.dstack([np.arange(256, dtype=np.uint8).reshape(16, 16)] * 3))
    PIL.Image.frombytes("I;16", (16, 16), values.tobytes()).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(pixels(image), pixels(tmp_path / "grey.png"))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_modes_without_a_white_are_refused(mode: str, array: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match=f"mode '{mode}' does not say which value is white"):
        pixels(PIL.Image.fromarray(array).convert("L").convert(mode))


class Tensor:
    """What a torch tensor on a CPU is to seekvl."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self.array = array

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> npt.NDArray[Any]:
        return self.array

    def dim(self) -> int:
        return self.array.ndim

    def __array__(self) -> npt.NDArray[Any]:
        raise AssertionError("a tensor on a GPU could not")


def test_tensors_have_their_channels_first_or_last(array: npt.NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(pixels(Tensor(array)), array)
    np.testing.assert_array_equal(pixels(Tensor(array.transpose(2, 0, 1))), array)


def test_torch_tensors(array: npt.NDArray[np.uint8]) -> None:
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(pixels(torch.from_numpy(array)), array)
    np.testing.assert_array_equal(pixels(torch.from_numpy(array).permute(2, 0, 1)), array)


class Capsule:
    """An array of a library that speaks DLPack only."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> object:  # noqa: ANN401
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()


def test_dlpack(array: npt.NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(pixels(Capsule(array)), array)  # type: ignore[arg-type]


def test_the_same_picture_gives_the_same_answer(tiny: seekvl.Model, picture: Path) -> None:
    expected = tiny.ask(picture, "Why?", max_new_tokens=8)
    opened = seekvl.open_image(picture)
    for form in (picture.read_bytes(), opened, np.asarray(opened), PIL.Image.fromarray(np.asarray(opened))):
        assert tiny.ask(form, "Why?", max_new_tokens=8) == expected


def test_files_are_read_as_seen_or_as_stored() -> None:
    path = PICTURES / "exif6.jpg"
    stored = seekvl.open_image(path, seekvl.ImageConfig(as_stored=True))
    assert stored.size == seekvl.open_image(path).size[::-1]
    with PIL.Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(stored), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"not an image", "not a PNG"),
        (b"", "not a PNG"),
        ("data:image/png;base64,?", "base64"),
        ("data:image/png", "comma"),
        ("https://example.com/a.png", "not fetched"),
        ("no/such/file.png", "file.png"),
        (np.zeros((2, 2, 3), np.float32), "float32"),
        (np.zeros((2, 2, 2), np.uint8), r"\[2, 2, 2\]"),
        (np.zeros((0, 2, 3), np.uint8), "no pixels"),
        (np.zeros(4, np.uint8), r"\[4\]"),
    ],
)
def test_what_is_no_image_is_an_error_that_says_why(source: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(ImageError, match=message):
        seekvl.open_image(source)


def test_other_objects_are_type_errors() -> None:
    with pytest.raises(TypeError, match="a dict is no image"):
        seekvl.open_image({})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="an int is no image"):
        seekvl.open_image(3)  # type: ignore[arg-type]


def test_limits_hold() -> None:
    for config in (seekvl.ImageConfig(max_pixels=10), seekvl.ImageConfig(max_file_bytes=10)):
        with pytest.raises(ImageError, match="limit of 10"):
            seekvl.open_image(PICTURES / "page.png", config)


def test_images_are_saved_and_shown(array: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    image = seekvl.open_image(array)
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), array)
    np.testing.assert_array_equal(pixels(image.to_png()), array)
    assert image._repr_png_() == image.to_png()
    assert repr(image) == "Image(7x5)"
    with pytest.raises(ImageError, match=r"\.txt"):
        image.save(tmp_path / "a.txt")
    with pytest.raises(ImageError):
        image.save(tmp_path / "none" / "a.png")


def test_images_can_be_pickled(array: npt.NDArray[np.uint8], picture: Path) -> None:
    by_path = seekvl.Image.from_path(picture, max_pixels=10**9)
    assert len(pickle.dumps(by_path)) < 500
    for image in (seekvl.open_image(array), by_path, seekvl.Image.from_bytes(picture.read_bytes(), as_stored=True)):
        copy = pickle.loads(pickle.dumps(image))
        assert copy.tobytes() == image.tobytes()
        assert copy.__reduce__()[1] == image.__reduce__()[1]
