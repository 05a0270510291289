//! The published models' shapes, and configurations that make no sense.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use seekvl::config::ModelSpec;
use seekvl::{Error, ModelFiles};
use seekvl_language::AttentionSpec;
use seekvl_projector::ViewOrder;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn files(config: PathBuf, processor_config: PathBuf) -> ModelFiles {
    let dir = config.parent().unwrap().to_owned();
    ModelFiles {
        tokenizer: dir.join("tokenizer.json").into(),
        preprocessor_config: None,
        tower_sizes: None,
        tokenizer_config: None,
        generation_config: None,
        chat_template: None,
        shards: Vec::new(),
        dir: Some(dir),
        config: config.into(),
        processor_config: Some(processor_config.into()),
    }
}

fn published(name: &str) -> ModelSpec {
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/configs"));
    let config = dir.join(format!("{name}.config.json"));
    ModelSpec::read(&files(config, dir.join("deepseek-vl2.processor_config.json"))).unwrap()
}

fn reference(name: &str) -> ModelFiles {
    ModelFiles::in_dir(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference")).join(name)).unwrap()
}

#[test]
fn the_published_models_share_their_eyes() {
    for name in ["deepseek-vl2-tiny", "deepseek-vl2-small", "deepseek-vl2"] {
        let spec = published(name);
        let eyes = spec.eyes.unwrap();
        let vision = eyes.vision;
        assert_eq!((vision.image_size, vision.patch_size, vision.width), (384, 14, 1152));
        assert_eq!((vision.layers, vision.heads, vision.mlp), (27, 16, 4304));
        assert_eq!((eyes.layout.side, eyes.layout.order), (14, ViewOrder::GlobalFirst));
        assert_eq!(eyes.layout.slots(1, 1), 421);
        assert_eq!(eyes.tiling.candidates().len(), 23);
        assert_eq!((eyes.projector.input_dim, eyes.projector.depth, eyes.projector.downsample), (1152, 2, 2));
        assert_eq!(eyes.projector.output_dim, spec.language.hidden_size);
        assert_eq!(eyes.image_token, "<image>");
        assert_eq!((spec.language.bos, spec.language.eos), (Some(0), vec![1]));
        assert_eq!(spec.language.max_positions, 4096);
    }
}

#[test]
fn the_published_models_differ_in_their_language() {
    let tiny = published("deepseek-vl2-tiny").language;
    assert!(matches!(tiny.attention, AttentionSpec::Grouped { heads: 10, kv_heads: 10, head_dim: 128, .. }));
    assert_eq!((tiny.hidden_size, tiny.layers, tiny.vocab_size), (1280, 12, 129_280));
    let small = published("deepseek-vl2-small").language;
    let AttentionSpec::Latent { heads: 16, q_rank: None, kv_rank: 512, nope_dim: 128, rope_dim: 64, .. } =
        small.attention
    else {
        panic!("{:?}", small.attention)
    };
    assert_eq!((small.hidden_size, small.layers, small.vocab_size), (2048, 27, 102_400));
    let base = published("deepseek-vl2").language;
    let AttentionSpec::Latent { heads: 32, kv_rank: 512, value_dim: 128, .. } = base.attention else {
        panic!("{:?}", base.attention)
    };
    assert_eq!((base.hidden_size, base.layers), (2560, 30));
}

/// DeepSeek publishes them as 3.37, 16.1 and 27.5 billion parameters, of which 1.0, 2.8 and 4.5 are active.
#[test]
fn the_published_models_are_as_large_as_published() {
    for (name, total, active) in
        [("deepseek-vl2-tiny", 3.37, 1.0), ("deepseek-vl2-small", 16.1, 2.8), ("deepseek-vl2", 27.5, 4.5)]
    {
        let parameters = published(name).parameters();
        let billions = |count: u64| count as f64 / 1e9;
        assert!((billions(parameters.total) / total - 1.0).abs() < 0.02, "{name}: {parameters:?}");
        // Those active include the vision tower, ours of one token of text does not.
        let with_eyes = billions(parameters.active) + 0.42;
        assert!((with_eyes / active - 1.0).abs() < 0.15, "{name}: {parameters:?}");
    }
}

#[test]
fn the_reference_checkpoints_are_read() {
    for (name, size, width, mlp) in
        [("vl2-tiny-like", 48, 48, 179), ("vl2-small-like", 64, 56, 209), ("vl2-base-like", 80, 64, 239)]
    {
        let eyes = ModelSpec::read(&reference(name)).unwrap().eyes.unwrap();
        assert_eq!((eyes.vision.image_size, eyes.vision.width, eyes.vision.mlp), (size, width, mlp), "{name}");
        assert_eq!(eyes.tiling.tile_size() as usize, size);
    }
}

#[test]
fn a_model_with_eyes_needs_to_know_how_images_are_tiled() {
    let blind = ModelFiles { processor_config: None, ..reference("vl2-tiny-like") };
    match ModelSpec::read(&blind) {
        Err(Error::MissingFile { file, .. }) => assert_eq!(file, "processor_config.json"),
        other => panic!("{other:?}"),
    }
}

/// The error of `vl2-tiny-like` with one value changed; a pointer that begins with `processor` is into that file.
fn broken(pointer: &str, value: Value) -> Error {
    let dir = tempfile::tempdir().unwrap();
    let good = reference("vl2-tiny-like");
    let copy = |from: &Path, name: &str, pointer: Option<&str>| {
        let mut json: Value = serde_json::from_slice(&std::fs::read(from).unwrap()).unwrap();
        if let Some((parent, key)) = pointer.and_then(|pointer| pointer.rsplit_once('/')) {
            let parent = json.pointer_mut(parent).unwrap();
            match key.parse::<usize>() {
                Ok(index) => parent[index] = value.clone(),
                Err(_) => parent[key] = value.clone(),
            }
        }
        let path = dir.path().join(name);
        std::fs::write(&path, json.to_string()).unwrap();
        path
    };
    let of_processor = pointer.strip_prefix("processor");
    let of_config = of_processor.is_none().then_some(pointer);
    let config = copy(good.config.path(), "config.json", of_config);
    let processor = copy(good.processor_config.as_ref().unwrap().path(), "processor_config.json", of_processor);
    ModelSpec::read(&files(config, processor)).expect_err(pointer)
}

#[test]
fn an_error_names_the_file_the_key_and_the_value() {
    for (pointer, value, expected) in [
        ("/model_type", json!("mamba"), "config.json: model_type is mamba: "),
        ("/tile_tag", json!("1D"), "config.json: tile_tag is 1D"),
        ("/global_view_pos", json!("middle"), "config.json: global_view_pos is middle: neither head nor tail"),
        ("/quantization_config", json!({"bits": 4}), "config.json: quantization_config is set"),
        ("/vision_config/heads", json!(7), "config.json: vision_config.heads is 7: it does not divide"),
        ("/vision_config/heads", json!(0), "config.json: vision_config.heads is 0: outside 1..="),
        ("/vision_config/layers", json!(1u64 << 40), "config.json: vision_config.layers is 1099511627776: outside"),
        ("/vision_config/patch_size", json!(49), "config.json: vision_config.patch_size is 49: more than"),
        ("/vision_config/mlp_ratio", json!(-1.5), "config.json: vision_config.mlp_ratio is -1.5"),
        ("/vision_config/image_size", json!(64), "processor_config.json: candidate_resolutions is 48: it does not fit"),
        ("/vision_config/class_token", json!(true), "config.json: vision_config.class_token is true"),
        ("/projector_config/projector_type", json!("linear"), "config.json: projector_config.projector_type is linear"),
        ("/projector_config/token_pooling", json!(true), "config.json: projector_config.token_pooling is true"),
        ("/projector_config/n_embed", json!(65), "config.json: projector_config.n_embed is 65: it does not fit"),
        ("/projector_config/input_dim", json!(47), "config.json: projector_config.input_dim is 47: it does not fit"),
        ("/projector_config/depth", json!(1), "config.json: projector_config.depth is 1"),
        (
            "/projector_config/downsample_ratio",
            json!(3),
            "processor_config.json: downsample_ratio is 2: it does not fit",
        ),
        ("processor/patch_size", json!(16), "processor_config.json: patch_size is 16: it does not fit"),
        ("processor/sft_format", json!("plain"), "processor_config.json: sft_format is plain"),
        ("processor/candidate_resolutions", json!([]), "processor_config.json: candidate_resolutions is []"),
        ("processor/candidate_resolutions/1/0", json!(50), "processor_config.json: candidate_resolutions is 50x96"),
        ("processor/image_std/0", json!(0.0), "processor_config.json: image_std is"),
    ] {
        let error = broken(pointer, value);
        assert!(matches!(error, Error::Config { .. }), "{pointer}: {error:?}");
        assert!(error.to_string().contains(expected), "{pointer}: {error}");
    }
}

#[test]
fn a_value_of_the_wrong_kind_is_named_too() {
    for (pointer, value, key) in [
        ("/vision_config/layers", json!("many"), "vision_config.layers"),
        ("/vision_config/layers", json!(-1), "vision_config.layers"),
        ("/language_config/vocab_size", json!(null), "language_config.vocab_size"),
        ("processor/candidate_resolutions/2", json!([48]), "candidate_resolutions[2]"),
        ("processor/patch_size", json!(null), "patch_size"),
    ] {
        match broken(pointer, value) {
            Error::Json { key: found, path, .. } => {
                assert_eq!(found, key);
                assert_eq!(path.ends_with("processor_config.json"), pointer.starts_with("processor"));
            }
            other => panic!("{pointer}: {other:?}"),
        }
    }
    let error = broken("/language_config/topk_method", json!("random"));
    let Error::LanguageConfig { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("topk_method") && source.to_string().contains("random"), "{source}");
}
