//! Pictures that nobody looks at.

use crate::draw::encode;
use crate::{Error, Result};
use image::ImageFormat;
use seekvl_vision::{PixelLayout, Rgb};

/// Bytes without a pattern.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Slow gradients with some noise, `[height, width, 3]`: a JPEG of it has about two bits for a pixel, like a photograph's.
fn pixels(width: u32, height: u32) -> Vec<u8> {
    let mut pixels = noise((width * height * 3) as usize);
    for (y, row) in pixels.chunks_exact_mut(width as usize * 3).enumerate() {
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            let shade = [x * 160 / width as usize, y * 160 / height as usize, (x / 64 + y / 64) % 2 * 90];
            pixel.iter_mut().zip(shade).for_each(|(value, shade)| *value = *value / 10 + shade as u8);
        }
    }
    pixels
}

/// A picture of that size.
pub fn photograph(width: u32, height: u32) -> Result<Rgb> {
    Ok(Rgb::from_raw(width, height, PixelLayout::Rgb8, pixels(width, height))?)
}

/// The same as a JPEG file.
pub fn jpeg(width: u32, height: u32) -> Result<Vec<u8>> {
    encode(&photograph(width, height)?, ImageFormat::Jpeg)
        .map_err(|source| Error::Encode { path: "a photograph".into(), source })
}
