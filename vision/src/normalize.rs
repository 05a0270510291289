//! From the bytes of a view to the numbers that the encoder takes.

use crate::error::{Error, Result};

const CHANNELS: usize = 3;

/// A channel of a pixel: a level of 0 to 255, or the share of light, from 0 to 1, that it stands for.
pub trait Level: Copy {
    /// Its normalised value in a channel (0 red, 1 green, 2 blue).
    ///
    /// # Panics
    /// If `channel` is not below 3.
    fn normalized(self, by: &Normalizer, channel: usize) -> f32;
}

impl Level for u8 {
    fn normalized(self, by: &Normalizer, channel: usize) -> f32 {
        by.table[channel][usize::from(self)]
    }
}

impl Level for f32 {
    fn normalized(self, by: &Normalizer, channel: usize) -> f32 {
        (self - by.mean[channel]) / by.std[channel]
    }
}

/// Turns levels of 0 to 255 into `(level / 255 - mean) / std` in f32, with one table per channel:
/// what torchvision's `ToTensor` and `Normalize` compute.
#[derive(Clone, PartialEq)]
pub struct Normalizer {
    mean: [f32; CHANNELS],
    std: [f32; CHANNELS],
    table: Box<[[f32; 256]; CHANNELS]>,
}

impl Normalizer {
    /// Makes the tables; with `normalize` off the values are `level / 255`.
    ///
    /// # Errors
    /// [`Error::Config`] if a mean is not in 0..=1, or a deviation is not a positive, finite number.
    pub fn new(mean: [f64; 3], std: [f64; 3], normalize: bool) -> Result<Self> {
        let error = |key, value: [f64; 3], reason: &str| Error::Config {
            key,
            value: format!("{value:?}"),
            reason: reason.to_owned(),
        };
        if !mean.iter().all(|mean| (0.0..=1.0).contains(mean)) {
            return Err(error("image_mean", mean, "each must be from 0 to 1"));
        }
        if !std.iter().all(|&std| std as f32 > 0.0 && (std as f32).is_finite()) {
            return Err(error("image_std", std, "each must be a positive, finite number"));
        }
        let (mean, std) = if normalize { (mean, std) } else { ([0.0; CHANNELS], [1.0; CHANNELS]) };
        let (mean, std) = (mean.map(|mean| mean as f32), std.map(|std| std as f32));
        let level = |level: usize, channel: usize| (level as f32 / 255.0 - mean[channel]) / std[channel];
        let table = std::array::from_fn(|channel| std::array::from_fn(|value| level(value, channel)));
        Ok(Self { mean, std, table: Box::new(table) })
    }

    /// The value of each level of a channel (0 red, 1 green, 2 blue).
    ///
    /// # Panics
    /// If `channel` is not below 3.
    pub fn levels(&self, channel: usize) -> &[f32; 256] {
        &self.table[channel]
    }

    /// Normalises pixels `[n, 3]` into planes `[3, n]`, such as a view `[S, S, 3]` into `[3, S, S]`.
    ///
    /// # Panics
    /// If `planes` is not as long as `pixels`, or that is not a multiple of 3.
    pub fn planes<L: Level>(&self, pixels: &[L], planes: &mut [f32]) {
        assert!(pixels.len() == planes.len() && pixels.len().is_multiple_of(CHANNELS), "pixels [n, 3], planes [3, n]");
        let (pixels, _) = pixels.as_chunks::<CHANNELS>();
        for (channel, plane) in planes.chunks_exact_mut(pixels.len().max(1)).enumerate() {
            for (value, pixel) in plane.iter_mut().zip(pixels) {
                *value = pixel[channel].normalized(self, channel);
            }
        }
    }

    /// Normalises a view `[size, size, 3]` into rows of patches `[(size / patch)^2, 3 * patch^2]`,
    /// patches row by row, the values of each in the order channel, line, column. That is the order
    /// of a convolution's weight `[W, 3, patch, patch]`, so a patch embedding with stride `patch` is
    /// one matrix product. Pixels beyond the last whole patch, at the right and the bottom, are left
    /// out, as such a convolution leaves them: a view of 384 has 27x27 patches of 14.
    ///
    /// # Panics
    /// If the lengths are others, or `patch` is zero.
    pub fn patches<L: Level>(&self, view: &[L], size: usize, patch: usize, rows: &mut [f32]) {
        let across = size / patch;
        assert_eq!(view.len(), size * size * CHANNELS, "a view is [size, size, 3]");
        assert_eq!(rows.len(), across * across * CHANNELS * patch * patch, "rows are [patches, 3 * patch^2]");
        if rows.is_empty() {
            return;
        }
        let (pixels, _) = view.as_chunks::<CHANNELS>();
        for (index, row) in rows.chunks_exact_mut(CHANNELS * patch * patch).enumerate() {
            let corner = index / across * patch * size + index % across * patch;
            for (channel, plane) in row.chunks_exact_mut(patch * patch).enumerate() {
                for (dy, line) in plane.chunks_exact_mut(patch).enumerate() {
                    let pixels = &pixels[corner + dy * size..][..patch];
                    for (value, pixel) in line.iter_mut().zip(pixels) {
                        *value = pixel[channel].normalized(self, channel);
                    }
                }
            }
        }
    }
}

impl std::fmt::Debug for Normalizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let range = |channel: &[f32; 256]| (channel[0], channel[255]);
        f.debug_struct("Normalizer").field("ranges", &self.table.each_ref().map(range)).finish()
    }
}
