//! Pictures, grids and views against what the original made of them with Pillow.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use proptest::prelude::*;
use seekvl_vision::{Normalizer, PixelLayout, Placement, Resolution, Rgb, TileGrid, Tiles, TilingConfig, TilingSpec};
use serde_json::{Value, json};

mod common;
use common::{AS_STORED, Arrays, REFERENCE, drawn, json, sha256, spec, stored_rgb};

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

#[test]
fn grids_and_placements_of_every_size() {
    let reference = json("tiling.json");
    let spec = spec(&reference);
    let cases = reference["cases"].as_array().unwrap();
    assert!(cases.len() > 1000, "{} cases", cases.len());
    for case in cases {
        let (width, height) = (number(&case[0]), number(&case[1]));
        let best = Resolution { width: number(&case[2]), height: number(&case[3]) };
        assert_eq!(spec.best_resolution(width, height), best, "{width}x{height}");
        let grid = TileGrid { cols: best.width / 384, rows: best.height / 384 };
        assert_eq!(spec.grid(width, height, true), grid, "{width}x{height}");
        assert_eq!(spec.grid(width, height, false), TileGrid { cols: 1, rows: 1 });
        let global = Resolution { width: 384, height: 384 };
        for (canvas, expected) in [(global, &case[5]), (best, &case[6])] {
            let place =
                Placement::fit(width, height, canvas).map(|place| [place.x, place.y, place.width, place.height]);
            assert_eq!(json!(place), *expected, "{width}x{height} on {canvas}");
        }
    }
}

/// Decoding, cropped tiling and the bytes of every view of every picture of the reference.
#[test]
fn pixels_of_every_view() {
    let reference = json("preprocess.json");
    let spec = spec(&reference);
    assert_eq!(json!(spec.pad_color()), reference["pad_colour"]);
    let arrays = Arrays::open();
    let tensors = arrays.tensors();
    let pictures = reference["images"].as_object().unwrap();
    assert_eq!(pictures.len(), 11);
    for (name, expected) in pictures {
        let picture = Rgb::open(format!("{REFERENCE}/images/{name}"), &AS_STORED).unwrap();
        assert_eq!((picture.width(), picture.height()), (number(&expected["width"]), number(&expected["height"])));
        assert_eq!(json!(sha256(picture.pixels())), expected["rgb_sha256"], "{name}");
        if let Some(rgb) = stored_rgb(&tensors, &format!("{name}.rgb")) {
            assert!(picture == rgb, "{name}: decoded pixels");
        }

        let tiles = Tiles::new(&picture, &spec, true);
        assert_eq!(json!([tiles.grid().cols, tiles.grid().rows]), expected["images_spatial_crop"], "{name}");
        assert_eq!(json!(tiles.len()), expected["num_tiles"]);
        let hashes: Vec<_> = tiles.views().map(sha256).collect();
        assert_eq!(json!(hashes), expected["tile_sha256"], "{name}");
        for (view, mean) in tiles.views().zip(expected["tile_mean"].as_array().unwrap()) {
            let sum: u64 = view.iter().map(|&level| u64::from(level)).sum();
            assert!((sum as f64 / view.len() as f64 - mean.as_f64().unwrap()).abs() < 1e-9);
        }
        if let Ok(rows) = tensors.tensor(&format!("{name}.tile_rows")) {
            let every_32nd = |view: &[u8]| view.chunks(384 * 3).step_by(32).flatten().copied().collect::<Vec<_>>();
            let views = rows.shape()[0];
            let got: Vec<u8> = tiles.views().take(views).flat_map(every_32nd).collect();
            assert!(got == rows.data(), "{name}: rows of the views");
        }
    }
}

#[test]
fn without_cropping_there_is_one_local_view_equal_to_the_global_one() {
    let spec = spec(&json("preprocess.json"));
    let picture = Rgb::open(format!("{REFERENCE}/images/wide.png"), &AS_STORED).unwrap();
    let cropped = Tiles::new(&picture, &spec, true);
    let whole = Tiles::new(&picture, &spec, false);
    assert_eq!((cropped.len(), whole.len()), (4, 2));
    assert_eq!(whole.grid(), TileGrid { cols: 1, rows: 1 });
    assert_eq!(whole.view(0), cropped.view(0));
    assert_eq!(whole.view(1), whole.view(0));
}

