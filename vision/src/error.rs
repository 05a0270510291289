//! The errors of this crate.

use std::path::PathBuf;

use crate::PixelLayout;

/// What can go wrong between an image file and its tiles.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something went wrong with one file; the source says what.
    #[error("cannot use the image {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong with it.
        source: Box<Error>,
    },
    /// The file could not be read.
    #[error("it cannot be read")]
    Io(#[from] std::io::Error),
    /// The encoded image is larger than [`DecodeLimits::max_file_bytes`](crate::DecodeLimits).
    #[error("the image file has {} bytes, more than the limit of {limit}", at_least(*.bytes, *.limit))]
    FileTooLarge {
        /// Its size in bytes, as far as it is known: reading stops one byte past the limit.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The header announces more pixels than [`DecodeLimits::max_pixels`](crate::DecodeLimits).
    #[error("the image is {width}x{height}, which is more than the limit of {limit} pixels")]
    TooManyPixels {
        /// Width in pixels, from the header.
        width: u32,
        /// Height in pixels, from the header.
        height: u32,
        /// The limit in pixels.
        limit: u64,
    },
    /// The decoder would take more memory than [`DecodeLimits::max_pixels`](crate::DecodeLimits) allows for.
    #[error("the {format} image takes more memory to decode than the limit of {limit} pixels allows for")]
    TooMuchMemory {
        /// Name of the format, such as `PNG`.
        format: &'static str,
        /// The limit in pixels.
        limit: u64,
    },
    /// An image without pixels.
    #[error("the image is {width}x{height}: it has no pixels")]
    NoPixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The bytes start like none of the supported formats.
    #[error("not a PNG, JPEG, WebP, GIF, BMP or TIFF image ({})", resembled(start))]
    UnknownFormat {
        /// The first bytes, at most eight.
        start: Vec<u8>,
    },
    /// The decoder of the format refused the bytes.
    #[error("broken or unsupported {format} image")]
    Decode {
        /// Name of the format, such as `JPEG`.
        format: &'static str,
        /// What the decoder said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A pixel buffer whose length does not fit its dimensions.
    #[error("{width}x{height} pixels of {layout:?} take {expected} bytes, but {got} were given")]
    BufferLength {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// How the buffer was said to be laid out.
        layout: PixelLayout,
        /// Bytes that such an image takes.
        expected: u64,
        /// Bytes that were given.
        got: usize,
    },
    /// A key of the processor's configuration has a value that makes no sense.
    #[error("processor configuration: `{key}` is {value}: {reason}")]
    Config {
        /// The key, as in `processor_config.json` or `preprocessor_config.json`.
        key: &'static str,
        /// Its value.
        value: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// Candidate resolutions for a model that looks at pictures as a whole.
    #[error("this model does not cut pictures into tiles")]
    NoTiles,
    /// No candidate resolution is as small as the caller wants.
    #[error("no candidate resolution has at most {max_tiles} tiles: the smallest has {smallest}")]
    TooFewTiles {
        /// The most local tiles that were allowed.
        max_tiles: u32,
        /// Tiles of the smallest candidate.
        smallest: u64,
    },
}

fn at_least(bytes: u64, limit: u64) -> String {
    if bytes == limit.saturating_add(1) { format!("at least {bytes}") } else { bytes.to_string() }
}

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a file is instead of an image that can be read, by its first bytes.
fn resembled(start: &[u8]) -> String {
    match start {
        [] => "it is empty".into(),
        [b'%', b'P', b'D', b'F', ..] => "it is a PDF; pdftoppm -png makes pictures of its pages".into(),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "it is HEIC, AVIF or a film; save it as JPEG or PNG".into(),
        [b'<', ..] => "it looks like SVG, HTML or XML".into(),
        start => format!("it starts with {start:02x?}"),
    }
}
