//! Boxes drawn on the image that they were found in.
//!
//! Every label has a colour of its own. Lines carry a thin rim, black or white, so that they stand out from a picture of
//! any colour; labels are black or white on their colour, whichever reads better, and stay within the picture, out of each
//! other's way where there is room.

mod canvas;
mod label;

use crate::boxes::Region;
use crate::{Error, Result};
use ab_glyph::FontRef;
use canvas::{Canvas, Rect};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageFormat, ImageResult};
use label::{Label, Labels};
use seekvl_vision::{PixelLayout, Rgb};
use std::io::Cursor;
use std::path::Path;

/// A subset of WenQuanYi Micro Hei: Latin, Greek, Cyrillic, kana and the 3755 common Chinese characters.
const FONT: &[u8] = include_bytes!("assets/wqy-microhei-subset.ttf");

const JPEG_QUALITY: u8 = 92;

/// Colours that are told apart by most eyes, on each other and beside each other.
const PALETTE: [[u8; 3]; 10] = [
    [230, 25, 75],
    [0, 130, 200],
    [255, 225, 25],
    [60, 180, 75],
    [245, 130, 48],
    [145, 30, 180],
    [70, 240, 240],
    [240, 50, 230],
    [170, 110, 40],
    [210, 245, 60],
];

/// How boxes are drawn. The default suits the size of the picture.
#[derive(Clone, Debug, Default)]
pub struct DrawOptions {
    /// Height of the letters in pixels, from 4 to 1000.
    pub font_size: Option<f32>,
    /// Width of the lines in pixels, from 1 to 1000.
    pub line_width: Option<u32>,
    /// A TrueType or OpenType font for scripts that the one built in lacks.
    pub font: Option<Vec<u8>>,
}

/// Draws the boxes of an answer, with their labels, on a copy of the image. Invalid boxes are left out.
///
/// # Errors
/// [`Error::Font`] if the font of the options cannot be read.
pub fn draw(image: &Rgb, regions: &[Region], options: &DrawOptions) -> Result<Rgb> {
    let font = FontRef::try_from_slice(options.font.as_deref().unwrap_or(FONT)).map_err(|_| Error::Font)?;
    let (width, height) = (image.width(), image.height());
    // About 28 pixels in a picture of 1024 × 768.
    let fitting = ((f64::from(width) * f64::from(height)).sqrt() as f32 * 0.032).clamp(13.0, 160.0);
    let font_size = options.font_size.filter(|size| size.is_finite()).unwrap_or(fitting).clamp(4.0, 1000.0);
    let line = options.line_width.unwrap_or(((font_size / 9.0).round() as u32).max(2)).clamp(1, 1000);

    let mut canvas = Canvas::new(image);
    let mut marks = marks(regions, width, height);
    // Small boxes over large ones.
    marks.sort_by_key(|mark| std::cmp::Reverse(mark.rect.area()));
    for mark in &marks {
        canvas.frame(mark.rect, i64::from(line), mark.color);
    }
    let mut labels = Labels::new(&canvas, &font, font_size);
    for mark in &marks {
        if let Some(text) = mark.label {
            labels.place(Label { text, anchor: mark.rect, color: mark.color });
        }
    }
    let placed = labels.finish();
    for one in &placed {
        one.draw(&mut canvas, &font);
    }
    Ok(Rgb::from_raw(width, height, PixelLayout::Rgb8, canvas.into_pixels())?)
}

/// Writes an image as PNG, JPEG, WebP, BMP, TIFF or GIF, as the file's name ends.
///
/// # Errors
/// [`Error::ImageFormat`] for another ending, [`Error::Encode`], [`Error::Read`] if the file cannot be written. The file is
/// not touched before the image is encoded.
pub fn save(image: &Rgb, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let format = format_of(path)?;
    let encoded = encode(image, format).map_err(|source| Error::Encode { path: path.into(), source })?;
    std::fs::write(path, encoded).map_err(|source| Error::Read { path: path.into(), source })
}

/// The content of an image file.
pub(crate) fn encode(image: &Rgb, format: ImageFormat) -> ImageResult<Vec<u8>> {
    let mut encoded = Cursor::new(Vec::new());
    let (pixels, width, height) = (image.pixels(), image.width(), image.height());
    match format {
        ImageFormat::Jpeg => JpegEncoder::new_with_quality(&mut encoded, JPEG_QUALITY).encode(
            pixels,
            width,
            height,
            ExtendedColorType::Rgb8,
        ),
        format => image::write_buffer_with_format(&mut encoded, pixels, width, height, ExtendedColorType::Rgb8, format),
    }?;
    Ok(encoded.into_inner())
}

/// Whether [`save`] can write a file of this name; nothing is touched.
///
/// # Errors
/// [`Error::ImageFormat`].
pub fn check_format(path: impl AsRef<Path>) -> Result<()> {
    format_of(path.as_ref()).map(drop)
}

fn format_of(path: &Path) -> Result<ImageFormat> {
    ImageFormat::from_path(path)
        .ok()
        .filter(ImageFormat::writing_enabled)
        .ok_or_else(|| Error::ImageFormat { path: path.into() })
}

/// A valid box in pixels.
struct Mark<'a> {
    rect: Rect,
    label: Option<&'a str>,
    color: [u8; 3],
}

fn marks(regions: &[Region], width: u32, height: u32) -> Vec<Mark<'_>> {
    let mut seen = std::collections::HashMap::new();
    let mut marks = Vec::new();
    let boxes = regions.iter().flat_map(|region| region.boxes.iter().map(|one| (region.label.as_deref(), one)));
    for (label, one) in boxes {
        let next = seen.len();
        let color = PALETTE[*seen.entry(label).or_insert(next) % PALETTE.len()];
        if let Some([x1, y1, x2, y2]) = one.pixels(width, height) {
            let rect = Rect {
                left: x1.floor() as i64,
                top: y1.floor() as i64,
                right: x2.ceil() as i64,
                bottom: y2.ceil() as i64,
            };
            marks.push(Mark { rect, label: label.filter(|label| !label.is_empty()), color });
        }
    }
    marks
}
