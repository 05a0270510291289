//! Writing a checkpoint in the Hugging Face layout.

use crate::config::Config;
use crate::layout::{TensorSpec, layout};
use crate::random::RandomTensor;
use anyhow::{Context, Result, ensure};
use safetensors::{Dtype, View};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

/// The files that make up a tokenizer.
const TOKENIZER_FILES: [&str; 3] = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"];

/// What was written.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// How many tensors.
    pub tensors: usize,
    /// How many values they hold together.
    pub parameters: usize,
    /// How many bytes they take.
    pub bytes: usize,
}

/// The configuration of the last `layers` of a language model, all of them if it has no more.
pub fn last_layers(config: &Value, layers: usize) -> Value {
    let mut config = config.clone();
    let language = if config.get("language_config").is_some() { &mut config["language_config"] } else { &mut config };
    let number = |key: &str| language[key].as_u64().unwrap_or(0);
    let (all, dense, layers) = (number("num_hidden_layers"), number("first_k_dense_replace"), layers as u64);
    language["num_hidden_layers"] = layers.min(all).into();
    language["first_k_dense_replace"] = dense.saturating_sub(all.saturating_sub(layers)).into();
    config
}

/// Writes a checkpoint of random weights to the folder `out`, which must be new or empty: the weights in `shards` files, and
/// `config.json`, `processor_config.json` where the model has eyes, and a tokenizer.
///
/// `config` and `processor` are the contents of those files; the candidate resolutions and the patch size are taken from
/// `config`. The tokenizer is copied from the folder `tokenizer`.
///
/// # Errors
/// A configuration that cannot be read or is of another model, a folder that is not empty, more shards than tensors, a file that
/// cannot be read or written.
pub fn write(
    config: &Value,
    processor: &Value,
    tokenizer: &Path,
    dtype: Dtype,
    shards: usize,
    seed: u64,
    out: &Path,
) -> Result<Summary> {
    let read = Config::read(config).context("config.json")?;
    let tensors = layout(&read);
    ensure!((1..=tensors.len()).contains(&shards), "{shards} shards for {} tensors", tensors.len());
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    let empty = fs::read_dir(out).with_context(|| format!("cannot read {}", out.display()))?.next().is_none();
    ensure!(empty, "{} is not empty", out.display());

    write_json(&out.join("config.json"), &as_written(config, dtype))?;
    if read.eyes.is_some() {
        let mut processor = processor.clone();
        processor["candidate_resolutions"] = config["candidate_resolutions"].clone();
        processor["patch_size"] = config["vision_config"]["patch_size"].clone();
        write_json(&out.join("processor_config.json"), &processor)?;
    }
    for name in TOKENIZER_FILES {
        let from = tokenizer.join(name);
        fs::copy(&from, out.join(name)).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    write_weights(&tensors, dtype, shards, seed, out)
}

/// The configuration with both places that name the data type saying `dtype`: no matrix is in blocks of 8 bits, and there
/// is no layer for multi-token prediction.
fn as_written(config: &Value, dtype: Dtype) -> Value {
    let name = match dtype {
        Dtype::BF16 => "bfloat16",
        Dtype::F16 => "float16",
        _ => "float32",
    };
    let mut config = config.clone();
    config["torch_dtype"] = name.into();
    if let Some(keys) = config.as_object_mut() {
        keys.retain(|key, _| !["quantization_config", "num_nextn_predict_layers"].contains(&key.as_str()));
    }
    if let Some(language) = config.get_mut("language_config") {
        language["torch_dtype"] = name.into();
    }
    config
}

fn write_weights(tensors: &[TensorSpec], dtype: Dtype, shards: usize, seed: u64, out: &Path) -> Result<Summary> {
    let views: Vec<_> = tensors.iter().map(|spec| RandomTensor { spec, dtype, seed }).collect();
    let parameters = tensors.iter().map(|spec| spec.shape.iter().product::<usize>()).sum();
    let bytes = views.iter().map(View::data_len).sum();

    let mut files = BTreeMap::new();
    for (index, shard) in split(views, bytes, shards).into_iter().enumerate() {
        let file = match shards {
            1 => "model.safetensors".into(),
            _ => format!("model-{:05}-of-{shards:05}.safetensors", index + 1),
        };
        let path = out.join(&file);
        files.extend(shard.iter().map(|view| (view.spec.name.clone(), file.clone())));
        let named = shard.into_iter().map(|view| (&view.spec.name, view));
        let metadata = HashMap::from([("format".into(), "pt".into())]);
        safetensors::serialize_to_file(named, Some(metadata), &path)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if shards > 1 {
        let index = json!({ "metadata": { "total_size": bytes }, "weight_map": files });
        write_json(&out.join("model.safetensors.index.json"), &index)?;
    }
    Ok(Summary { tensors: tensors.len(), parameters, bytes })
}

/// Parts of about the same size, in order, none of them empty.
fn split<'a>(views: Vec<RandomTensor<'a>>, bytes: usize, shards: usize) -> Vec<Vec<RandomTensor<'a>>> {
    let mut parts: Vec<Vec<_>> = Vec::with_capacity(shards);
    let (mut written, mut left) = (0, views.len());
    for view in views {
        let open = parts.len();
        // A new part where the last one is full, or where every tensor left is needed to fill the parts left.
        if written * shards >= bytes * open || left <= shards - open {
            parts.push(Vec::new());
        }
        written += view.data_len();
        left -= 1;
        if let Some(part) = parts.last_mut() {
            part.push(view);
        }
    }
    parts
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context("JSON")? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
