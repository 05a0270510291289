//! `seekvl inspect`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::Value;
use std::path::Path;
use support::{reference, run};

/// Numbers of weights and bytes of the tensors whose names `of` takes, from the header of a safetensors file.
fn stored(file: &Path, of: impl Fn(&str) -> bool) -> (u64, u64) {
    let bytes = std::fs::read(file).unwrap();
    let (length, rest) = bytes.split_at(8);
    let header = &rest[..u64::from_le_bytes(length.try_into().unwrap()) as usize];
    let header: serde_json::Map<String, Value> = serde_json::from_slice(header).unwrap();
    let tensors = header.iter().filter(|(name, _)| *name != "__metadata__" && of(name));
    tensors.fold((0, 0), |(numbers, bytes), (_, tensor)| {
        let shape = tensor["shape"].as_array().unwrap();
        let offset = |i: usize| tensor["data_offsets"][i].as_u64().unwrap();
        let elements: u64 = shape.iter().map(|n| n.as_u64().unwrap()).product();
        (numbers + elements, bytes + offset(1) - offset(0))
    })
}

#[test]
fn parameters_and_bytes_are_those_of_the_files() {
    let sharded = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    for (model, files) in [("vl2-tiny-like", &["model.safetensors"][..]), ("vl2-base-like", &sharded)] {
        let dir = reference().join(model);
        let sum = |of: &dyn Fn(&str) -> bool| {
            let each = files.iter().map(|file| stored(&dir.join(file), of));
            each.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
        };
        let (numbers, bytes) = sum(&|_| true);
        let info = run(&["inspect", "--json", dir.to_str().unwrap()]).succeeds().json();
        assert_eq!(info["stored"]["F32"]["elements"], numbers, "{model}: {info}");
        assert_eq!(info["stored"]["F32"]["bytes"], bytes, "{model}: {info}");
        assert_eq!(info["files"], files.len(), "{model}: {info}");

        let parameters = &info["parameters"];
        assert_eq!(parameters["total"], sum(&|name| !name.starts_with("vision.attn_pool.")).0, "{model}: {info}");
        assert_eq!(parameters["language"], sum(&|name| name.starts_with("language.")).0, "{model}: {info}");
        let active = parameters["language_per_token"].as_u64().unwrap();
        assert!(active < parameters["language"].as_u64().unwrap(), "{model}: {info}");
    }
}

#[test]
fn the_table_shows_the_shapes() {
    let table = run(&["inspect", reference().join("vl2-tiny-like").to_str().unwrap()]).succeeds().stdout;
    for word in ["vision", "language", "experts", "F32", "context", "4096"] {
        assert!(table.to_lowercase().contains(&word.to_lowercase()), "{word:?} is not in {table}");
    }
}

/// Numbers that the cache keeps of a token.
fn cache(config: &str) -> (u64, u64) {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/configs")).join(config);
    let language = &run(&["inspect", "--json", path.to_str().unwrap()]).succeeds().json()["language"];
    let numbers = |key: &str| language[key]["f32"].as_u64().unwrap() / 4;
    (numbers("cache_bytes_per_token"), numbers("mha_cache_bytes_per_token"))
}

/// The paper says that DeepSeek-V2 has 93.3 % less cache than DeepSeek 67B. That is at 6 bits a number, to which it rounds its
/// own, and 16 for 67B.
#[test]
fn latents_take_as_little_as_the_paper_says() {
    let ((v2, v2_mha), (llm, llm_mha)) = (cache("deepseek-v2.json"), cache("deepseek-llm-67b.json"));
    assert_eq!((v2, v2_mha), (60 * (512 + 64), 60 * 128 * (192 + 128)));
    assert_eq!((llm, llm_mha), (95 * 2 * 8 * 128, 95 * 2 * 64 * 128));
    let less = |bits: f64| 100.0 * (1.0 - v2 as f64 * bits / (llm as f64 * 16.0));
    assert!((less(6.0) - 93.3).abs() < 0.05, "{}", less(6.0));
    assert!((less(16.0) - 82.2).abs() < 0.05, "{}", less(16.0));
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/configs/deepseek-v2.json"));
    let table = run(&["inspect", path.to_str().unwrap()]).succeeds().stdout;
    assert!(table.contains("1.4 % of the"), "{table}");
}
