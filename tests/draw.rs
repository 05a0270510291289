//! Drawing boxes: what must hold on any picture.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use proptest::prelude::*;
use seekvl::boxes::{Grounded, markup};
use seekvl::draw::{DrawOptions, draw, save};
use seekvl_vision::{DecodeOptions, PixelLayout, Rgb};

fn plain(width: u32, height: u32, color: [u8; 3]) -> Rgb {
    let pixels = color.repeat(width as usize * height as usize);
    Rgb::from_raw(width, height, PixelLayout::Rgb8, pixels).unwrap()
}

fn pixel(image: &Rgb, x: u32, y: u32) -> [u8; 3] {
    let at = 3 * (y * image.width() + x) as usize;
    image.pixels()[at..at + 3].try_into().unwrap()
}

fn changed(before: &Rgb, after: &Rgb) -> Vec<(u32, u32)> {
    let all = (0..before.height()).flat_map(|y| (0..before.width()).map(move |x| (x, y)));
    all.filter(|&(x, y)| pixel(before, x, y) != pixel(after, x, y)).collect()
}

#[test]
fn a_box_is_drawn_where_it_is_and_nowhere_else() {
    let image = plain(999, 999, [90; 3]);
    let grounded = Grounded::parse("<|det|>[[100, 200, 400, 700]]<|/det|>");
    let drawn =
        draw(&image, &grounded.regions, &DrawOptions { line_width: Some(4), ..DrawOptions::default() }).unwrap();
    let changed = changed(&image, &drawn);
    // A line of 4 with a rim of 1 along both sides, within the box.
    let (width, height, line) = (300, 500, 6);
    assert_eq!(changed.len(), width * height - (width - 2 * line) * (height - 2 * line));
    assert!(changed.iter().all(|&(x, y)| (100..400).contains(&x) && (200..700).contains(&y)));
    assert_eq!(pixel(&drawn, 250, 200), pixel(&drawn, 250, 205), "rims are alike");
    assert_eq!(pixel(&drawn, 250, 202), [230, 25, 75]);
}

#[test]
fn labels_share_colours_with_their_boxes() {
    let image = plain(600, 400, [90; 3]);
    let answer = markup("a", &[[100, 500, 200, 900], [300, 500, 400, 900]]) + &markup("b", &[[600, 500, 700, 900]]);
    let options = DrawOptions { line_width: Some(8), ..DrawOptions::default() };
    let drawn = draw(&image, &Grounded::parse(&answer).regions, &options).unwrap();
    let at = |x: u32| pixel(&drawn, x * 600 / 999 + 5, 300);
    assert_eq!(at(100), at(300));
    assert_ne!(at(100), at(600));
}

#[test]
fn a_label_stays_inside_and_is_shortened() {
    for corner in [[0, 0, 100, 50], [900, 0, 999, 40], [0, 960, 50, 999], [950, 950, 999, 999], [0, 0, 999, 999]] {
        for text in ["x", &"a long label 长标签 ".repeat(2000)] {
            let image = plain(300, 200, [255; 3]);
            let bare = markup("", &[corner]);
            let without = draw(&image, &Grounded::parse(&bare).regions, &DrawOptions::default()).unwrap();
            let with =
                draw(&image, &Grounded::parse(&markup(text, &[corner])).regions, &DrawOptions::default()).unwrap();
            let label = changed(&without, &with);
            // The label's area is whole: about as high as the letters, wherever it had to go.
            let rows = label.iter().map(|&(_, y)| y).max().unwrap() - label.iter().map(|&(_, y)| y).min().unwrap();
            assert!((10..40).contains(&rows), "{corner:?}: {rows}");
        }
    }
}

#[test]
fn invalid_boxes_are_left_out() {
    let image = plain(64, 64, [9, 8, 7]);
    let grounded = Grounded::parse("<|ref|>a<|/ref|><|det|>[[1, 2, 3], [4, 4, 4, 4], [a, b, c, d]]<|/det|>");
    assert_eq!(draw(&image, &grounded.regions, &DrawOptions::default()).unwrap(), image);
}

#[test]
fn a_bad_font_is_an_error() {
    let options = DrawOptions { font: Some(b"no font".to_vec()), ..DrawOptions::default() };
    assert!(matches!(draw(&plain(9, 9, [0; 3]), &[], &options), Err(seekvl::Error::Font)));
}

#[test]
fn pictures_are_saved_as_their_names_say() {
    let dir = tempfile::tempdir().unwrap();
    let image = plain(20, 10, [200, 100, 50]);
    for name in ["a.png", "a.webp", "a.bmp", "a.tiff", "a.jpg", "a.JPEG"] {
        let path = dir.path().join(name);
        save(&image, &path).unwrap();
        let back = Rgb::open(&path, &DecodeOptions::default()).unwrap();
        assert_eq!((back.width(), back.height()), (20, 10));
        let close = back.pixels().iter().zip(image.pixels()).all(|(a, b)| a.abs_diff(*b) <= 3);
        assert!(close, "{name}");
    }
    for name in ["a", "a.txt", "a.avif"] {
        let saved = save(&image, dir.path().join(name));
        assert!(matches!(saved, Err(seekvl::Error::ImageFormat { .. })), "{name}: {saved:?}");
    }
    assert!(matches!(save(&image, dir.path().join("none/a.png")), Err(seekvl::Error::Read { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_boxes_on_any_picture(
        (width, height) in (1u32..80, 1u32..80),
        boxes in prop::collection::vec((any::<String>(), any::<[u16; 4]>()), 0..8),
        font_size in prop::option::of(any::<f32>()),
        line_width in prop::option::of(any::<u32>()),
    ) {
        let answer: String = boxes.iter().map(|(label, one)| markup(label, &[one.map(|c| c % 1000)])).collect();
        let options = DrawOptions { font_size, line_width, font: None };
        let drawn = draw(&plain(width, height, [7; 3]), &Grounded::parse(&answer).regions, &options).unwrap();
        prop_assert_eq!((drawn.width(), drawn.height()), (width, height));
    }
}