#[test]
fn a_side_that_rounds_to_zero_leaves_padding() {
    let spec = spec(&json("preprocess.json"));
    let tiles = Tiles::new(&drawn(10_000, 3), &spec, true);
    assert_eq!(tiles.grid(), TileGrid { cols: 9, rows: 1 });
    assert!(tiles.view(0).iter().all(|&level| level == 127));
    assert!(tiles.views().skip(1).all(|view| view.iter().any(|&level| level != 127)));
}

#[test]
fn views_may_come_from_elsewhere() {
    let tiles = Tiles::new(&drawn(50, 20), &spec(&json("preprocess.json")), true);
    let again = Tiles::from_views(tiles.grid(), tiles.size(), tiles.as_bytes().to_vec());
    assert_eq!(again.as_ref(), Some(&tiles));
    assert_eq!(Tiles::from_views(tiles.grid(), tiles.size() - 1, tiles.as_bytes().to_vec()), None);
    assert_eq!(Tiles::from_views(TileGrid { cols: 0, rows: 1 }, 1, vec![0; 3]), None);
    assert_eq!(Tiles::from_views(TileGrid::NONE, 1, vec![0; 3]).map(|tiles| tiles.len()), Some(1));
}

#[test]
fn normalised_levels() {
    let arrays = Arrays::open();
    let tensors = arrays.tensors();
    let ramp = tensors.tensor("normalised_ramp").unwrap();
    let ramp: Vec<f32> = ramp.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let spec = spec(&json("preprocess.json"));
    for channel in 0..3 {
        assert_eq!(spec.normalizer().levels(channel)[..], ramp[..]);
    }
    let plain = Normalizer::new([0.5; 3], [0.5; 3], false).unwrap();
    assert_eq!(plain.levels(1)[51], 0.2);
}

/// Both layouts against their definitions, at a size that leaves pixels over.
#[test]
fn planes_and_patches() {
    let (size, patch) = (17, 5);
    let picture = drawn(size as u32, size as u32);
    let normalizer = Normalizer::new([0.1, 0.5, 0.9], [0.2, 0.3, 0.4], true).unwrap();
    let value = |c: usize, y: usize, x: usize| {
        let level = picture.pixels()[(y * size + x) * 3 + c];
        (f32::from(level) / 255.0 - [0.1, 0.5, 0.9][c]) / [0.2, 0.3, 0.4][c]
    };
    let mut planes = vec![0.0; 3 * size * size];
    normalizer.planes(picture.pixels(), &mut planes);
    for (i, &got) in planes.iter().enumerate() {
        assert_eq!(got, value(i / (size * size), i / size % size, i % size));
    }
    let mut rows = vec![0.0; 9 * 3 * patch * patch];
    normalizer.patches(picture.pixels(), size, patch, &mut rows);
    for (i, &got) in rows.iter().enumerate() {
        let (index, at) = (i / (3 * patch * patch), i % (3 * patch * patch));
        let (c, dy, dx) = (at / (patch * patch), at / patch % patch, at % patch);
        assert_eq!(got, value(c, index / 3 * patch + dy, index % 3 * patch + dx));
    }
}

#[test]
fn options_of_the_tiling() {
    let config = json("preprocess.json");
    let few = spec(&config).with_max_tiles(2).unwrap();
    assert_eq!(few.candidates().len(), 3);
    assert_eq!(few.grid(4000, 4000, true), TileGrid { cols: 1, rows: 1 });
    assert_eq!(few.grid(4000, 1000, true), TileGrid { cols: 2, rows: 1 });
    let error = few.clone().with_max_tiles(0).unwrap_err().to_string();
    assert_eq!(error, "no candidate resolution has at most 0 tiles: the smallest has 1");
    let own = few.with_candidates(vec![(768, 1152).into()]).unwrap();
    assert_eq!(own.grid(1, 1, true), TileGrid { cols: 2, rows: 3 });
    assert_eq!(own.tile_size(), 384);
    let error = own.with_candidates(vec![(384, 400).into()]).unwrap_err().to_string();
    assert!(error.contains("`candidate_resolutions` is 384x400"), "{error}");
}

