//! From the bytes of an image file to RGB pixels.
//!
//! JPEG is decoded by a port of libjpeg-turbo whose pixels equal the C library's, everything else by
//! the `image` crate. The format is told from the first bytes, never from a file's name. The size in
//! the header is held against the limits before anything of that size is allocated.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbImage};

use crate::error::{Error, Result};
use crate::rgb::{Rgb, over_white};

mod jpeg;
mod size;

/// Guards against files made to exhaust memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// The largest encoded image in bytes. Default: 256 MiB.
    pub max_file_bytes: u64,
    /// The most pixels of a decoded image. Default: 178 956 970, where Pillow too refuses a file
    /// as a decompression bomb. A decoder may use up to 16 bytes of memory for each.
    pub max_pixels: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_file_bytes: 256 << 20, max_pixels: 178_956_970 }
    }
}

/// How the content of a file becomes 8-bit RGB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Conversion {
    /// As a viewer shows it: orientation applied, transparency over white, 16 bits scaled to 8.
    #[default]
    AsSeen,
    /// As the original implementation takes it, which is Pillow's `convert("RGB")`: orientation
    /// ignored (but for TIFF, where Pillow applies it), alpha dropped without blending, 16-bit
    /// grey clipped at 255, of 16-bit colour the high byte.
    AsStored,
}

/// How to decode an image file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeOptions {
    /// What is too large.
    pub limits: DecodeLimits,
    /// How pixels are converted to RGB.
    pub conversion: Conversion,
}

impl Rgb {
    /// Reads and decodes an image file: PNG, JPEG, WebP, GIF (first frame), BMP or TIFF (first page;
    /// not those with a palette). Colour profiles are ignored.
    ///
    /// # Errors
    /// [`Error::File`], which names the path and holds the error that [`Rgb::decode`] or reading gave.
    pub fn open(path: impl AsRef<Path>, options: &DecodeOptions) -> Result<Self> {
        let path = path.as_ref();
        read(path, options.limits.max_file_bytes)
            .and_then(|bytes| Self::decode(&bytes, options))
            .map_err(|source| Error::File { path: path.to_owned(), source: Box::new(source) })
    }

    /// Decodes an image file that is in memory.
    ///
    /// # Errors
    /// [`Error::FileTooLarge`] and [`Error::TooManyPixels`] where a limit is exceeded,
    /// [`Error::UnknownFormat`], [`Error::NoPixels`], and [`Error::Decode`] for content that is
    /// damaged, truncated or of a kind that the decoder does not know.
    pub fn decode(bytes: &[u8], options: &DecodeOptions) -> Result<Self> {
        let DecodeOptions { limits, conversion } = *options;
        let size = bytes.len() as u64;
        if size > limits.max_file_bytes {
            return Err(Error::FileTooLarge { bytes: size, limit: limits.max_file_bytes });
        }
        let format = Format::sniff(bytes)?;
        let decoded = match format {
            Format::Jpeg => jpeg::decode(bytes, limits)?,
            Format::Other(format, name) => decode_other(bytes, format, name, limits)?,
        };
        Ok(decoded.into_rgb(conversion))
    }
}

