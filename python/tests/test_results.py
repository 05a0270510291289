from __future__ import annotations

import dataclasses
import json
import math
import pickle
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest
from conftest import POINTING_PICTURE, POINTING_TOKENS

import seekvl
from seekvl.errors import ImageError


@pytest.fixture
def unseen(tiny: seekvl.Model) -> seekvl.Answer:
    """An answer about no image."""
    return tiny.ask(None, "Hello", max_new_tokens=4)


def test_boxes_are_read_from_the_answer(boxed: seekvl.Answer) -> None:
    assert boxed.tokens == tuple(POINTING_TOKENS)
    assert boxed.text == "See the cup!!"
    assert boxed.raw == "See <|ref|>the cup<|/ref|><|det|>[[100, 200, 300, 400]]<|/det|>!!"
    [region] = boxed.regions
    assert region.label == boxed.text[slice(*region.span)] == "the cup"
    [box] = boxed.boxes
    assert (box.label, box.relative, box.reading) == ("the cup", (100, 200, 300, 400), "as_written")
    assert boxed.image_size is not None
    width, height = boxed.image_size
    assert box.pixels == pytest.approx((width / 9.99, height / 4.995, width / 3.33, height / 2.4975), rel=1e-6)


def test_confidence_is_the_mean_probability_of_the_tokens_of_a_box(boxed: seekvl.Answer) -> None:
    assert boxed.logprobs is not None
    # From the token with the bracket that opens it to the one with that which closes it.
    tokens = [one.logprob for one in boxed.logprobs[2:7]]
    assert boxed.boxes[0].confidence == pytest.approx(math.exp(sum(tokens) / len(tokens)))


def test_there_is_no_confidence_without_logprobs(pointing: seekvl.Model) -> None:
    config = seekvl.ImageConfig(as_stored=True)
    question = "Describe this image in detail."
    answer = pointing.ask(POINTING_PICTURE, question, max_new_tokens=8, image_config=config)
    assert [box.confidence for box in answer.boxes] == [None]
    assert pointing.ground(POINTING_PICTURE, "it", max_new_tokens=2).logprobs is not None


def test_results_say_what_they_are(boxed: seekvl.Answer, unseen: seekvl.Answer) -> None:
    assert str(boxed) == boxed.text
    assert repr(boxed).startswith(
        "Answer('See the cup!!', finish_reason='length', tokens=8, boxes=[Box(label='the cup', p"
    )
    assert "boxes" not in repr(unseen)
    assert len(repr(dataclasses.replace(boxed, text="long " * 1000))) < 500


def test_results_are_values(boxed: seekvl.Answer) -> None:
    copy = pickle.loads(pickle.dumps(boxed))
    assert copy == boxed
    assert hash(copy.boxes[0]) == hash(boxed.boxes[0])
    assert copy.draw().tobytes() == boxed.draw().tobytes()
    with pytest.raises(AttributeError):
        boxed.text = "other"  # type: ignore[misc]


def test_json_has_everything(boxed: seekvl.Answer, unseen: seekvl.Answer) -> None:
    read = json.loads(boxed.to_json(indent=1))
    assert read == boxed.to_dict()
    fields = {field.name for field in dataclasses.fields(seekvl.Answer)}
    assert read.keys() == fields - {"image"}
    assert read["regions"][0]["span"] == {"start": 4, "end": 11}
    assert read["regions"][0]["boxes"][0]["relative"] == [100, 200, 300, 400]
    assert len(read["logprobs"][0]["top"]) == 2
    assert unseen.to_dict()["logprobs"] is None


def test_boxes_are_drawn(boxed: seekvl.Answer, unseen: seekvl.Answer) -> None:
    assert boxed.image is not None
    drawn, plain = np.asarray(boxed.draw(line_width=3)), np.asarray(boxed.image)
    assert drawn.shape == plain.shape
    changed = (drawn != plain).any(axis=2)
    [box] = boxed.boxes
    assert box.pixels is not None
    left, top = round(box.pixels[0]), round(box.pixels[1])
    assert changed[top : top + 3, left + 5].any(), "its upper edge"
    assert 0 < changed.mean() < 0.5
    assert boxed._repr_png_() == boxed.draw().to_png()
    assert unseen._repr_png_() is None
    with pytest.raises(ImageError, match="no image"):
        unseen.draw()
    with pytest.raises(seekvl.Error, match="font"):
        boxed.draw(font=b"no font")


