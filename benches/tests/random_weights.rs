//! The checkpoints made here have the tensors that the original's have.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use safetensors::{Dtype, SafeTensors};
use seekvl_benches::{Config, last_layers, layout, write};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const CONFIGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/configs");

type Shapes = BTreeMap<String, Vec<usize>>;

fn reference(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/reference")).join(name)
}

fn read_json(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn enumerated(config: &Value) -> Shapes {
    let config = Config::read(config).unwrap();
    layout(&config).into_iter().map(|tensor| (tensor.name, tensor.shape)).collect()
}

/// The names and shapes in every model file of a folder.
fn stored(folder: &Path) -> Shapes {
    let mut shapes = Shapes::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("model") && name.ends_with(".safetensors") {
            let bytes = fs::read(&path).unwrap();
            let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
            shapes.extend(header.tensors().into_iter().map(|(name, info)| (name, info.shape.clone())));
        }
    }
    shapes
}

#[test]
fn names_and_shapes_are_those_of_the_reference_checkpoints() {
    for name in [
        "llm-like",
        "r1-distill-llama-like",
        "r1-distill-qwen-like",
        "v2-like",
        "vl2-tiny-like",
        "vl2-small-like",
        "vl2-base-like",
    ] {
        let folder = reference(name);
        assert_eq!(enumerated(&read_json(folder.join("config.json"))), stored(&folder), "{name}");
    }
}

#[test]
fn the_published_configurations_have_the_published_sizes() {
    // In billions, as the model pages on the hub list them.
    for (name, billions) in [
        ("deepseek-vl2-tiny", 3.4),
        ("deepseek-vl2-small", 16.1),
        ("deepseek-vl2", 27.5),
        ("deepseek-v2-lite", 15.7),
        ("deepseek-v2", 235.7),
        ("deepseek-v3", 671.0),
        ("deepseek-llm-7b", 6.9),
        ("deepseek-llm-67b", 67.4),
        ("deepseek-r1-distill-qwen-1.5b", 1.8),
    ] {
        let shapes = enumerated(&read_json(format!("{CONFIGS}/{name}.json")));
        let parameters: usize = shapes.values().map(|shape| shape.iter().product::<usize>()).sum();
        assert!((parameters as f64 / 1e9 - billions).abs() < 0.1, "{name}: {parameters}");
    }
}

#[test]
fn the_last_layers_are_those_of_the_whole() {
    let config = read_json(format!("{CONFIGS}/deepseek-v3.json"));
    let (all, part) = (enumerated(&config), enumerated(&last_layers(&config, 59)));
    assert!(part.keys().any(|name| name.starts_with("model.layers.58.")));
    // Two of the three dense layers are gone.
    let number = |name: &str| name.split('.').nth(2).and_then(|layer| layer.parse::<usize>().ok());
    for (name, shape) in &part {
        let whole = match number(name) {
            Some(layer) => name.replacen(&format!("layers.{layer}."), &format!("layers.{}.", layer + 2), 1),
            None => name.clone(),
        };
        assert_eq!(all.get(&whole), Some(shape), "{name}");
    }
    assert_eq!(enumerated(&last_layers(&config, 99)), all);
}

#[test]
fn a_written_checkpoint_holds_every_tensor_once_and_sharding_changes_no_value() {
    let folder = reference("vl2-base-like");
    let config = read_json(folder.join("config.json"));
    let processor = read_json(format!("{CONFIGS}/processor_config.json"));
    let temporary = tempfile::tempdir().unwrap();
    let (whole, parts) = (temporary.path().join("whole"), temporary.path().join("parts"));
    write(&config, &processor, &folder, Dtype::F32, 1, 5, &whole).unwrap();
    write(&config, &processor, &folder, Dtype::F32, 3, 5, &parts).unwrap();

    assert_eq!(stored(&whole), enumerated(&config));
    assert_eq!(stored(&parts), enumerated(&config));
    let index = read_json(parts.join("model.safetensors.index.json"));
    let bytes = fs::read(whole.join("model.safetensors")).unwrap();
    let model = SafeTensors::deserialize(&bytes).unwrap();
    for (name, file) in index["weight_map"].as_object().unwrap() {
        let shard = fs::read(parts.join(file.as_str().unwrap())).unwrap();
        let shard = SafeTensors::deserialize(&shard).unwrap();
        assert_eq!(shard.tensor(name).unwrap().data(), model.tensor(name).unwrap().data(), "{name}");
    }
    assert_eq!(
        read_json(whole.join("processor_config.json"))["candidate_resolutions"],
        config["candidate_resolutions"]
    );
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let folder = reference("vl2-tiny-like");
    let config = read_json(folder.join("config.json"));
    let temporary = tempfile::tempdir().unwrap();
    fs::write(temporary.path().join("kept"), "kept").unwrap();
    let error = write(&config, &Value::Null, &folder, Dtype::F32, 1, 0, temporary.path()).unwrap_err();
    assert!(error.to_string().ends_with("is not empty"), "{error}");
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1);
}
