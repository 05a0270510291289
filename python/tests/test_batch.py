from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PICTURES, REFERENCE

import seekvl
from seekvl.batch import Predictor, read_keys

TINY = REFERENCE / "vl2-tiny-like"
SHORT = seekvl.GenerationConfig(max_new_tokens=4)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(TINY, config=SHORT, batch_size=3)


def test_columns_go_in_and_columns_come_out(predictor: Predictor, tiny: seekvl.Model, picture: Path) -> None:
    content = picture.read_bytes()
    columns: dict[str, list[Any]] = {
        "id": [3, 1, 4, 1, 5, 9],
        "image": [str(picture), content, np.asarray(seekvl.open_image(picture)), None, [picture, content], b"broken"],
        "prompt": ["Why?", "Why?", "Why?", "Hello", "Which?", "Why?"],
    }
    out = predictor(columns)
    assert out["id"] == columns["id"]
    assert "image" not in out
    assert {len(column) for column in out.values()} == {6}
    answers = [
        tiny.ask(image, prompt, config=SHORT)
        for image, prompt in zip(columns["image"][:5], columns["prompt"][:5], strict=True)
    ]
    assert out["text"] == [*(answer.text for answer in answers), ""]
    assert out["tokens"] == [*(len(answer.tokens) for answer in answers), 0]
    assert out["error"][:5] == [""] * 5
    assert out["error"][5].startswith("ImageError: not a PNG")
    assert [json.loads(boxes) for boxes in out["boxes"]] == [[]] * 6
    json.dumps(out)


def test_boxes_are_json(pointing: seekvl.Model, boxed: seekvl.Answer) -> None:
    from conftest import POINTING_PICTURE, POINTING_QUESTION

    config = seekvl.GenerationConfig(max_new_tokens=8)
    predictor = Predictor(pointing.name, config=config, image_config=seekvl.ImageConfig(as_stored=True))
    out = predictor({"image": [POINTING_PICTURE], "prompt": [POINTING_QUESTION]})
    [[box]] = [json.loads(boxes) for boxes in out["boxes"]]
    assert box["label"] == "the cup"
    assert box["relative"] == [100, 200, 300, 400]
    assert out["raw"] == [boxed.raw]


def test_one_bad_row_spoils_no_other(predictor: Predictor, picture: Path) -> None:
    prompts = ["Why?", "word " * 5000, "<image> <image>", "How?"]
    out = predictor({"image": [str(picture)] * 4, "prompt": prompts})
    assert [error.partition(":")[0] for error in out["error"]] == ["", "PromptTooLongError", "ConversationError", ""]
    assert out["tokens"] == [4, 0, 0, 4]
    missing = predictor({"image": ["none.png", str(picture)], "prompt": ["Why?", "Why?"]})
    assert "none.png" in missing["error"][0]
    assert missing["error"][1] == ""
    odd = predictor({"image": [{}, 7.5], "prompt": ["Why?", "Why?"]})
    assert [error.partition(":")[0] for error in odd["error"]] == ["TypeError", "TypeError"]


