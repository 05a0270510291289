//! Image files of every kind, whole and damaged.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::Write;

use proptest::prelude::*;
use seekvl_vision::{Conversion, DecodeLimits, DecodeOptions, Error, PixelLayout, Rgb};
use serde_json::Value;

mod common;
use common::{AS_STORED, REFERENCE};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
const AS_SEEN: DecodeOptions = DecodeOptions { conversion: Conversion::AsSeen, ..AS_STORED };

fn data(name: &str) -> Vec<u8> {
    std::fs::read(format!("{DATA}/{name}")).unwrap()
}

/// Each file of the folder with its pixels as stored and as seen.
fn expected() -> Vec<(String, Rgb, Rgb)> {
    let all: Value = serde_json::from_slice(&data("expected.json")).unwrap();
    let picture = |entry: &Value| {
        let [width, height, index] = [0, 1, 2].map(|i| entry[i].as_u64().unwrap() as u32);
        let hex = all["pictures"][index as usize].as_str().unwrap().as_bytes();
        let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
        let pixels = hex.as_chunks().0.iter().map(|&[high, low]| digit(high) << 4 | digit(low)).collect();
        Rgb::from_raw(width, height, PixelLayout::Rgb8, pixels).unwrap()
    };
    let files = all["files"].as_object().unwrap();
    files.iter().map(|(name, file)| (name.clone(), picture(&file["stored"]), picture(&file["seen"]))).collect()
}

