//! The size of a picture by its header, without decoding it.

use std::path::Path;

use image::metadata::Orientation;
use image::{ImageDecoder, ImageFormat};

use super::{Conversion, DecodeOptions, Format, jpeg, open_other, read};
use crate::error::{Error, Result};
use crate::rgb::Rgb;

impl Rgb {
    /// Width and height that [`Rgb::open`] would give, by the file's header.
    ///
    /// # Errors
    /// As [`Rgb::open`], but for damage after the header, which is not looked for.
    pub fn size_of_file(path: impl AsRef<Path>, options: &DecodeOptions) -> Result<(u32, u32)> {
        let path = path.as_ref();
        read(path, options.limits.max_file_bytes)
            .and_then(|bytes| Self::size_of(&bytes, options))
            .map_err(|source| Error::File { path: path.to_owned(), source: Box::new(source) })
    }

    /// Width and height that [`Rgb::decode`] would give, by the header.
    ///
    /// # Errors
    /// As [`Rgb::decode`], but for damage after the header, which is not looked for.
    pub fn size_of(bytes: &[u8], options: &DecodeOptions) -> Result<(u32, u32)> {
        let DecodeOptions { limits, conversion } = *options;
        let size = bytes.len() as u64;
        if size > limits.max_file_bytes {
            return Err(Error::FileTooLarge { bytes: size, limit: limits.max_file_bytes });
        }
        let (width, height, orientation, always_oriented) = match Format::sniff(bytes)? {
            Format::Jpeg => {
                let (width, height, orientation) = jpeg::size(bytes, limits)?;
                (width, height, orientation, false)
            }
            Format::Other(format, name) => {
                let (decoder, orientation) = open_other(bytes, format, name, limits)?;
                let (width, height) = decoder.dimensions();
                (width, height, orientation, format == ImageFormat::Tiff)
            }
        };
        let on_its_side = matches!(
            orientation,
            Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
        );
        let turned = on_its_side && (conversion == Conversion::AsSeen || always_oriented);
        Ok(if turned { (height, width) } else { (width, height) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_agrees_with_the_pixels() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/reference/images");
        let mut turned = 0;
        for conversion in [Conversion::AsSeen, Conversion::AsStored] {
            let options = DecodeOptions { conversion, ..DecodeOptions::default() };
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let picture = Rgb::open(&path, &options).unwrap();
                let size = Rgb::size_of_file(&path, &options).unwrap();
                assert_eq!(size, (picture.width(), picture.height()), "{} {conversion:?}", path.display());
                let stored = DecodeOptions { conversion: Conversion::AsStored, ..options };
                turned += usize::from(size != Rgb::size_of_file(&path, &stored).unwrap());
            }
        }
        assert!(turned > 0, "no picture lies on its side");
    }
}
