//! Which resolution a picture is given, and how many tiles that makes.

use serde::Deserialize;

use crate::Normalizer;
use crate::error::{Error, Result};

/// The most pixels of a candidate resolution. Those of the published models have 1.3 million.
const MAX_CANDIDATE_PIXELS: u64 = 1 << 26;

/// A size in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "(u32, u32)")]
pub struct Resolution {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl From<(u32, u32)> for Resolution {
    fn from((width, height): (u32, u32)) -> Self {
        Self { width, height }
    }
}

impl Resolution {
    fn area(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

impl std::fmt::Display for Resolution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// How many local tiles a picture is cut into. The original's `images_spatial_crop` is `[cols, rows]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TileGrid {
    /// Tiles across.
    pub cols: u32,
    /// Tiles down.
    pub rows: u32,
}

impl TileGrid {
    /// Number of local tiles.
    pub fn tiles(self) -> usize {
        self.cols as usize * self.rows as usize
    }
}

/// Whether pictures are cut into tiles, or only looked at as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cropping {
    /// The original's rule: tiles with at most two pictures in the conversation.
    #[default]
    Auto,
    /// Always tiles.
    On,
    /// Never: every picture is a 1x1 grid.
    Off,
}

impl Cropping {
    /// Whether the pictures of a conversation with this many of them are cut into tiles.
    pub fn applies(self, pictures: usize) -> bool {
        match self {
            Cropping::Auto => pictures <= 2,
            Cropping::On => true,
            Cropping::Off => false,
        }
    }
}

/// The keys of `processor_config.json` that say how a picture becomes tiles, as they stand there.
/// Keys that are left out have the defaults of the original's processor.
#[derive(Clone, Debug, Deserialize)]
pub struct TilingConfig {
    /// The sizes, width first, to which a picture may be fitted. The first one is square and gives
    /// the side of a tile.
    pub candidate_resolutions: Vec<Resolution>,
    /// Mean of each channel, for levels of 0 to 1. It is also the colour of the padding.
    #[serde(default = "half")]
    pub image_mean: [f64; 3],
    /// Standard deviation of each channel, for levels of 0 to 1.
    #[serde(default = "half")]
    pub image_std: [f64; 3],
    /// Whether the mean and the deviation are applied.
    #[serde(default = "yes")]
    pub normalize: bool,
}

fn half() -> [f64; 3] {
    [0.5; 3]
}

fn yes() -> bool {
    true
}

/// How a model wants its pictures: the side of a tile, the candidate resolutions, the padding and
/// the normalisation. Checked when it is made, so that nothing can fail later.
#[derive(Clone, Debug)]
pub struct TilingSpec {
    tile_size: u32,
    candidates: Vec<Resolution>,
    pad_color: [u8; 3],
    normalizer: Normalizer,
}

impl TryFrom<TilingConfig> for TilingSpec {
    type Error = Error;

