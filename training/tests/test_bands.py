"""A batch that is laid for a GPU gives what the packing for a CPU gives."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from nano_training.batch import Batch, collate, encode
from nano_training.losses import GUIDES, answer_loss, guide_loss
from nano_training.mixture import Mixture, sample
from nano_training.modeling.bands import Bands
from nano_training.modeling.config import NanoConfig
from nano_training.modeling.language import Moe
from nano_training.modeling.nano import Nano
from nano_training.tokenizer import NanoTokenizer

CONFIG = NanoConfig()
TOKENIZER = NanoTokenizer(Path(__file__).parents[2] / "nano" / "model" / "tokenizer.json")


def losses_and_gradients(batch: Batch) -> list[Tensor]:
    torch.manual_seed(3)
    model = Nano(CONFIG)
    for guide in GUIDES:
        model.attentions()[guide.layer].keep = True
    features = torch.randn(len(batch.pixels), CONFIG.vision.grid**2, CONFIG.vision.width)
    answers = answer_loss(model, features, batch)
    missed, figures = guide_loss(model, batch)
    (answers.value + missed).backward()
    decoder = [each.grad for each in model.language.parameters() if each.grad is not None]
    return [answers.value, missed, *figures.values(), *decoder]


def test_losses_and_gradients_are_the_same() -> None:
    mixture = Mixture.parse("line=1,easy_scene=1,receipt=1,pair=1,drill=1")
    encoded = [encode(sample(seed, "train", mixture), TOKENIZER, CONFIG, 300) for seed in range(20)]
    packed, laid = (collate(encoded, TOKENIZER, CONFIG, banded) for banded in (False, True))
    assert isinstance(laid.packing, Bands)
    assert packed.guided
    assert torch.equal(packed.ids, laid.ids)
    for one, other in zip(losses_and_gradients(packed), losses_and_gradients(laid), strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5)


def test_nothing_is_guided_without_aims() -> None:
    encoded = [encode(sample(1, "train", Mixture.parse("pair=1")), TOKENIZER, CONFIG, 300)]
    batch = collate(encoded, TOKENIZER, CONFIG)
    assert not batch.guided
    assert float(guide_loss(Nano(CONFIG), batch)[0]) == 0.0


def test_all_experts_at_once_are_the_chosen_ones() -> None:
    torch.manual_seed(5)
    moe = Moe(CONFIG.language)
    x = torch.randn(50, CONFIG.language.hidden_size)
    chosen, weights = moe.gate(x)
    assert torch.allclose(
        moe.chosen_alone(x, chosen, weights), moe.all_at_once(x, chosen, weights), rtol=1e-4, atol=1e-6
    )