def test_a_picture_that_is_gone_is_not_shown(boxed: seekvl.Answer) -> None:
    gone = dataclasses.replace(boxed, image=seekvl.Image.from_path("gone.png"))
    assert gone._repr_png_() is None
    with pytest.raises(ImageError, match=r"gone\.png"):
        gone.draw()


def test_supervision(boxed: seekvl.Answer, unseen: seekvl.Answer) -> None:
    supervision = pytest.importorskip("supervision")
    detections = boxed.to_supervision()
    assert isinstance(detections, supervision.Detections)
    np.testing.assert_allclose(detections.xyxy, np.array([boxed.boxes[0].pixels], np.float64))
    assert list(detections.data["class_name"]) == ["the cup"]
    assert detections.confidence is not None
    assert detections.confidence.tolist() == pytest.approx([boxed.boxes[0].confidence])
    assert len(unseen.to_supervision()) == 0


def test_coco(boxed: seekvl.Answer, unseen: seekvl.Answer) -> None:
    other = dataclasses.replace(boxed.boxes[0], label="a dog", confidence=None)
    region = dataclasses.replace(boxed.regions[0], boxes=(other, boxed.boxes[0]))
    coco = seekvl.to_coco([boxed, dataclasses.replace(boxed, regions=(region,))], ["a.png", "b.png"])
    assert [image["file_name"] for image in coco["images"]] == ["a.png", "b.png"]
    assert [category["name"] for category in coco["categories"]] == ["the cup", "a dog"]
    first, second, third = coco["annotations"]
    assert boxed.boxes[0].pixels is not None
    x1, y1, x2, y2 = boxed.boxes[0].pixels
    assert first["bbox"] == [x1, y1, x2 - x1, y2 - y1]
    assert first["area"] == (x2 - x1) * (y2 - y1)
    assert (second["image_id"], second["category_id"], third["category_id"]) == (2, 2, 1)
    assert [one["id"] for one in coco["annotations"]] == [1, 2, 3]
    assert ("score" in first, "score" in second) == (True, False)
    assert boxed.to_coco("a.png")["annotations"] == [first]
    with pytest.raises(ValueError, match="shorter"):
        seekvl.to_coco([boxed], [])
    with pytest.raises(ImageError):
        unseen.to_coco()


def test_label_studio(boxed: seekvl.Answer) -> None:
    task = boxed.to_label_studio("/data/a.png")
    assert task["data"] == {"image": "/data/a.png"}
    [result] = task["predictions"][0]["result"]
    assert result["value"]["x"] == pytest.approx(100 / 9.99, rel=1e-6)
    assert result["value"]["height"] == pytest.approx(200 / 9.99, rel=1e-6)
    assert result["value"]["rectanglelabels"] == ["the cup"]
    assert (result["original_width"], result["original_height"]) == boxed.image_size


def test_hocr(boxed: seekvl.Answer) -> None:
    nasty = dataclasses.replace(boxed.boxes[0], label='<b>"&')
    answer = dataclasses.replace(boxed, regions=(dataclasses.replace(boxed.regions[0], boxes=(nasty,)),))
    page = xml.etree.ElementTree.fromstring(answer.to_hocr('a "b" & c.png').split("\n", 2)[2])
    space = "{http://www.w3.org/1999/xhtml}"
    [div] = page.iter(f"{space}div")
    assert boxed.image_size is not None
    width, height = boxed.image_size
    assert div.get("title") == f'image "a b & c.png"; bbox 0 0 {width} {height}; ppageno 0'
    [line] = page.iter(f"{space}span")
    assert line.text == nasty.label
    assert boxed.boxes[0].pixels is not None
    assert boxed.boxes[0].confidence is not None
    place = " ".join(str(round(edge)) for edge in boxed.boxes[0].pixels)
    assert line.get("title") == f"bbox {place}; x_wconf {round(100 * boxed.boxes[0].confidence)}"


def test_what_nano_finds_is_well_formed(nano: seekvl.Model, picture: Path) -> None:
    answer = nano.ground(picture, "the house", max_new_tokens=64)
    assert answer.image_size is not None
    for box in answer.boxes:
        assert box.pixels is not None
        assert box.confidence is not None
        assert 0 < box.confidence <= 1
        x1, y1, x2, y2 = box.pixels
        assert 0 <= x1 < x2 <= answer.image_size[0]
        assert 0 <= y1 < y2 <= answer.image_size[1]
    json.loads(answer.to_json())
