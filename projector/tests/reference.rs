//! The projector against the original's outputs.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use seekvl_nn::{Checkpoint, Device, Loader, Tensor, WeightType, to_vec};
use seekvl_projector::{ImageLayout, Projector, ProjectorSpec, ViewOrder};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn loader(files: &[PathBuf]) -> Loader {
    Loader::new(Arc::new(Checkpoint::open(files).unwrap()), Device::Cpu, WeightType::AsStored).unwrap()
}

fn error(got: &Tensor, expected: &Tensor) -> f32 {
    assert_eq!(got.dims(), expected.dims());
    let (got, expected) = (to_vec(got).unwrap(), to_vec(expected).unwrap());
    let largest = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
    got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max) / largest
}

#[test]
fn projected_and_arranged_rows_equal_the_originals() {
    let cases = [
        ("vl2-tiny-like", vec!["model.safetensors"], 9, 48, 64),
        ("vl2-small-like", vec!["model.safetensors"], 16, 56, 72),
        ("vl2-base-like", vec!["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"], 25, 64, 80),
    ];
    for (name, files, patches, input_dim, hidden) in cases {
        let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/reference")).join(name);
        let spec = ProjectorSpec {
            input_dim,
            hidden_dim: hidden,
            output_dim: hidden,
            depth: 2,
            downsample: 2,
            is_split: false,
            has_separators: true,
        };
        let files: Vec<PathBuf> = files.iter().map(|file| dir.join(file)).collect();
        let projector = Projector::load(&loader(&files), spec).unwrap();
        let golden = loader(&[dir.join("golden.safetensors")]);
        let side = spec.tokens_per_side((patches as f64).sqrt() as usize);
        let layout = ImageLayout { side, order: ViewOrder::GlobalFirst };

        let features = golden.tensor("one_image_tiny.vision", &[2, patches, input_dim]).unwrap();
        let tokens = projector.forward(&features, None).unwrap();
        let expected = golden.tensor("one_image_tiny.projector", &[2, side * side, hidden]).unwrap();
        let largest = error(&tokens, &expected);
        assert!(largest < 2e-6, "{name}: {largest:e}");

        // In the sequence the image's rows follow "What colour is this? ".
        let rows = projector.arrange(&tokens, (1, 1), &layout).unwrap();
        let length = prompt_length(&dir);
        let embeds = golden.tensor("one_image_tiny.inputs_embeds", &[1, length, hidden]).unwrap().squeeze(0).unwrap();
        let start = image_start(&dir);
        let expected = embeds.narrow(0, start, layout.slots(1, 1)).unwrap();
        let largest = error(&rows, &expected);
        assert!(largest < 2e-6, "{name} arranged: {largest:e}");
    }
}

fn mask(dir: &Path) -> Vec<bool> {
    let bytes = std::fs::read(dir.join("golden.safetensors")).unwrap();
    let golden = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    golden.tensor("one_image_tiny.images_seq_mask").unwrap().data().iter().map(|&byte| byte != 0).collect()
}

fn prompt_length(dir: &Path) -> usize {
    mask(dir).len()
}

fn image_start(dir: &Path) -> usize {
    mask(dir).iter().position(|&is_image| is_image).unwrap()
}
