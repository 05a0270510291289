//! JPEG, by a port of libjpeg-turbo with the defaults that Pillow uses.

use image::RgbImage;
use image::metadata::Orientation;
use libjpeg_turbo_rs as turbojpeg;

use super::{DecodeLimits, Decoded};
use crate::error::{Error, Result};

/// Width, height, and how the picture lies, by the header.
pub(super) fn size(bytes: &[u8], limits: DecodeLimits) -> Result<(u32, u32, Orientation)> {
    let header = read_header(bytes, limits)?;
    Ok((header.width, header.height, header.orientation))
}

struct Header<'a> {
    decoder: turbojpeg::Decoder<'a>,
    width: u32,
    height: u32,
    orientation: Orientation,
}

fn failed(source: turbojpeg::JpegError) -> Error {
    Error::Decode { format: "JPEG", source: source.into() }
}

fn read_header(bytes: &[u8], limits: DecodeLimits) -> Result<Header<'_>> {
    // The pixel limit is checked here, where the error can name both sides.
    let allowed = turbojpeg::DecodeLimits { max_pixels: u64::MAX, ..Default::default() };
    let decoder = turbojpeg::Decoder::new_with_limits(bytes, allowed).map_err(failed)?;
    let (width, height) = (u32::from(decoder.header().width), u32::from(decoder.header().height));
    limits.check(width, height)?;
    check_sampling(decoder.header())?;
    let orientation = decoder.exif_orientation().and_then(Orientation::from_exif);
    Ok(Header { decoder, width, height, orientation: orientation.unwrap_or(Orientation::NoTransforms) })
}

/// Refuses four colours at resolutions that no encoder writes and the decoder is not made for: the
/// first and the last must be at full resolution, the other two both at that or at a whole fraction.
fn check_sampling(frame: &turbojpeg::FrameHeader) -> Result<()> {
    let factors: Vec<_> = frame.components.iter().map(|of| (of.horizontal_sampling, of.vertical_sampling)).collect();
    let &[full, part, also_part, also_full] = &factors[..] else { return Ok(()) };
    let divides = |part: u8, full: u8| full.checked_rem(part) == Some(0);
    if full == also_full && part == also_part && divides(part.0, full.0) && divides(part.1, full.1) {
        return Ok(());
    }
    Err(failed(turbojpeg::JpegError::Unsupported(format!("sampling factors {factors:?}"))))
}

pub(super) fn decode(bytes: &[u8], limits: DecodeLimits) -> Result<Decoded> {
    let Header { mut decoder, width, height, orientation } = read_header(bytes, limits)?;
    decoder.set_block_smoothing(true);
    let inks = matches!(decoder.jpeg_color_space(), turbojpeg::ColorSpace::Cmyk | turbojpeg::ColorSpace::Ycck);
    decoder.set_output_format(if inks { turbojpeg::PixelFormat::Cmyk } else { turbojpeg::PixelFormat::Rgb });
    let decoded = decoder.decode_image().map_err(failed)?;
    let pixels = if inks { rgb_from_inverted_cmyk(&decoded.data) } else { decoded.data };
    let image = RgbImage::from_raw(width, height, pixels).ok_or_else(|| failed(turbojpeg::JpegError::UnexpectedEof))?;
    Ok(Decoded { image: image.into(), orientation, always_oriented: false })
}

/// Without a colour profile: each ink takes its share of the light that black leaves. JPEG files
/// hold inks inverted, so 255 is none of it; Pillow takes that for granted, and so does this.
fn rgb_from_inverted_cmyk(cmyk: &[u8]) -> Vec<u8> {
    let (pixels, _) = cmyk.as_chunks::<4>();
    let light = |ink: u8, black: u8| {
        let taken = u32::from(255 - ink) * u32::from(black);
        black - ((taken + 128 + ((taken + 128) >> 8)) >> 8) as u8
    };
    pixels.iter().flat_map(|&[c, m, y, k]| [light(c, k), light(m, k), light(y, k)]).collect()
}
