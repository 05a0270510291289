//! Damaged checkpoints: each gives an error that names the file, and the tensor or key.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use seekvl::{Error, Model};
use std::collections::BTreeMap;
use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A copy of a checkpoint, without its golden files.
struct Copy {
    dir: tempfile::TempDir,
}

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

impl Copy {
    fn of(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name);
        for file in fs::read_dir(from).unwrap().map(|file| file.unwrap()) {
            if !file.file_name().to_string_lossy().starts_with("golden") {
                fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
            }
        }
        Self { dir }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// The error of loading, with its sources.
    fn error(&self) -> String {
        let error = self.load().err().expect("a damaged checkpoint does not load");
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            message.push_str(&format!(": {error}"));
            source = error.source();
        }
        message
    }

    fn load(&self) -> Result<Model, Error> {
        Model::builder().local_files_only(true).load(&self.dir.path().to_string_lossy())
    }

    fn edit_tensors(&self, edit: impl FnOnce(&mut Tensors)) {
        let path = self.path("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let parts = |(name, tensor): (String, TensorView<'_>)| {
            (name, (tensor.dtype(), tensor.shape().to_vec(), tensor.data().to_vec()))
        };
        let mut tensors: Tensors = tensors.tensors().into_iter().map(parts).collect();
        edit(&mut tensors);
        let views: Vec<_> = tensors
            .iter()
            .map(|(name, (dtype, shape, data))| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()))
            .collect();
        serialize_to_file(views, None, &path).unwrap();
    }

    fn edit_json(&self, file: &str, edit: impl FnOnce(&mut serde_json::Value)) {
        let mut value = serde_json::from_slice(&fs::read(self.path(file)).unwrap()).unwrap();
        edit(&mut value);
        fs::write(self.path(file), serde_json::to_vec(&value).unwrap()).unwrap();
    }
}

fn contains(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{message:?} does not say {part:?}");
    }
}

const Q_PROJ: &str = "language.model.layers.1.self_attn.q_proj.weight";

#[test]
fn tensors_that_are_missing_unknown_or_misshapen_are_named() {
    let copy = Copy::of("vl2-tiny-like");
    copy.edit_tensors(|tensors| drop(tensors.remove(Q_PROJ)));
    contains(&copy.error(), &[Q_PROJ, "missing", "model.safetensors"]);

    let copy = Copy::of("vl2-tiny-like");
    copy.edit_tensors(|tensors| drop(tensors.insert("extra.weight".into(), (Dtype::F32, vec![1], vec![0; 4]))));
    contains(&copy.error(), &["extra.weight", "does not know", "model.safetensors"]);

    let copy = Copy::of("vl2-tiny-like");
    copy.edit_tensors(|tensors| tensors.get_mut(Q_PROJ).unwrap().1 = vec![32, 128]);
    contains(&copy.error(), &[Q_PROJ, "[32, 128]", "[64, 64]", "model.safetensors"]);

    let copy = Copy::of("vl2-tiny-like");
    copy.edit_tensors(|tensors| {
        let (dtype, shape, data) = tensors.get_mut(Q_PROJ).unwrap();
        (*dtype, *data) = (Dtype::I32, vec![0; shape.iter().product::<usize>() * 4]);
    });
    contains(&copy.error(), &[Q_PROJ, "I32"]);
}

#[test]
fn weights_that_are_not_numbers_are_an_error_of_the_answer() {
    for tensor in
        ["language.model.embed_tokens.weight", "language.model.layers.2.mlp.gate.weight", "language.lm_head.weight"]
    {
        let copy = Copy::of("vl2-tiny-like");
        copy.edit_tensors(|tensors| {
            for value in tensors.get_mut(tensor).unwrap().2.chunks_exact_mut(4) {
                value.copy_from_slice(&f32::NAN.to_le_bytes());
            }
        });
        let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/images/one.png");
        let error = copy.load().unwrap().ask(picture, "What is this?").expect_err(tensor);
        let is_typed = matches!(error, Error::Language(seekvl_language::Error::NonFiniteLogits { .. }));
        assert!(is_typed, "{tensor}: {error}");
    }
}

#[test]
fn shards_that_are_cut_or_gone_are_named() {
    let shard = "model-00002-of-00002.safetensors";
    let whole = fs::metadata(Copy::of("vl2-base-like").path(shard)).unwrap().len();
    for length in [0, 7, 100, whole / 2, whole - 1] {
        let copy = Copy::of("vl2-base-like");
        fs::OpenOptions::new().write(true).open(copy.path(shard)).unwrap().set_len(length).unwrap();
        contains(&copy.error(), &[shard, "cut short"]);
    }
    let copy = Copy::of("vl2-base-like");
    fs::remove_file(copy.path(shard)).unwrap();
    contains(&copy.error(), &[shard]);
}

#[test]
fn values_that_are_unknown_or_make_no_sense_are_named() {
    let config = "config.json";
    for (file, path, value, says) in [
        (config, vec!["tile_tag"], serde_json::json!("3D"), vec!["tile_tag", "3D"]),
        (config, vec!["model_type"], serde_json::json!("llava"), vec!["model_type", "llava"]),
        (
            config,
            vec!["projector_config", "projector_type"],
            serde_json::json!("magic"),
            vec!["projector_type", "magic"],
        ),
        (config, vec!["language_config", "topk_method"], serde_json::json!("dice"), vec!["topk_method", "dice"]),
        (config, vec!["language_config", "hidden_size"], serde_json::json!(0), vec!["hidden_size", "0"]),
        (config, vec!["language_config", "num_hidden_layers"], serde_json::json!("many"), vec!["num_hidden_layers"]),
        (config, vec!["vision_config", "heads"], serde_json::json!(5), vec!["heads", "5"]),
        (
            "processor_config.json",
            vec!["candidate_resolutions"],
            serde_json::json!([[48, 48], [49, 48]]),
            vec!["candidate_resolutions", "49"],
        ),
    ] {
        let copy = Copy::of("vl2-tiny-like");
        copy.edit_json(file, |json| *path.iter().fold(json, |json, key| &mut json[*key]) = value);
        let message = copy.error();
        contains(&message, &says);
        contains(&message, &[file]);
    }
}

#[test]
fn absurd_sizes_allocate_nothing() {
    for key in ["hidden_size", "vocab_size", "num_hidden_layers", "n_routed_experts", "intermediate_size"] {
        let copy = Copy::of("vl2-tiny-like");
        copy.edit_json("config.json", |json| json["language_config"][key] = serde_json::json!(1u64 << 48));
        // Allocating for it would end the process.
        contains(&copy.error(), &[key]);
    }
}

#[test]
fn a_tokenizer_that_does_not_fit_is_an_error() {
    let copy = Copy::of("vl2-tiny-like");
    fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/vl2-small-like/tokenizer.json"),
        copy.path("tokenizer.json"),
    )
    .unwrap();
    fs::remove_file(copy.path("tokenizer_config.json")).unwrap();
    contains(&copy.error(), &["tokenizer.json", "768"]);
    fs::write(copy.path("tokenizer.json"), "{").unwrap();
    contains(&copy.error(), &["tokenizer.json"]);
}
