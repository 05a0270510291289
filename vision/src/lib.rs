//! From image files to patch features.
//!
//! ```text
//! file ─ Rgb::open ─► Rgb ─ Tiles::new ─► Tiles ─ Normalizer::patches ─► encoder ─► patch features
//! ```
//!
//! Everything before the encoder works on 8-bit pixels and gives the same bytes as the original
//! implementation with Pillow 13 where [`Conversion::AsStored`] is chosen; the default,
//! [`Conversion::AsSeen`], differs in how a file becomes RGB, and in nothing after that.
//!
//! ```
//! use seekvl_vision::{DecodeOptions, Rgb, TileGrid, Tiles, TilingConfig, TilingSpec};
//!
//! # fn main() -> Result<(), seekvl_vision::Error> {
//! let config = TilingConfig {
//!     candidate_resolutions: vec![(384, 384).into(), (768, 384).into(), (384, 768).into()],
//!     image_mean: [0.5; 3],
//!     image_std: [0.5; 3],
//!     normalize: true,
//! };
//! let spec = TilingSpec::try_from(config)?;
//! # let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/reference/images");
//! let picture = Rgb::open(format!("{dir}/page.png"), &DecodeOptions::default())?;
//! let tiles = Tiles::new(&picture, &spec, true);
//! assert_eq!(tiles.grid(), TileGrid { cols: 2, rows: 1 });
//! assert_eq!(tiles.len(), 3);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod attention;
mod decode;
mod error;
mod grid;
mod normalize;
mod resample;
mod rgb;
mod sam;
mod siglip;
mod tile;

pub use decode::{Conversion, DecodeLimits, DecodeOptions};
pub use error::{Error, Result};
pub use grid::{Cropping, Resolution, TileGrid, TilingConfig, TilingSpec, WholeConfig};
pub use normalize::{Level, Normalizer};
pub use resample::shrink;
pub use rgb::{PixelLayout, Rgb};
pub use sam::{Sam, SamProbe, SamSpec};
pub use siglip::{Siglip, SiglipProbe, SiglipSpec, TILES_AT_ONCE};
pub use tile::{Placement, Tiles};
