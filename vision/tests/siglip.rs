//! The tower against the original's outputs.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use seekvl_nn::{Activation, Checkpoint, Device, Loader, Tensor, WeightType, to_vec};
use seekvl_vision::{Siglip, SiglipProbe, SiglipSpec};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CHECKPOINTS: [(&str, SiglipSpec); 3] = [
    (
        "vl2-tiny-like",
        SiglipSpec {
            image_size: 48,
            patch_size: 14,
            width: 48,
            layers: 3,
            heads: 4,
            mlp: 179,
            activation: Activation::GeluTanh,
        },
    ),
    (
        "vl2-small-like",
        SiglipSpec {
            image_size: 64,
            patch_size: 14,
            width: 56,
            layers: 2,
            heads: 4,
            mlp: 209,
            activation: Activation::GeluTanh,
        },
    ),
    (
        "vl2-base-like",
        SiglipSpec {
            image_size: 80,
            patch_size: 14,
            width: 64,
            layers: 3,
            heads: 4,
            mlp: 239,
            activation: Activation::GeluTanh,
        },
    ),
];

fn loader(dir: &Path, is_wanted: fn(&str) -> bool) -> Loader {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.ends_with(".safetensors") && is_wanted(name)
    });
    Loader::new(Arc::new(Checkpoint::open(&files).unwrap()), Device::Cpu, WeightType::AsStored).unwrap()
}

/// Largest difference as a share of the largest expected magnitude.
fn error(got: &Tensor, expected: &Tensor) -> f32 {
    assert_eq!(got.dims(), expected.dims());
    let (got, expected) = (to_vec(got).unwrap(), to_vec(expected).unwrap());
    let largest = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
    got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max) / largest
}

/// Patches `[tiles, patches, 3 · p²]` of pixels `[tiles, 3, side, side]`, by the definition.
fn patches(pixels: &Tensor, spec: &SiglipSpec) -> Tensor {
    let (grid, p) = (spec.grid(), spec.patch_size);
    let seen = pixels.narrow(2, 0, grid * p).unwrap().narrow(3, 0, grid * p).unwrap().contiguous().unwrap();
    let tiles = pixels.dim(0).unwrap();
    let split = seen.reshape(&[tiles, 3, grid, p, grid, p][..]).unwrap().permute([0, 2, 4, 1, 3, 5]).unwrap();
    split.contiguous().unwrap().reshape((tiles, grid * grid, 3 * p * p)).unwrap()
}

struct Compare {
    golden: Loader,
    shape: [usize; 3],
    seen: usize,
}

impl Compare {
    fn check(&mut self, name: &str, first: usize, x: &Tensor) {
        let expected = self.golden.tensor(name, &self.shape).unwrap();
        let both = x.dim(0).unwrap().min(self.shape[0].saturating_sub(first));
        if both > 0 {
            let error = error(&x.narrow(0, 0, both).unwrap(), &expected.narrow(0, first, both).unwrap());
            assert!(error < 2e-6, "{name}, view {first}: {error:e}");
            self.seen += both;
        }
    }
}

impl SiglipProbe for Compare {
    fn embedded(&mut self, first: usize, x: &Tensor) {
        self.check("one_image.vision_embed", first, x);
    }

    fn block(&mut self, first: usize, block: usize, x: &Tensor) {
        self.check(&format!("one_image.vision_block.{block}"), first, x);
    }
}

#[test]
fn every_block_equals_the_originals() {
    for (name, spec) in CHECKPOINTS {
        let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/reference")).join(name);
        let weights = loader(&dir, |name| name.starts_with("model"));
        let siglip = Siglip::load(&weights.at("vision"), spec).unwrap();
        let golden = loader(&dir, |name| name.starts_with("golden"));
        let side = spec.image_size;

        let pixels = golden.tensor("one_image_tiny.pixel_values", &[2, 3, side, side]).unwrap();
        let features = siglip.forward(&patches(&pixels, &spec), &mut ()).unwrap().unwrap();
        let expected = golden.tensor("one_image_tiny.vision", &[2, spec.patches(), spec.width]).unwrap();
        let largest = error(&features, &expected);
        assert!(largest < 2e-6, "{name}: {largest:e}");

        let pixels = ten_tiles(&dir, side);
        let mut probe = Compare { golden: golden.clone(), shape: [2, spec.patches(), spec.width], seen: 0 };
        let features = siglip.forward(&patches(&pixels, &spec), &mut probe).unwrap().unwrap();
        assert_eq!(probe.seen, 2 * (1 + spec.layers));
        let expected = golden.tensor("one_image.vision", &[10, spec.patches(), spec.width]).unwrap();
        let largest = error(&features, &expected);
        assert!(largest < 2e-6, "{name}: {largest:e}");
    }
}

/// The normalised views of request `one_image`.
fn ten_tiles(dir: &Path, side: usize) -> Tensor {
    let bytes = std::fs::read(dir.join("golden.safetensors")).unwrap();
    let golden = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let pixels = golden.tensor("one_image.pixels_u8").unwrap();
    assert_eq!(pixels.shape(), [10, side, side, 3]);
    let values: Vec<f32> = pixels.data().iter().map(|&v| (f32::from(v) / 255.0 - 0.5) / 0.5).collect();
    let pixels = Tensor::from_vec(values, (10, side, side, 3), &Device::Cpu).unwrap();
    pixels.permute([0, 3, 1, 2]).unwrap().contiguous().unwrap()
}
