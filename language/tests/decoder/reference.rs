//! The repository's small checkpoints, and what the original computes on them.

use safetensors::SafeTensors;
use seekvl_language::{Decoder, DecoderSpec, LanguageConfig};
use seekvl_nn::{Checkpoint, Device, Loader, Tensor, WeightType, to_vec};
use std::path::PathBuf;
use std::sync::Arc;

pub const NAMES: [&str; 3] = ["vl2-tiny-like", "vl2-small-like", "vl2-base-like"];

pub fn directory(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/reference")).join(name)
}

pub fn checkpoint(name: &str) -> Arc<Checkpoint> {
    let mut shards: Vec<PathBuf> = std::fs::read_dir(directory(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("model"))
        .collect();
    shards.sort();
    Arc::new(Checkpoint::open(&shards).unwrap())
}

pub fn loader(checkpoint: Arc<Checkpoint>) -> Loader {
    Loader::new(checkpoint, Device::Cpu, WeightType::AsStored).unwrap()
}

pub fn spec(name: &str) -> DecoderSpec {
    let config = std::fs::read_to_string(directory(name).join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let config: LanguageConfig = serde_json::from_value(config["language_config"].clone()).unwrap();
    DecoderSpec::from_config(&config).unwrap()
}

pub fn decoder(name: &str) -> Decoder {
    Decoder::load(&loader(checkpoint(name)).at("language"), &spec(name)).unwrap()
}

/// `golden.safetensors` of one checkpoint.
pub struct Golden {
    bytes: Vec<u8>,
}

impl Golden {
    pub fn open(name: &str) -> Self {
        Self { bytes: std::fs::read(directory(name).join("golden.safetensors")).unwrap() }
    }

    fn file(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).unwrap()
    }

    /// The names of all requests of a single row.
    pub fn requests(&self) -> Vec<String> {
        let file = self.file();
        let single = |name: &str| file.tensor(name).unwrap().shape()[0] == 1;
        let mut names: Vec<String> = file
            .names()
            .iter()
            .filter(|name| single(name))
            .filter_map(|name| name.strip_suffix(".input_ids"))
            .map(Into::into)
            .collect();
        names.sort();
        names
    }

    pub fn has(&self, name: &str) -> bool {
        self.file().tensor(name).is_ok()
    }

    /// Integers, and the length of the last dimension.
    pub fn ids(&self, name: &str) -> Vec<u32> {
        let file = self.file();
        let data = file.tensor(name).unwrap();
        data.data().as_chunks().0.iter().map(|&bytes| u32::try_from(i64::from_le_bytes(bytes)).unwrap()).collect()
    }

    /// Floats, with a leading dimension of 1 dropped.
    pub fn tensor(&self, name: &str) -> Tensor {
        let file = self.file();
        let data = file.tensor(name).unwrap();
        let values: Vec<f32> = data.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let shape = match data.shape() {
            [1, rest @ ..] if rest.len() > 1 => rest,
            shape => shape,
        };
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }
}

/// The largest difference over the largest value of `expected`. Not a number if either holds one.
pub fn error(found: &Tensor, expected: &Tensor) -> f32 {
    assert_eq!(found.dims(), expected.dims());
    let (found, expected) = (to_vec(found).unwrap(), to_vec(expected).unwrap());
    let largest =
        |values: &mut dyn Iterator<Item = f32>| values.fold(0f32, |a, b| if a.is_nan() || b <= a { a } else { b });
    let difference = largest(&mut found.iter().zip(&expected).map(|(a, b)| (a - b).abs()));
    difference / largest(&mut expected.iter().map(|value| value.abs()))
}
