"""Shapes that the configurations mean."""

from __future__ import annotations

from seekvl_peers import shapes


def test_tiny_caches_keys_and_values_of_each_head() -> None:
    assert shapes.language("T").latent is None
    assert shapes.language("T").cache_bytes(1) == 12 * 2 * 1280 * 2


def test_small_caches_latents_and_is_cut() -> None:
    small = shapes.language("S6")
    assert small.layers == 6
    assert small.cache_bytes(1) == 6 * (512 + 64) * 2


def test_a_tile_is_27_patches_wide() -> None:
    assert shapes.tower("T").side == 27
