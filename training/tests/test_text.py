"""Text and documents: the same for the same seed, apart between the splits, and true."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
from PIL import Image

from nano_training import documents, fonts, text, vocabulary, words
from nano_training.page import Page
from nano_training.sample import Sample, Split

SOURCES = (text.line, text.paragraph, text.sign, *(getattr(documents, name) for name in documents.__all__))
SPLITS: tuple[Split, ...] = ("train", "test")

pytestmark = pytest.mark.skipif(not fonts.FOLDER.is_dir(), reason="fonts are missing: run training/get-assets")


def samples(split: Split, count: int) -> list[Sample]:
    return [source(random.Random(f"{source.__name__}/{seed}"), split) for source in SOURCES for seed in range(count)]


def test_seed_determines_sample() -> None:
    for split in SPLITS:
        for first, second in zip(samples(split, 4), samples(split, 4), strict=True):
            assert first.questions == second.questions
            assert first.pictures[0].glyphs == second.pictures[0].glyphs
            assert first.pictures[0].image.tobytes() == second.pictures[0].image.tobytes()


def test_splits_share_no_family() -> None:
    kinds = fonts.SHARES
    seen, held = ({family.name for kind in kinds for family in fonts.families(split, kind)} for split in SPLITS)
    assert not seen & held
    assert seen | held == {family.name for family in fonts.FAMILIES}
    files = [
        {f for x in fonts.FAMILIES if x.name in names for f in (x.regular, x.bold, x.italic) if f}
        for names in (seen, held)
    ]
    assert not files[0] & files[1]
    assert all((fonts.FOLDER / name).exists() for name in files[0] | files[1])


@pytest.mark.parametrize("name", ["COMMON", "FIRST_NAMES", "SURNAMES", "PRODUCTS", "CITIES", "SHOPS"])
def test_training_never_takes_held_words(name: str) -> None:
    entries = getattr(vocabulary, name)
    rng = random.Random(name)
    drawn = {words.one_of(entries, rng, "train") for _ in range(5000)}
    assert not any(words.held(word) for word in drawn)
    held = [words.held(words.one_of(entries, rng, "test")) for _ in range(500)]
    assert sum(held) > 0.7 * len(held)
    assert not any(words.held(words.invented(rng, "train")) for _ in range(500))


def test_characters_are_in_the_picture_and_answers_are_plain() -> None:
    for split in SPLITS:
        for sample in samples(split, 12):
            (picture,) = sample.pictures
            width, height = picture.image.size
            for glyph in picture.glyphs:
                assert "!" <= glyph.character <= "~"
                left, top, right, bottom = glyph.box
                assert -1.5 <= left < right <= width + 1.5
                assert -1.5 <= top < bottom <= height + 1.5
            assert sample.questions
            for question in sample.questions:
                assert re.fullmatch(r"[ -~]+(\n[ -~]+)*", question.answer)
                assert question.answer == question.answer.strip()


@pytest.mark.parametrize("tracking", [0.0, 3.0])
def test_boxes_hold_all_ink_and_no_other(tracking: float) -> None:
    for family in fonts.FAMILIES:
        font = fonts.Face(family, "regular").at(24)
        page = Page(Image.new("L", (420, 60)))
        run = page.write(10, 40, "Water 4711, jelly!", font, 255, tracking)
        ink = np.asarray(page.image) > 128
        box = page.box(run)
        rows, columns = np.nonzero(ink)
        found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert np.abs(np.array(found) - np.array(box)).max() <= 2, family.name
        for left, top, right, bottom in page.inks:
            assert ink[round(top) : round(bottom), max(0, round(left) - 1) : round(right) + 1].any(), family.name


def test_readings_are_what_is_printed() -> None:
    for sample in samples("train", 12):
        printed = sorted(glyph.character for glyph in sample.pictures[0].glyphs)
        for question in sample.questions:
            if question.task.startswith("read/") and question.task != "read/table":
                assert sorted(re.sub(r"\s", "", question.answer)) == printed


def test_tables_hold_the_cells_that_are_asked_for() -> None:
    asked = 0
    for seed in range(30):
        questions = documents.table(random.Random(seed), "test").questions
        cells = {cell.strip() for cell in re.split(r"[|\n]", questions[0].answer)}
        for question in questions[1:]:
            if question.task == "document/cell":
                assert question.answer in cells
                asked += 1
    assert asked > 30