fn largest_difference(a: &Rgb, b: &Rgb) -> u8 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    a.pixels().iter().zip(b.pixels()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

/// Against Pillow: equal in every format, but for the inks of a TIFF, which are mixed in floating
/// point here.
#[test]
fn every_format_in_both_conversions() {
    let files = expected();
    assert!(files.len() > 50, "{} files", files.len());
    for (name, stored, seen) in files {
        let allowed = u8::from(name == "cmyk.tiff");
        for (options, expected) in [(AS_STORED, stored), (AS_SEEN, seen)] {
            let got = Rgb::decode(&data(&name), &options).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(largest_difference(&got, &expected) <= allowed, "{name} {:?}", options.conversion);
        }
    }
}

/// What is left of a file is either refused, or, where only trailing bytes are gone, whole.
#[test]
fn truncated_files() {
    for (name, stored, _) in expected() {
        let bytes = data(&name);
        for length in 0..bytes.len() {
            match Rgb::decode(&bytes[..length], &AS_STORED) {
                Ok(got) => assert!(largest_difference(&got, &stored) <= 1, "{name}: the first {length} bytes"),
                Err(Error::Decode { .. } | Error::UnknownFormat { .. } | Error::NoPixels { .. }) => {}
                Err(other) => panic!("{name}: the first {length} bytes: {other:?}"),
            }
        }
        let half = Rgb::decode(&bytes[..bytes.len() / 2], &AS_STORED);
        assert!(half.is_err() || name == "frames.gif", "{name}: half of it passed for all");
    }
    for name in ["street.jpg", "tall.webp", "page.png", "lossless.webp"] {
        let bytes = std::fs::read(format!("{REFERENCE}/images/{name}")).unwrap();
        for part in 1..20 {
            assert!(Rgb::decode(&bytes[..bytes.len() * part / 20], &AS_SEEN).is_err(), "{name}: {part} of 20 parts");
        }
    }
}

#[test]
fn limits_are_held_before_pixels_are_made() {
    let limits =
        |max_file_bytes, max_pixels| DecodeOptions { limits: DecodeLimits { max_file_bytes, max_pixels }, ..AS_SEEN };
    for (name, stored, _) in expected() {
        let (bytes, pixels) = (data(&name), u64::from(stored.width() * stored.height()));
        let size = bytes.len() as u64;
        assert!(Rgb::decode(&bytes, &limits(size, pixels)).is_ok(), "{name}");
        let error = Rgb::decode(&bytes, &limits(size - 1, pixels)).unwrap_err();
        assert!(matches!(error, Error::FileTooLarge { .. }), "{name}: {error}");
        let error = Rgb::decode(&bytes, &limits(size, pixels - 1)).unwrap_err().to_string();
        assert!(error.contains("x7") || error.contains("7x"), "{name}: {error}");
        assert!(error.contains("more than the limit of 76 pixels"), "{name}: {error}");
    }
    let path = format!("{DATA}/rgba.png");
    assert_eq!(
        chain(&Rgb::open(&path, &limits(10, 1000)).unwrap_err()),
        format!(
            "cannot use the image {path}: the image file has {} bytes, more than the limit of 10",
            data("rgba.png").len()
        )
    );
}

/// An error with its sources.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// Headers that announce what no memory would hold.
#[test]
fn headers_of_bombs() {
    let tiff = data("rgb.tiff");
    // Entries of twelve bytes: a tag, a type, a count and, in the last four, a value.
    let entries = u32::from_le_bytes(tiff[4..8].try_into().unwrap()) as usize + 2;
    let entry = |tag: u16| entries + 12 * tiff[entries..].chunks(12).position(|e| e[..2] == tag.to_le_bytes()).unwrap();
    let [columns, lines, strip] = [256, 257, 278].map(|tag| entry(tag) + 8);
    let large = 50_000_u32.to_le_bytes();
    let large16 = &large[..2];
    let cases = [
        ("PNG", png_header(50_000, 50_000)),
        ("JPEG", resized_jpeg(50_000, 50_000)),
        ("GIF", patched("rgb.gif", &[(6, large16), (8, large16)])),
        ("BMP", patched("rgb.bmp", &[(18, &large), (22, &large)])),
        ("TIFF", patched("rgb.tiff", &[(columns, large16), (lines, large16), (strip, large16)])),
    ];
    for (name, bytes) in cases {
        let error = Rgb::decode(&bytes, &AS_SEEN).unwrap_err().to_string();
        assert_eq!(error, "the image is 50000x50000, which is more than the limit of 178956970 pixels", "{name}");
    }
    // Sizes that are allowed, with next to nothing after them.
    let allowed = [png_header(13_000, 13_000), png_header(178_956_970, 1), png_header(u32::MAX, u32::MAX)];
    for bytes in allowed.into_iter().chain([resized_jpeg(13_000, 13_000)]) {
        let error = Rgb::decode(&bytes, &AS_SEEN).unwrap_err();
        assert!(matches!(error, Error::Decode { .. } | Error::TooMuchMemory { .. }), "{error}");
    }
    for bytes in [png_header(0, 5), patched("rgb.gif", &[(6, &[0, 0])]), patched("rgb.bmp", &[(18, &[0])])] {
        let error = Rgb::decode(&bytes, &AS_SEEN).unwrap_err();
        assert!(matches!(error, Error::NoPixels { .. } | Error::Decode { .. }), "{error}");
    }
}

fn patched(name: &str, patches: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = data(name);
    for &(at, patch) in patches {
        bytes[at..at + patch.len()].copy_from_slice(patch);
    }
    bytes
}

/// Where the frame header of a baseline JPEG has its height.
fn frame_height(jpeg: &[u8]) -> usize {
    jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap() + 5
}

fn resized_jpeg(width: u16, height: u16) -> Vec<u8> {
    let at = frame_height(&data("rgb.jpg"));
    patched("rgb.jpg", &[(at, &height.to_be_bytes()), (at + 2, &width.to_be_bytes())])
}

/// Inks at resolutions that make the decoder read past its buffers are refused before it runs.
#[test]
fn inks_at_odd_resolutions() {
    let first = frame_height(&data("cmyk.jpg")) + 6;
    for factors in
        [[0x11, 0x31, 0x11, 0x11], [0x22, 0x22, 0x11, 0x22], [0x22, 0x11, 0x11, 0x11], [0x31, 0x21, 0x21, 0x31]]
    {
        let patches: Vec<_> = factors.chunks(1).enumerate().map(|(i, factor)| (first + 3 * i, factor)).collect();
        let error = chain(&Rgb::decode(&patched("cmyk.jpg", &patches), &AS_SEEN).unwrap_err());
        assert!(error.contains("sampling factors"), "{error}");
    }
}

/// A PNG that ends after its header.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut body = b"IHDR".to_vec();
    body.extend(width.to_be_bytes());
    body.extend(height.to_be_bytes());
    body.extend([8, 2, 0, 0, 0]);
    let crc = !body.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    });
    [&b"\x89PNG\r\n\x1a\n\0\0\0\x0d"[..], &body, &crc.to_be_bytes(), b"\0\0\0\0IDAT\x35\xaf\x06\x1e"].concat()
}

