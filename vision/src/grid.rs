//! Which resolution a picture is given, and how many tiles that makes.

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::{Normalizer, Placement};

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

/// How many local tiles a picture is cut into: 0x0 for a model that looks at pictures as a whole. The original's
/// `images_spatial_crop` is `[cols, rows]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TileGrid {
    /// Tiles across.
    pub cols: u32,
    /// Tiles down.
    pub rows: u32,
}

impl TileGrid {
    /// That of a model that has no local tiles.
    pub const NONE: Self = Self { cols: 0, rows: 0 };

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
    views: Views,
    pad_color: [u8; 3],
    normalizer: Normalizer,
}

/// Which views of a picture there are.
#[derive(Clone, Debug)]
enum Views {
    /// DeepSeek-VL2: the whole picture, and the tiles of one of these resolutions.
    Tiled { candidates: Vec<Resolution> },
    /// DeepSeek-VL: the whole picture, no side of which is made smaller than this.
    Whole { min_side: u32 },
}

/// How a model that looks at pictures as a whole wants them: the keys of DeepSeek-VL's `preprocessor_config.json`.
#[derive(Clone, Copy, Debug)]
pub struct WholeConfig {
    /// Side of the square that pictures are fitted into.
    pub image_size: usize,
    /// Pixels that a side has at least.
    pub min_size: usize,
    /// Mean of each channel, for levels of 0 to 1; the colour of the padding.
    pub image_mean: [f64; 3],
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
            views: Views::Tiled { candidates: config.candidate_resolutions },
            pad_color: pad_color(config.image_mean),
            normalizer,
        })
    }
}

/// The originals truncate: 0.5 gives 127.
fn pad_color(mean: [f64; 3]) -> [u8; 3] {
    mean.map(|mean| (mean * 255.0) as u8)
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
    /// That of a model that looks at pictures as a whole.
    ///
    /// # Errors
    /// [`Error::Config`] where the view would have no pixel or too many, or a side has to be larger than the view.
    pub fn whole(config: WholeConfig, normalizer: Normalizer) -> Result<Self> {
        let error = |key, value: usize, reason: String| Error::Config { key, value: value.to_string(), reason };
        let WholeConfig { image_size, min_size, image_mean } = config;
        let pixels = image_size as u128 * image_size as u128;
        let tile_size = match u32::try_from(image_size) {
            Ok(side) if side > 0 && pixels <= u128::from(MAX_CANDIDATE_PIXELS) => side,
            _ => return Err(error("image_size", image_size, format!("no view of 1 to {MAX_CANDIDATE_PIXELS} pixels"))),
        };
        let min_side = match u32::try_from(min_size) {
            Ok(side) if (1..=tile_size).contains(&side) => side,
            _ => return Err(error("min_size", min_size, format!("outside 1..={tile_size}"))),
        };
        Ok(Self { tile_size, views: Views::Whole { min_side }, pad_color: pad_color(image_mean), normalizer })
    }

    /// Replaces the candidate resolutions, in order of preference where two fit a picture equally.
    ///
    /// # Errors
    /// [`Error::Config`] if there is none, or a side is not a positive multiple of the tile's side; [`Error::NoTiles`] for a
    /// model that looks at pictures as a whole.
    pub fn with_candidates(self, candidates: Vec<Resolution>) -> Result<Self> {
        if let Views::Whole { .. } = self.views {
            return Err(Error::NoTiles);
        }
        check_candidates(&candidates, self.tile_size)?;
        Ok(Self { views: Views::Tiled { candidates }, ..self })
    }

    /// Keeps only the candidate resolutions of at most so many local tiles. A model that looks at pictures as a whole has none.
    ///
    /// # Errors
    /// [`Error::TooFewTiles`] if none is left.
    pub fn with_max_tiles(mut self, max_tiles: u32) -> Result<Self> {
        let tile = u64::from(self.tile_size) * u64::from(self.tile_size);
        let tiles = |candidate: &Resolution| candidate.area() / tile;
        let Views::Tiled { candidates } = &mut self.views else { return Ok(self) };
        let smallest = candidates.iter().map(tiles).min().unwrap_or(1);
        candidates.retain(|candidate| tiles(candidate) <= u64::from(max_tiles));
        if candidates.is_empty() {
            return Err(Error::TooFewTiles { max_tiles, smallest });
        }
        Ok(self)
    }

    /// Side of a tile in pixels.
    pub fn tile_size(&self) -> u32 {
        self.tile_size
    }

    /// The resolutions to which a picture may be fitted: at least one, or none for a model that looks at pictures as a whole.
    pub fn candidates(&self) -> &[Resolution] {
        match &self.views {
            Views::Tiled { candidates } => candidates,
            Views::Whole { .. } => &[],
        }
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
    /// is left at any resolution, it is the first candidate. Without candidates it is one tile.
    pub fn best_resolution(&self, width: u32, height: u32) -> Resolution {
        let (width, height) = (f64::from(width), f64::from(height));
        let original_area = width as u64 * height as u64;
        let tile = Resolution { width: self.tile_size, height: self.tile_size };
        let mut best = (self.candidates().first().copied().unwrap_or(tile), 0, u64::MAX);
        for &candidate in self.candidates() {
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

    /// The tile grid of a picture: that of its best resolution if it is cropped, else 1x1; [`TileGrid::NONE`] for a model
    /// that looks at pictures as a whole.
    pub fn grid(&self, width: u32, height: u32, crop: bool) -> TileGrid {
        if let Views::Whole { .. } = self.views {
            return TileGrid::NONE;
        }
        if !crop {
            return TileGrid { cols: 1, rows: 1 };
        }
        let best = self.best_resolution(width, height);
        TileGrid { cols: best.width / self.tile_size, rows: best.height / self.tile_size }
    }

    /// Where a picture lands on the square of a global view; `None` where only padding is left.
    pub fn place(&self, width: u32, height: u32) -> Option<Placement> {
        match self.views {
            Views::Tiled { .. } => {
                Placement::fit(width, height, Resolution { width: self.tile_size, height: self.tile_size })
            }
            Views::Whole { min_side } => Some(Placement::within(width, height, self.tile_size, min_side)),
        }
    }
}
