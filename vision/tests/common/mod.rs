//! What the tests share: the reference data.

#![allow(dead_code, clippy::unwrap_used, reason = "each test uses its part; a failed unwrap is a failed test")]

use safetensors::SafeTensors;
use seekvl_vision::{Conversion, DecodeOptions, PixelLayout, Rgb, TilingConfig, TilingSpec};
use serde_json::Value;

/// The repository's reference data.
pub const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/reference");
/// As the original takes pictures.
pub const AS_STORED: DecodeOptions = DecodeOptions {
    limits: seekvl_vision::DecodeLimits { max_file_bytes: 1 << 28, max_pixels: 178_956_970 },
    conversion: Conversion::AsStored,
};

pub fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(format!("{REFERENCE}/{name}")).unwrap()).unwrap()
}

/// The tiling of a configuration that has the processor's keys.
pub fn spec(config: &Value) -> TilingSpec {
    serde_json::from_value::<TilingConfig>(config.clone()).unwrap().try_into().unwrap()
}

/// `preprocess.safetensors`.
pub struct Arrays(Vec<u8>);

impl Arrays {
    pub fn open() -> Self {
        Self(std::fs::read(format!("{REFERENCE}/preprocess.safetensors")).unwrap())
    }

    pub fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).unwrap()
    }
}

/// A picture stored as `[height, width, 3]`.
pub fn stored_rgb(tensors: &SafeTensors<'_>, name: &str) -> Option<Rgb> {
    let tensor = tensors.tensor(name).ok()?;
    let [height, width, 3] = *tensor.shape() else { panic!("{name}: {:?}", tensor.shape()) };
    Some(Rgb::from_raw(width as u32, height as u32, PixelLayout::Rgb8, tensor.data().to_vec()).unwrap())
}

pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A picture without symmetries, so that every turn and flip of it is another picture.
pub fn drawn(width: u32, height: u32) -> Rgb {
    let level = |x: u32, y: u32, c: u32| ((x * 37 + y * 91 + x * y * 5 + c * 83) % 256) as u8;
    let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| level(x, y, c)))).collect();
    Rgb::from_raw(width, height, PixelLayout::Rgb8, pixels).unwrap()
}
