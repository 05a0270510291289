from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import seekvl

REPOSITORY = Path(__file__).resolve().parents[2]
REFERENCE = REPOSITORY / "tests" / "reference"
PICTURES = REFERENCE / "images"


def golden(name: str) -> dict[str, Any]:
    """What the original implementation computed on a checkpoint."""
    read: dict[str, Any] = json.loads((REFERENCE / name / "golden.json").read_text(encoding="utf-8"))
    return read


@pytest.fixture(scope="session")
def tiny() -> seekvl.Model:
    """A checkpoint of random weights, in the structure of DeepSeek-VL2-Tiny."""
    return seekvl.load(REFERENCE / "vl2-tiny-like")


@pytest.fixture(scope="session")
def nano() -> seekvl.Model:
    return seekvl.load()


@pytest.fixture
def picture() -> Path:
    return PICTURES / "page.png"


@pytest.fixture(scope="session")
def pointing(tmp_path_factory: pytest.TempPathFactory) -> seekvl.Model:
    """A model that answers a certain question with a box: the tokens of its answer are spelled as one."""
    source = REFERENCE / "vl2-tiny-like"
    folder = tmp_path_factory.mktemp("pointing")
    for name in ("config.json", "processor_config.json", "model.safetensors"):
        (folder / name).write_bytes((source / name).read_bytes())
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    spelled = dict(zip(POINTING_TOKENS, POINTING_TEXT, strict=True))
    model = tokenizer["model"]
    gone = {text for text, token in model["vocab"].items() if token in spelled}
    model["vocab"] = {spelled.get(token, text): token for text, token in model["vocab"].items()}
    model["merges"] = [merge for merge in model["merges"] if not gone & {*_parts(merge), "".join(_parts(merge))}]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return seekvl.load(folder)


# The beginning of what the original answers to this, and how it is to be spelled ("Ġ" is a space).
POINTING_PICTURE = PICTURES / "street.jpg"
POINTING_QUESTION = "Describe this image in detail."
POINTING_TOKENS = [309, 115, 719, 560, 144, 590, 568, 452]
POINTING_TEXT = ["SeeĠ<|ref|>theĠ", "cup<|/ref|>", "<|det|>[[", "100,Ġ", "200,Ġ", "300,Ġ", "400]]<|/det|>", "!!"]


def _parts(merge: str | list[str]) -> list[str]:
    return merge.split(" ") if isinstance(merge, str) else merge


@pytest.fixture(scope="session")
def boxed(pointing: seekvl.Model) -> seekvl.Answer:
    """An answer with one box."""
    config = seekvl.ImageConfig(as_stored=True)
    return pointing.ask(POINTING_PICTURE, POINTING_QUESTION, max_new_tokens=8, logprobs=2, image_config=config)