#[test]
fn what_is_no_image() {
    for bytes in [&b""[..], b"\x89", b"GIF", b"%PDF-1.7", b"RIFF\0\0\0\0WAVE", b"qoif\0\0\0\0\0\0\0\0", &[0; 100]] {
        assert!(matches!(Rgb::decode(bytes, &AS_SEEN), Err(Error::UnknownFormat { .. })), "{bytes:?}");
    }
    let error = Rgb::decode(b"hello, world", &AS_SEEN).unwrap_err().to_string();
    assert_eq!(
        error,
        "not a PNG, JPEG, WebP, GIF, BMP or TIFF image (it starts with [68, 65, 6c, 6c, 6f, 2c, 20, 77])"
    );
    let error = Rgb::open("no/such/file.png", &AS_SEEN).unwrap_err();
    assert!(chain(&error).starts_with("cannot use the image no/such/file.png: it cannot be read: "), "{error}");
    assert!(Rgb::open(DATA, &AS_SEEN).is_err(), "a folder");
    let mut file = tempfile::Builder::new().suffix(".png").tempfile().unwrap();
    file.write_all(&data("rgb.jpg")).unwrap();
    let jpeg = Rgb::open(file.path(), &AS_SEEN).unwrap();
    assert_eq!(jpeg, Rgb::decode(&data("rgb.jpg"), &AS_SEEN).unwrap(), "the name does not tell the format");
}

#[test]
fn pixels_in_memory() {
    let rgb = |layout, bytes: &[u8]| Rgb::from_raw(2, 1, layout, bytes.to_vec());
    assert_eq!(rgb(PixelLayout::L8, &[7, 9]).unwrap().pixels(), [7, 7, 7, 9, 9, 9]);
    assert_eq!(rgb(PixelLayout::Rgb8, &[1, 2, 3, 4, 5, 6]).unwrap().into_pixels(), [1, 2, 3, 4, 5, 6]);
    let blended = rgb(PixelLayout::Rgba8, &[0, 100, 200, 0, 0, 100, 200, 128]).unwrap();
    assert_eq!(blended.pixels(), [255, 255, 255, 127, 177, 227]);
    let error = rgb(PixelLayout::Rgb8, &[0; 5]).unwrap_err().to_string();
    assert_eq!(error, "2x1 pixels of Rgb8 take 6 bytes, but 5 were given");
    assert!(matches!(Rgb::from_raw(0, 1, PixelLayout::L8, vec![]), Err(Error::NoPixels { .. })));
    assert!(Rgb::from_raw(u32::MAX, u32::MAX, PixelLayout::Rgba8, vec![0; 4]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Damage never does more than give an error or other pixels.
    #[test]
    fn damaged_files(pick: prop::sample::Index, damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let files = expected();
        let mut bytes = data(&files[pick.index(files.len())].0);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let limits = DecodeLimits { max_file_bytes: 1 << 20, max_pixels: 1 << 20 };
        for conversion in [Conversion::AsSeen, Conversion::AsStored] {
            if let Ok(picture) = Rgb::decode(&bytes, &DecodeOptions { limits, conversion }) {
                prop_assert_eq!(picture.pixels().len() as u64, u64::from(picture.width()) * u64::from(picture.height()) * 3);
            }
        }
    }
}