#[test]
fn configurations_that_make_no_sense() {
    let good = json!({"candidate_resolutions": [[384, 384], [768, 384]]});
    assert_eq!(spec(&good).normalizer(), &Normalizer::new([0.5; 3], [0.5; 3], true).unwrap(), "defaults");
    let error = |key: &str, value: Value| {
        let mut config = good.clone();
        config[key] = value;
        let config: TilingConfig = serde_json::from_value(config).unwrap();
        TilingSpec::try_from(config).unwrap_err().to_string()
    };
    let candidates = |value| error("candidate_resolutions", value);
    assert!(candidates(json!([])).contains("at least one"));
    assert!(candidates(json!([[0, 384]])).contains("is 0x384"));
    assert!(candidates(json!([[384, 0]])).contains("is 384x0"));
    assert!(candidates(json!([[384, 384], [385, 384]])).contains("is 385x384"));
    assert!(
        candidates(json!([[384, 384], [4_294_967_040_u32, 4_294_967_040_u32]])).contains("more than 67108864 pixels")
    );
    assert!(error("image_mean", json!([0.5, 1.5, 0.5])).contains("`image_mean` is [0.5, 1.5, 0.5]"));
    assert!(error("image_std", json!([0.5, 0.0, 0.5])).contains("`image_std`"));
    assert!(error("image_std", json!([0.5, -1.0, 0.5])).contains("`image_std`"));
}

/// The rule as the original states it, in the integers and doubles that Python would use.
fn best_by_the_rule(width: u32, height: u32, candidates: &[Resolution]) -> Option<Resolution> {
    let (mut best, mut most_effective, mut least_wasted) = (None, 0_i128, f64::INFINITY);
    for &candidate in candidates {
        let (w, h) = (f64::from(candidate.width), f64::from(candidate.height));
        let scale = f64::min(w / f64::from(width), h / f64::from(height));
        let down = |side: u32| (f64::from(side) * scale).trunc() as i128;
        let effective = i128::min(down(width) * down(height), i128::from(width) * i128::from(height));
        let wasted = (w * h) as i128 - effective;
        if effective > most_effective || (effective == most_effective && (wasted as f64) < least_wasted) {
            (best, most_effective, least_wasted) = (Some(candidate), effective, wasted as f64);
        }
    }
    best
}

proptest! {
    #[test]
    fn the_grid_follows_the_rule(
        bits in (0..32_u32, 0..32_u32), size in (1..=u32::MAX, 1..=u32::MAX), crop: bool,
        candidates in prop::collection::vec((1..12_u32, 1..12_u32), 1..20),
    ) {
        let (width, height) = ((size.0 >> bits.0).max(1), (size.1 >> bits.1).max(1));
        let tile = 28;
        let mut candidates: Vec<Resolution> = candidates.iter().map(|&(w, h)| (w * tile, h * tile).into()).collect();
        candidates.insert(0, (tile, tile).into());
        let config = TilingConfig {
            candidate_resolutions: candidates.clone(), image_mean: [0.5; 3], image_std: [0.5; 3], normalize: true,
        };
        let spec = TilingSpec::try_from(config).unwrap();
        let best = best_by_the_rule(width, height, &candidates).unwrap();
        let grid = TileGrid { cols: best.width / tile, rows: best.height / tile };
        prop_assert_eq!(spec.grid(width, height, crop), if crop { grid } else { TileGrid { cols: 1, rows: 1 } });
        if let Some(place) = Placement::fit(width, height, best) {
            prop_assert!(place.x + place.width <= best.width && place.y + place.height <= best.height);
            prop_assert!(place.width == best.width || place.height == best.height);
        }
    }

    /// Whatever the size, a picture of one colour stays so, and the rest is padding.
    #[test]
    fn one_colour_stays_one_colour(width in 1..300_u32, height in 1..300_u32, crop: bool, level in 128..=255_u8) {
        let config = json!({"candidate_resolutions": [[32, 32], [64, 32], [32, 96], [96, 96]]});
        let pixels = vec![level; (width * height * 3) as usize];
        let picture = Rgb::from_raw(width, height, PixelLayout::Rgb8, pixels).unwrap();
        let tiles = Tiles::new(&picture, &spec(&config), crop);
        prop_assert_eq!(tiles.as_bytes().len(), (1 + tiles.grid().tiles()) * 32 * 32 * 3);
        let count = tiles.view(0).iter().filter(|&&got| got == level).count();
        let place = Placement::fit(width, height, (32, 32).into());
        prop_assert_eq!(count, place.map_or(0, |place| (place.width * place.height * 3) as usize));
        prop_assert!(tiles.as_bytes().iter().all(|&got| got == level || got == 127));
    }
}
