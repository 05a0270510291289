//! Models in GGUF files, as llama.cpp's converters write them, and as [`quantize()`] does.
//!
//! A file is read as the files that it was made of: its metadata become `config.json`, `tokenizer.json` and their kin, and its
//! tensors get the names that they have on the hub. From there on it is a model like any other. `docs/gguf.md` in this
//! project's repository lists what is read and written.

mod config;
mod meta;
mod metadata;
mod mixture;
mod names;
mod plan;
mod quantize;
mod tokenizer;
mod vision;

pub use mixture::FileType;
pub use quantize::quantize;

use crate::files::{CONFIG, GENERATION_CONFIG, ModelFile, ModelFiles, PROCESSOR_CONFIG, TOKENIZER, TOKENIZER_CONFIG};
use crate::{Error, Result};
use meta::Meta;
use seekvl_nn::{Checkpoint, Gguf, Value as Stored};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How many files a model is split into, and the most that are opened.
const SPLIT: &str = "split.count";
const MOST_FILES: u64 = 1024;

/// Whether a file begins as GGUF does.
pub(crate) fn is_gguf(file: &ModelFile) -> bool {
    let mut first = [0; 4];
    match file {
        ModelFile::OnDisk(path) => {
            File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && Gguf::begins(&first)
        }
        ModelFile::InMemory { content, .. } => Gguf::begins(content),
    }
}

/// The files of the model in a GGUF file (of a model that is split, the first).
pub(crate) fn model_files(file: ModelFile) -> Result<ModelFiles> {
    let (shards, files) = open(file)?;
    let meta = Meta::of(&files[0])?;
    let (config, processor_config) = config::configs(&files)?;
    let (tokenizer, tokenizer_config) = tokenizer::files(&meta)?;
    let path = files[0].path();
    let json = |name: &str, value: &Value| in_memory(path, name, value.to_string());
    Ok(ModelFiles {
        dir: path.parent().map(Path::to_owned),
        config: json(CONFIG, &config),
        processor_config: processor_config.map(|config| json(PROCESSOR_CONFIG, &config)),
        preprocessor_config: None,
        tower_sizes: None,
        tokenizer: in_memory(path, TOKENIZER, tokenizer),
        tokenizer_config: Some(json(TOKENIZER_CONFIG, &tokenizer_config)),
        generation_config: sampling(&meta)?.map(|config| json(GENERATION_CONFIG, &config)),
        chat_template: None,
        shards,
    })
}

fn in_memory(path: &Path, name: &str, content: String) -> ModelFile {
    ModelFile::InMemory { path: path.join(name), content: content.into_bytes().into() }
}

/// The tensors of such a model, by their names on the hub.
pub(crate) fn checkpoint(first: &ModelFile) -> Result<Checkpoint> {
    let (_, files) = open(first.clone())?;
    let language = if vision::is_there(&Meta::of(&files[0])?)? { "language." } else { "" };
    Ok(Checkpoint::from_gguf(&files, |tensor| names::role(tensor, language))?)
}

/// All files of a model.
fn open(file: ModelFile) -> Result<(Vec<ModelFile>, Vec<Gguf>)> {
    let path = match &file {
        ModelFile::OnDisk(path) => path.clone(),
        ModelFile::InMemory { path, content } => {
            let one = Gguf::from_bytes(path, content.clone())?;
            return Ok((vec![file], vec![one]));
        }
    };
    let first = Gguf::open(&path)?;
    let meta = Meta { file: &first, arch: "split" };
    let paths = match meta.value(SPLIT, Stored::as_u64)? {
        None | Some(0 | 1) => return Ok((vec![file], vec![first])),
        Some(count @ ..=MOST_FILES) => siblings(&path, count).ok_or_else(|| {
            let reason = "the file is not called NAME-00001-of-0000N.gguf as the first of N is";
            meta.error(SPLIT, &count.to_string(), reason)
        })?,
        Some(count) => return Err(meta.error(SPLIT, &count.to_string(), "too many files")),
    };
    let mut files = vec![first];
    for path in &paths[1..] {
        if !path.is_file() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Err(Error::MissingFile { dir: path.parent().unwrap_or(path).into(), file: name });
        }
        files.push(Gguf::open(path)?);
    }
    Ok((paths.into_iter().map(ModelFile::OnDisk).collect(), files))
}

/// The names of `count` files, of which `first` is the first.
fn siblings(first: &Path, count: u64) -> Option<Vec<PathBuf>> {
    let stem = first.file_name()?.to_str()?.strip_suffix(&format!("-00001-of-{count:05}.gguf"))?;
    Some((1..=count).map(|index| first.with_file_name(format!("{stem}-{index:05}-of-{count:05}.gguf"))).collect())
}

/// `generation_config.json`, where the file says how answers are sampled.
fn sampling(meta: &Meta<'_>) -> Result<Option<Value>> {
    let mut config = Map::new();
    for (key, name) in SAMPLING {
        let key = format!("general.sampling.{key}");
        if let Some(value) =
            meta.value(&key, |value| value.as_f64().or_else(|| value.as_u64().map(|value| value as f64)))?
        {
            config.insert((*name).into(), if name == &"top_k" { json!(value as u64) } else { json!(value) });
        }
    }
    if config.contains_key("temperature") {
        config.insert("do_sample".into(), json!(true));
    }
    Ok((!config.is_empty()).then_some(Value::Object(config)))
}

/// Keys below `general.sampling`, and those of `generation_config.json`.
const SAMPLING: &[(&str, &str)] =
    &[("temp", "temperature"), ("top_k", "top_k"), ("top_p", "top_p"), ("penalty_repeat", "repetition_penalty")];
