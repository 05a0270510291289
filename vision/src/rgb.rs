//! A decoded picture.

use crate::error::{Error, Result};

/// How the bytes of a pixel buffer in memory are laid out: row by row, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PixelLayout {
    /// One byte per pixel: grey.
    L8,
    /// Three bytes per pixel: red, green, blue.
    Rgb8,
    /// Four bytes per pixel: red, green, blue, alpha (straight, not premultiplied).
    Rgba8,
}

impl PixelLayout {
    /// Bytes that one pixel takes.
    pub const fn bytes_per_pixel(self) -> usize {
        match self {
            PixelLayout::L8 => 1,
            PixelLayout::Rgb8 => 3,
            PixelLayout::Rgba8 => 4,
        }
    }
}

/// A picture of at least one pixel: 8-bit RGB, `[height, width, 3]`, row by row.
#[derive(Clone, PartialEq, Eq)]
pub struct Rgb {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Rgb {
    /// Takes pixels that are already in memory. Alpha is blended over white.
    ///
    /// # Errors
    /// [`Error::NoPixels`] if a side is zero, [`Error::BufferLength`] if `bytes` is not exactly
    /// as long as the dimensions and the layout say.
    pub fn from_raw(width: u32, height: u32, layout: PixelLayout, bytes: Vec<u8>) -> Result<Self> {
        if width == 0 || height == 0 {
            return Err(Error::NoPixels { width, height });
        }
        let expected = u128::from(width) * u128::from(height) * layout.bytes_per_pixel() as u128;
        if bytes.len() as u128 != expected {
            let expected = u64::try_from(expected).unwrap_or(u64::MAX);
            return Err(Error::BufferLength { width, height, layout, expected, got: bytes.len() });
        }
        let pixels = match layout {
            PixelLayout::L8 => bytes.iter().flat_map(|&grey| [grey; 3]).collect(),
            PixelLayout::Rgb8 => bytes,
            PixelLayout::Rgba8 => over_white(&bytes),
        };
        Ok(Self { width, height, pixels })
    }

    /// A picture whose length is right by construction.
    pub(crate) fn new(width: u32, height: u32, pixels: Vec<u8>) -> Self {
        debug_assert_eq!(pixels.len(), width as usize * height as usize * 3);
        Self { width, height, pixels }
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels, `[height, width, 3]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Gives the pixels away, `[height, width, 3]`.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }
}

impl std::fmt::Debug for Rgb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rgb({}x{})", self.width, self.height)
    }
}

/// Blends straight-alpha RGBA pixels over white, rounded to the nearest level.
pub(crate) fn over_white(rgba: &[u8]) -> Vec<u8> {
    let (pixels, _) = rgba.as_chunks::<4>();
    let blend = |level: u8, alpha: u8| {
        let (level, alpha) = (u32::from(level), u32::from(alpha));
        ((level * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    pixels.iter().flat_map(|&[r, g, b, a]| [blend(r, a), blend(g, a), blend(b, a)]).collect()
}