    /// Checks a configuration.
    ///
    /// # Errors
    /// [`Error::Config`] where there is no candidate, where a side is not a positive multiple of the
    /// first candidate's width, where a mean is not in 0..=1 or a deviation not a positive number.
    fn try_from(config: TilingConfig) -> Result<Self> {
        let tile_size = config.candidate_resolutions.first().map_or(0, |first| first.width);
        check_candidates(&config.candidate_resolutions, tile_size)?;
        let normalizer = Normalizer::new(config.image_mean, config.image_std, config.normalize)?;
        Ok(Self {
            tile_size,
            candidates: config.candidate_resolutions,
            // The original truncates: 0.5 gives 127.
            pad_color: config.image_mean.map(|mean| (mean * 255.0) as u8),
            normalizer,
        })
    }
}

fn check_candidates(candidates: &[Resolution], tile: u32) -> Result<()> {
    let error = |value: String, reason: String| Error::Config { key: "candidate_resolutions", value, reason };
    if candidates.is_empty() {
        return Err(error("[]".into(), "at least one resolution is needed".into()));
    }
    for &candidate in candidates {
        let is_multiple = |side: u32| side != 0 && side.checked_rem(tile) == Some(0);
        if !is_multiple(candidate.width) || !is_multiple(candidate.height) {
            let reason = format!("both sides must be positive multiples of the tile's side, {tile}");
            return Err(error(candidate.to_string(), reason));
        }
        if candidate.area() > MAX_CANDIDATE_PIXELS {
            let reason = format!("more than {MAX_CANDIDATE_PIXELS} pixels");
            return Err(error(candidate.to_string(), reason));
        }
    }
    Ok(())
}

impl TilingSpec {
    /// Replaces the candidate resolutions, in order of preference where two fit a picture equally.
    ///
    /// # Errors
    /// [`Error::Config`] if there is none, or a side is not a positive multiple of the tile's side.
    pub fn with_candidates(self, candidates: Vec<Resolution>) -> Result<Self> {
        check_candidates(&candidates, self.tile_size)?;
        Ok(Self { candidates, ..self })
    }

    /// Keeps only the candidate resolutions of at most so many local tiles.
    ///
    /// # Errors
    /// [`Error::TooFewTiles`] if none is left.
    pub fn with_max_tiles(mut self, max_tiles: u32) -> Result<Self> {
        let tile = u64::from(self.tile_size) * u64::from(self.tile_size);
        let tiles = |candidate: &Resolution| candidate.area() / tile;
        let smallest = self.candidates.iter().map(tiles).min().unwrap_or(1);
        self.candidates.retain(|candidate| tiles(candidate) <= u64::from(max_tiles));
        if self.candidates.is_empty() {
            return Err(Error::TooFewTiles { max_tiles, smallest });
        }
        Ok(self)
    }

    /// Side of a tile in pixels.
    pub fn tile_size(&self) -> u32 {
        self.tile_size
    }

    /// The resolutions to which a picture may be fitted; at least one.
    pub fn candidates(&self) -> &[Resolution] {
        &self.candidates
    }

    /// The colour around a picture that does not fill its tiles.
    pub fn pad_color(&self) -> [u8; 3] {
        self.pad_color
    }

    /// What turns the bytes of a tile into the encoder's numbers.
    pub fn normalizer(&self) -> &Normalizer {
        &self.normalizer
    }

    /// The candidate that keeps most of a picture's pixels, and of those the one that wastes least:
    /// `select_best_resolution` of the original's `processing_deepseek_vl_v2.py`.
    ///
    /// Sides are scaled in double precision and truncated, as Python does. If nothing of the picture
    /// is left at any resolution, it is the first candidate.
    pub fn best_resolution(&self, width: u32, height: u32) -> Resolution {
        let (width, height) = (f64::from(width), f64::from(height));
        let original_area = width as u64 * height as u64;
        let mut best = (self.candidates[0], 0, u64::MAX);
        for &candidate in &self.candidates {
            let scale = (f64::from(candidate.width) / width).min(f64::from(candidate.height) / height);
            // `as` truncates like `int()`; each side is at most the candidate's.
            let scaled_area = (width * scale) as u64 * (height * scale) as u64;
            let effective = scaled_area.min(original_area);
            let wasted = candidate.area().saturating_sub(effective);
            let (_, most_effective, least_wasted) = best;
            if effective > most_effective || (effective == most_effective && wasted < least_wasted) {
                best = (candidate, effective, wasted);
            }
        }
        best.0
    }

    /// The tile grid of a picture: that of its best resolution if it is cropped, else 1x1.
    pub fn grid(&self, width: u32, height: u32, crop: bool) -> TileGrid {
        if !crop {
            return TileGrid { cols: 1, rows: 1 };
        }
        let best = self.best_resolution(width, height);
        TileGrid { cols: best.width / self.tile_size, rows: best.height / self.tile_size }
    }
}