/// Reads at most `limit` bytes; a pipe, whose size nobody knows beforehand, is bounded too.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    if size > limit {
        return Err(Error::FileTooLarge { bytes: size, limit });
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Which decoder the bytes are for.
enum Format {
    Jpeg,
    Other(ImageFormat, &'static str),
}

impl Format {
    fn sniff(bytes: &[u8]) -> Result<Self> {
        Ok(match image::guess_format(bytes) {
            Ok(ImageFormat::Jpeg) => Self::Jpeg,
            Ok(format @ ImageFormat::Bmp) => Self::Other(format, "BMP"),
            Ok(format @ ImageFormat::Gif) => Self::Other(format, "GIF"),
            Ok(format @ ImageFormat::Png) => Self::Other(format, "PNG"),
            Ok(format @ ImageFormat::Tiff) => Self::Other(format, "TIFF"),
            Ok(format @ ImageFormat::WebP) => Self::Other(format, "WebP"),
            _ => {
                return Err(Error::UnknownFormat { start: bytes.iter().copied().take(8).collect() });
            }
        })
    }
}

/// The pixels as the decoder gave them, and how to turn them upright.
struct Decoded {
    image: DynamicImage,
    orientation: Orientation,
    /// Pillow turns the pages of a TIFF while it loads them, and nothing else.
    always_oriented: bool,
}

/// Decodes everything but JPEG.
fn decode_other(bytes: &[u8], format: ImageFormat, name: &'static str, limits: DecodeLimits) -> Result<Decoded> {
    let (decoder, orientation) = open_other(bytes, format, name, limits)?;
    let image = DynamicImage::from_decoder(decoder).map_err(|source| refused(source, name, limits))?;
    Ok(Decoded { image, orientation, always_oriented: format == ImageFormat::Tiff })
}

/// Reads the header of everything but JPEG, and checks the size.
fn open_other(
    bytes: &[u8],
    format: ImageFormat,
    name: &'static str,
    limits: DecodeLimits,
) -> Result<(impl ImageDecoder, Orientation)> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(allocation_limits(limits));
    let mut decoder = reader.into_decoder().map_err(|source| refused(source, name, limits))?;
    let (width, height) = decoder.dimensions();
    limits.check(width, height)?;
    // A picture with damaged metadata is shown as it is stored.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((decoder, orientation))
}

fn refused(source: ImageError, format: &'static str, limits: DecodeLimits) -> Error {
    match source {
        ImageError::Limits(_) => Error::TooMuchMemory { format, limit: limits.max_pixels },
        source => Error::Decode { format, source: source.into() },
    }
}

/// For decoders that allocate while they read the header, before its size can be checked.
fn allocation_limits(limits: DecodeLimits) -> image::Limits {
    // A side is at most the whole area, and the widest pixel (16-bit RGBA) takes 8 bytes.
    let longest_side = u32::try_from(limits.max_pixels).unwrap_or(u32::MAX);
    let mut allowed = image::Limits::default();
    allowed.max_image_width = Some(longest_side);
    allowed.max_image_height = Some(longest_side);
    allowed.max_alloc = Some(limits.max_pixels.saturating_mul(8).max(1 << 20));
    allowed
}

impl DecodeLimits {
    fn check(&self, width: u32, height: u32) -> Result<()> {
        if width == 0 || height == 0 {
            return Err(Error::NoPixels { width, height });
        }
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(Error::TooManyPixels { width, height, limit: self.max_pixels });
        }
        Ok(())
    }
}

impl Decoded {
    fn into_rgb(self, conversion: Conversion) -> Rgb {
        let rgb = match conversion {
            Conversion::AsSeen => as_seen(self.image),
            Conversion::AsStored => as_stored(self.image),
        };
        let rgb = if conversion == Conversion::AsSeen || self.always_oriented {
            let mut image = DynamicImage::from(rgb);
            image.apply_orientation(self.orientation);
            image.into_rgb8()
        } else {
            rgb
        };
        Rgb::new(rgb.width(), rgb.height(), rgb.into_raw())
    }
}

fn as_seen(image: DynamicImage) -> RgbImage {
    if !image.has_alpha() {
        return image.into_rgb8();
    }
    let rgba = image.into_rgba8();
    rebuilt(rgba.width(), rgba.height(), over_white(&rgba))
}

fn as_stored(image: DynamicImage) -> RgbImage {
    let (width, height) = (image.width(), image.height());
    let high = |level: u16| (level >> 8) as u8;
    let pixels = match image {
        DynamicImage::ImageLuma16(grey) => grey.iter().flat_map(|&level| [level.min(255) as u8; 3]).collect(),
        DynamicImage::ImageLumaA16(grey) => grey.pixels().flat_map(|pixel| [high(pixel.0[0]); 3]).collect(),
        DynamicImage::ImageRgb16(rgb) => rgb.iter().copied().map(high).collect(),
        DynamicImage::ImageRgba16(rgba) => rgba.pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2]].map(high)).collect(),
        other => return other.into_rgb8(),
    };
    rebuilt(width, height, pixels)
}

fn rebuilt(width: u32, height: u32, pixels: Vec<u8>) -> RgbImage {
    RgbImage::from_raw(width, height, pixels).expect("three bytes were made for each pixel")
}