def test_keys_are_of_the_content(predictor: Predictor, picture: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.png"
    shutil.copy(picture, copy)
    key = predictor.key(picture, "Why?")
    assert len(key) == 64
    assert key == predictor.key(copy, "Why?") == predictor.key(picture.read_bytes(), "Why?")
    others = [
        predictor.key(picture, "How?"),
        predictor.key(PICTURES / "one.png", "Why?"),
        predictor.key([picture, picture], "Why?"),
        predictor.key(None, "Why?"),
        Predictor(TINY, config=SHORT.replace(seed=1)).key(picture, "Why?"),
        Predictor(TINY, config=SHORT, system="Be brief.").key(picture, "Why?"),
        Predictor("nano", config=SHORT).key(picture, "Why?"),
        Predictor(TINY, config=SHORT, load_options={"quantization": "q8_0"}).key(picture, "Why?"),
        Predictor(TINY, config=SHORT, image_config=seekvl.ImageConfig(crop=False)).key(picture, "Why?"),
    ]
    assert len({key, *others}) == 1 + len(others)
    assert Predictor(TINY, config=SHORT, batch_size=1).key(picture, "Why?") == key


def test_a_job_resumes(predictor: Predictor, picture: Path, tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {
        "image": [str(picture), "none.png", None],
        "prompt": ["Why?", "Why?", "Hello"],
    }
    first = predictor({name: column[:2] for name, column in columns.items()})
    lines = [json.dumps({name: column[row] for name, column in first.items()}) for row in range(2)]
    (tmp_path / "part-0.jsonl").write_text("\n".join([*lines, '{"key": "cut sh']))
    done = read_keys(tmp_path)
    assert done == {first["key"][0]}, "a row with an error is tried again"
    rest = Predictor(TINY, config=SHORT, done=done)(columns)
    assert rest["prompt"] == ["Why?", "Hello"]
    assert rest["error"][0] != ""
    assert rest["tokens"][1] == 4
    assert read_keys(tmp_path / "none") == set()


def test_arrays_are_columns_too(predictor: Predictor, picture: Path) -> None:
    pixels = np.asarray(seekvl.open_image(picture))
    out = predictor({"image": np.stack([pixels, pixels]), "prompt": np.array(["Why?", "How?"])})
    assert out["error"] == ["", ""]
    lists = np.empty(1, object)
    lists[0] = np.array([str(picture), str(picture)], object)
    assert predictor({"image": lists, "prompt": np.array(["Which?"])})["error"] == [""]


def test_one_prompt_serves_all_rows(picture: Path) -> None:
    predictor = Predictor(TINY, config=SHORT, prompt="Why?", image_column="path")
    assert predictor({"path": [str(picture)]})["tokens"] == [4]
    assert predictor({"path": []})["text"] == []


def test_rows_without_a_prompt_are_told(predictor: Predictor) -> None:
    prompts: list[Any] = ["Hello", None, float("nan"), 7]
    out = predictor({"prompt": prompts})
    assert [error.partition(";")[0] for error in out["error"]] == [
        "",
        *(f"TypeError: the prompt is {prompt}, which is no text" for prompt in (None, None, 7)),
    ]
    fallback = Predictor(TINY, config=SHORT, prompt="Hello")({"prompt": prompts})
    assert fallback["error"][:3] == [""] * 3
    assert len(set(fallback["text"][:3])) == 1
    assert "is 7" in fallback["error"][3]


def test_a_missing_value_that_compares_with_nothing_is_an_error_of_its_row(predictor: Predictor) -> None:
    class Missing:
        """As pandas' NA, whose comparisons have no truth."""

        def __eq__(self, other: object) -> bool:
            raise TypeError("ambiguous")

        __hash__ = None  # type: ignore[assignment]

        def __repr__(self) -> str:
            return "<NA>"

    out = predictor({"prompt": ["Hello", Missing()]})
    assert [error.partition(";")[0] for error in out["error"]] == [
        "",
        "TypeError: the prompt is <NA>, which is no text",
    ]


def test_jobs_that_cannot_start_say_so() -> None:
    with pytest.raises(KeyError, match="prompt"):
        Predictor(TINY)({"image": [None]})
    with pytest.raises(ValueError, match="different lengths"):
        Predictor(TINY)({"image": [None], "prompt": ["a", "b"]})
    with pytest.raises(ValueError, match="batch_size"):
        Predictor(TINY, batch_size=0)
    with pytest.raises(seekvl.errors.ModelNotFoundError):
        Predictor("no such thing")({"prompt": ["Hello"]})


def test_predictors_can_be_pickled(predictor: Predictor, picture: Path) -> None:
    columns = {"image": [str(picture)], "prompt": ["Why?"]}
    expected = predictor(columns)
    pickled = pickle.dumps(predictor)
    assert len(pickled) < 3000
    assert pickle.loads(pickled)(columns) == expected
