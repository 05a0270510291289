//! Views of models that look at pictures as a whole: what Pillow 13 makes of the steps of DeepSeek-VL's
//! `image_processing_vlm.py`.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use proptest::prelude::*;
use seekvl_vision::{Error, Normalizer, Placement, Rgb, TileGrid, Tiles, TilingSpec, WholeConfig, shrink};

mod common;
use common::{AS_STORED, REFERENCE, sha256};

fn spec(image_size: usize, min_size: usize) -> seekvl_vision::Result<TilingSpec> {
    let normalizer = Normalizer::new([0.5; 3], [0.5; 3], true)?;
    TilingSpec::whole(WholeConfig { image_size, min_size, image_mean: [0.5; 3] }, normalizer)
}

#[test]
fn pixels_equal_pillows() {
    for (name, at_384, at_1024) in [
        ("gray.png", "5ac3deeffe99c3e2", "400a7867c0229393"),
        ("gray16.png", "26aab4b41c9223f2", "af550553ef805200"),
        ("lossless.webp", "b2159c502b1e6f65", "4f1330a3bc05523e"),
        ("one.png", "8f156d8a29ce460e", "ce82cbf5fd9694c7"),
        ("page.png", "0cf64cdcbff87362", "ec65c37101a44b1c"),
        ("palette.png", "9b01fc987323e62c", "d1d45c643cc3143b"),
        ("rgba.png", "b080ccf3e24ab429", "2192584c3cd28e9c"),
        ("wide.png", "90e99e00d30685ef", "8b6e7d0d21fceafd"),
    ] {
        let picture = Rgb::open(format!("{REFERENCE}/images/{name}"), &AS_STORED).unwrap();
        for (size, digest) in [(384, at_384), (1024, at_1024)] {
            // Whether it is cut into tiles makes no difference.
            for crop in [false, true] {
                let tiles = Tiles::new(&picture, &spec(size, 14).unwrap(), crop);
                assert_eq!((tiles.grid(), tiles.len()), (TileGrid::NONE, 1));
                assert!(sha256(tiles.view(0)).starts_with(digest), "{name} at {size}");
            }
        }
    }
}

/// By Python's arithmetic.
#[test]
fn pictures_lie_where_the_original_puts_them() {
    for (width, height, square, min_side, expected) in [
        (1, 1, 384, 14, [0, 0, 384, 384]),
        (1000, 3, 384, 14, [0, 185, 384, 14]),
        (3, 1000, 384, 14, [185, 0, 14, 384]),
        (640, 480, 384, 14, [0, 48, 384, 288]),
        (481, 640, 384, 14, [48, 0, 288, 384]),
        (333, 1000, 1024, 14, [342, 0, 340, 1024]),
        (1000, 999, 1024, 14, [0, 1, 1024, 1022]),
        (7, 5000, 1024, 1, [511, 0, 1, 1024]),
        (2999, 1237, 384, 14, [0, 113, 384, 158]),
        (384, 384, 384, 384, [0, 0, 384, 384]),
        (49, 98, 1024, 14, [256, 0, 512, 1024]),
    ] {
        let Placement { x, y, width: w, height: h } = Placement::within(width, height, square, min_side);
        assert_eq!([x, y, w, h], expected, "{width}x{height} in {square}");
    }
}

proptest! {
    #[test]
    fn pictures_lie_inside(width in 1u32..100_000, height in 1u32..100_000, square in 1u32..2000, min_side in 1u32..2000) {
        let min_side = min_side.min(square);
        let place = Placement::within(width, height, square, min_side);
        prop_assert!(place.width >= min_side && place.height >= min_side);
        prop_assert_eq!(place.width.max(place.height), square);
        prop_assert!(place.x + place.width <= square && place.y + place.height <= square);
    }

    #[test]
    fn shrinking_keeps_an_even_colour_and_its_range(size in 1usize..40, to in 1usize..40, levels: [u8; 3], seed: u8) {
        let even: Vec<u8> = levels.iter().copied().cycle().take(size * size * 3).collect();
        for (i, share) in shrink(&even, size, to).into_iter().enumerate() {
            prop_assert!((share - f32::from(levels[i % 3]) / 255.0).abs() < 1e-6);
        }
        let mixed: Vec<u8> = (0..size * size * 3).map(|i| (i as u8).wrapping_mul(seed)).collect();
        let shrunk = shrink(&mixed, size, to);
        prop_assert_eq!(shrunk.len(), to * to * 3);
        prop_assert!(shrunk.iter().all(|share| (-1e-6..=1.0 + 1e-6).contains(share)));
        if size == to {
            prop_assert!(shrunk.iter().zip(&mixed).all(|(share, &level)| (share * 255.0 - f32::from(level)).abs() < 1e-3));
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (image_size, min_size, key) in [
        (0, 14, "image_size"),
        (1 << 20, 14, "image_size"),
        (usize::MAX, 14, "image_size"),
        (384, 0, "min_size"),
        (384, 385, "min_size"),
    ] {
        match spec(image_size, min_size) {
            Err(Error::Config { key: found, .. }) => assert_eq!(found, key),
            other => panic!("{image_size} {min_size}: {other:?}"),
        }
    }
    let whole = spec(384, 14).unwrap();
    assert!(matches!(whole.clone().with_candidates(vec![(384, 384).into()]), Err(Error::NoTiles)));
    assert_eq!(whole.with_max_tiles(3).unwrap().grid(900, 300, true), TileGrid::NONE);
}
