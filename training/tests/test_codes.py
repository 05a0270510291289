"""The codes of patches: they can be told apart, and say what the targets say."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nano_training.batch import Batch  # noqa: E402
from nano_training.codes import CodeBook, spread  # noqa: E402
from nano_training.mixture import Mixture, sample  # noqa: E402
from nano_training.modeling.config import NanoConfig  # noqa: E402
from nano_training.targets import CHARACTERS, NO_KIND, patch_targets, words_of  # noqa: E402
from nano_training.tiling import views  # noqa: E402

CONFIG = NanoConfig()


def batch(name: str, seeds: range) -> Batch:
    """The patches of some samples; nothing else of a batch is used."""
    targets = []
    for seed in seeds:
        picture = sample(seed, "train", Mixture({name: 1.0})).pictures[0]
        targets.append(patch_targets(picture, views(picture.image).placements, CONFIG.vision.grid))
    parts = {key: torch.from_numpy(np.concatenate([getattr(one, key) for one in targets])) for key in vars(targets[0])}
    empty = torch.zeros(0)
    rest = dict.fromkeys(
        ("pixels", "ids", "slots", "positions", "targets", "weights", "question", "aims", "answered"), empty
    )
    return Batch(**parts, **rest, packing=None, guided=False, tasks=[], samples=len(targets))  # type: ignore[arg-type]


def test_codes_of_characters_are_far_apart() -> None:
    codes = spread(CHARACTERS + 1, 52)
    near = codes @ codes.T - torch.eye(len(codes))
    assert torch.allclose(codes.norm(dim=-1), torch.ones(len(codes)))
    assert near.max() < 0.35


@pytest.mark.parametrize("name", ["scene", "easy_text", "chart", "sign"])
def test_exact_codes_are_read_back(name: str) -> None:
    made = batch(name, range(6))
    book = CodeBook(CONFIG)
    codes, known = book.exact(made)
    assert codes.shape == known.shape == (*made.kinds.shape, book.used)
    characters, kinds, colours = book.logits(codes)
    legible = made.characters >= 0
    assert (characters.argmax(-1) == made.characters)[legible].all()
    told = made.kinds >= 0
    assert (kinds.argmax(-1) == made.kinds)[told].all()
    assert (colours.argmax(-1) == made.colours)[told].all()


def test_boxes_are_told_in_shares_of_the_picture() -> None:
    made = batch("easy_scene", range(6))
    book = CodeBook(CONFIG)
    things = (made.kinds >= 0) & (made.kinds < NO_KIND)
    assert things.any()
    assert torch.equal(things, ~made.boxes.isnan().any(-1))
    assert ((made.boxes[things] > 0) & (made.boxes[things] < 1)).all()
    told = book.edges(book.exact(made)[0])[things]
    assert torch.allclose(told, made.boxes[things][:, :4], atol=0.04)


def test_words_have_boxes_where_no_thing_is() -> None:
    made = batch("paragraph", range(6))
    book = CodeBook(CONFIG)
    words = (made.kinds == NO_KIND) & ~made.boxes[..., 0].isnan()
    printed = (made.characters < CHARACTERS).any(-1) & (made.kinds == NO_KIND)
    assert (words & printed).sum() > 0.95 * printed.sum() > 100
    told, true = book.edges(book.exact(made)[0])[words], made.boxes[words][:, :4]
    # Of a bell at the border half is cut off, and its middle seems further inside.
    inside = (true > 0.06) & (true < 0.94)
    assert torch.allclose(told[inside], true[inside], atol=0.04)


def test_words_end_at_gaps_and_lines() -> None:
    # "ab c" on a line, "d" on the next.
    glyphs = np.array([[0, 0, 5, 10], [6, 2, 11, 12], [18, 0, 23, 10], [0, 14, 5, 24]], np.float32)
    assert words_of(glyphs, glyphs).tolist() == [[0, 0, 11, 12], [0, 0, 11, 12], [18, 0, 23, 10], [0, 14, 5, 24]]
    assert len(words_of(glyphs[:0], glyphs[:0])) == 0
    inks = glyphs + np.array([1, 3, 0, 2], np.float32)
    assert words_of(glyphs, inks)[:2].tolist() == [[1, 3, 11, 14]] * 2


def test_each_thing_has_one_middle() -> None:
    pictures = [sample(seed, "train", Mixture({"easy_count": 1.0})).pictures[0] for seed in range(6)]
    made = batch("easy_count", range(6))
    assert made.middles.sum() <= sum(len(picture.things) for picture in pictures)
    assert made.middles.sum() >= 0.9 * sum(len(picture.things) for picture in pictures)


def test_a_doubtful_tower_is_mostly_right() -> None:
    torch.manual_seed(3)
    made = batch("scene", range(6))
    book = CodeBook(CONFIG)
    features = book.features(made)
    assert features.shape == (*made.kinds.shape, CONFIG.vision.width)
    kinds = book.logits(features)[1].argmax(-1)
    told = made.kinds >= 0
    right = (kinds == made.kinds)[told].float().mean()
    assert 0.85 < right < 1
