//! The files of a model in the layout of the Hugging Face hub.

use crate::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

pub(crate) const CONFIG: &str = "config.json";
pub(crate) const PROCESSOR_CONFIG: &str = "processor_config.json";
pub(crate) const TOKENIZER: &str = "tokenizer.json";
pub(crate) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const WEIGHTS_INDEX: &str = "model.safetensors.index.json";

/// The largest JSON file that is read. The index of a checkpoint with 100 000 tensors has 10 MB.
const MAX_JSON_BYTES: u64 = 64 << 20;

/// Where the files of a model are. Each of them was there when this was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFiles {
    /// Their directory.
    pub dir: PathBuf,
    /// `config.json`.
    pub config: PathBuf,
    /// `processor_config.json`.
    pub processor_config: PathBuf,
    /// `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// `tokenizer_config.json`, where there is one.
    pub tokenizer_config: Option<PathBuf>,
    /// The safetensors files: one, or the shards that the index lists, in order of their names. Empty where only the
    /// configuration was asked for and not all of them are there.
    pub shards: Vec<PathBuf>,
}

/// Which files of a model are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All.
    Everything,
    /// Those that stand before the weights.
    Configuration,
}

impl ModelFiles {
    /// Finds the files of a model in a directory. The weights are those of `model.safetensors.index.json`, or
    /// `model.safetensors` where there is no index.
    ///
    /// # Errors
    /// [`Error::MissingFile`], or [`Error::Index`] for an index that is damaged or leads out of the directory.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Result<Self> {
        Self::find(dir.into(), Wanted::Everything)
    }

    pub(crate) fn find(dir: PathBuf, wanted: Wanted) -> Result<Self> {
        let optional = |name: &str| Some(dir.join(name)).filter(|path| path.is_file());
        let required =
            |name: &str| optional(name).ok_or_else(|| Error::MissingFile { dir: dir.clone(), file: name.into() });
        let names = match optional(WEIGHTS_INDEX) {
            Some(index) => shard_names(&index)?,
            None => vec![WEIGHTS.into()],
        };
        let shards = match (names.iter().map(|name| required(name)).collect::<Result<_>>(), wanted) {
            (Err(_), Wanted::Configuration) => Vec::new(),
            (shards, _) => shards?,
        };
        Ok(Self {
            config: required(CONFIG)?,
            processor_config: required(PROCESSOR_CONFIG)?,
            tokenizer: required(TOKENIZER)?,
            tokenizer_config: optional(TOKENIZER_CONFIG),
            shards,
            dir,
        })
    }
}

/// The shards that an index lists, sorted, each once.
pub(crate) fn shard_names(path: &Path) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let index: Index = read_json(path)?;
    let mut names: Vec<_> = index.weight_map.into_values().collect();
    names.sort_unstable();
    names.dedup();
    let invalid = |reason: String| Error::Index { path: path.into(), reason };
    if names.is_empty() {
        return Err(invalid("its weight_map is empty".into()));
    }
    // Names come from whoever made the checkpoint; none may lead elsewhere.
    match names.iter().find(|name| !is_plain(name)) {
        Some(name) => Err(invalid(format!("shard {name:?} is not the name of a file beside it"))),
        None => Ok(names),
    }
}

fn is_plain(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name)
        && !name.contains('\\')
}

/// Reads a JSON file, and names the key where one has a value of the wrong kind.
pub(crate) fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    parse_json(path, &read_bounded(path)?)
}

/// As [`read_json`], for content that was read from `path` already.
pub(crate) fn parse_json<T: for<'de> Deserialize<'de>>(path: &Path, content: &[u8]) -> Result<T> {
    let mut json = serde_json::Deserializer::from_slice(content);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| Error::Json {
        path: path.into(),
        key: error.path().to_string(),
        source: error.into_inner(),
    })?;
    json.end().map_err(|source| Error::Json { path: path.into(), key: ".".into(), source })?;
    Ok(value)
}

pub(crate) fn read_bounded(path: &Path) -> Result<Vec<u8>> {
    let failed = |source| Error::Read { path: path.into(), source };
    let mut content = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_JSON_BYTES + 1).read_to_end(&mut content)).map_err(failed)?;
    if content.len() as u64 > MAX_JSON_BYTES {
        return Err(failed(std::io::Error::other(format!("more than {MAX_JSON_BYTES} bytes"))));
    }
    Ok(content)
}
