//! The files of a model in the layout of the Hugging Face hub: in a directory, inside this program, or as a GGUF file tells
//! them.

use crate::{Error, Result, gguf};
use seekvl_nn::Checkpoint;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

pub(crate) const CONFIG: &str = "config.json";
pub(crate) const PROCESSOR_CONFIG: &str = "processor_config.json";
pub(crate) const PREPROCESSOR_CONFIG: &str = "preprocessor_config.json";
pub(crate) const TOWER_SIZES: &str = "tower_sizes.json";
pub(crate) const TOKENIZER: &str = "tokenizer.json";
pub(crate) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
pub(crate) const GENERATION_CONFIG: &str = "generation_config.json";
pub(crate) const CHAT_TEMPLATE: &str = "chat_template.jinja";
pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const WEIGHTS_INDEX: &str = "model.safetensors.index.json";

/// The id of the model that is part of this crate (with its feature `nano`, which is on by default): a tiny one, trained
/// on synthetic pictures.
pub const NANO: &str = "nano";

/// The largest JSON file that is read. The index of a checkpoint with 100 000 tensors has 10 MB.
const MAX_JSON_BYTES: u64 = 64 << 20;

/// Where the files of a model are. Each of them was there when this was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFiles {
    /// Their directory; `None` for a model that is part of this program.
    pub dir: Option<PathBuf>,
    /// `config.json`.
    pub config: ModelFile,
    /// `processor_config.json`, where there is one: models with eyes have it.
    pub processor_config: Option<ModelFile>,
    /// `preprocessor_config.json`, where there is one: DeepSeek-VL has it.
    pub preprocessor_config: Option<ModelFile>,
    /// `tower_sizes.json`, where there is one: the sizes of vision towers that `config.json` only names, where they are
    /// others than those of the published models.
    pub tower_sizes: Option<ModelFile>,
    /// `tokenizer.json`.
    pub tokenizer: ModelFile,
    /// `tokenizer_config.json`, where there is one.
    pub tokenizer_config: Option<ModelFile>,
    /// `generation_config.json`, where there is one.
    pub generation_config: Option<ModelFile>,
    /// `chat_template.jinja`, where there is one.
    pub chat_template: Option<ModelFile>,
    /// The safetensors files: one, or the shards that the index lists, in order of their names; or the GGUF files. Empty where only the
    /// configuration was asked for and not all of them are there.
    pub shards: Vec<ModelFile>,
}

/// One file of a model.
#[derive(Clone, PartialEq, Eq)]
pub enum ModelFile {
    /// In the file system.
    OnDisk(PathBuf),
    /// Part of this program, or of a GGUF file, or the caller's.
    InMemory {
        /// What errors call it: the model's id or the GGUF file's path, and the file's name.
        path: PathBuf,
        /// What is in it.
        content: Cow<'static, [u8]>,
    },
}

/// Names and contents of the files of a model that is part of this program.
pub(crate) type Embedded = &'static [(&'static str, &'static [u8])];

/// Where files are looked for by their names.
pub(crate) enum Source {
    /// A directory.
    Directory(PathBuf),
    /// A model that is part of this program, by its id. It has all its weights in one file.
    Embedded(&'static str, Embedded),
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
    /// A configuration by whatever name, and what belongs to it beside it. Nothing else: the tokenizer need not be there.
    pub(crate) fn of_configuration(path: &Path) -> Self {
        let beside = |name: &str| ModelFile::OnDisk(path.with_file_name(name));
        let optional = |name: &str| Some(beside(name)).filter(|file| file.path().is_file());
        Self {
            dir: None,
            config: ModelFile::OnDisk(path.into()),
            processor_config: optional(PROCESSOR_CONFIG),
            preprocessor_config: optional(PREPROCESSOR_CONFIG),
            tower_sizes: optional(TOWER_SIZES),
            tokenizer: beside(TOKENIZER),
            tokenizer_config: None,
            generation_config: None,
            chat_template: None,
            shards: Vec::new(),
        }
    }

    /// Finds the files of a model in a directory. The weights are those of `model.safetensors.index.json`, or
    /// `model.safetensors` where there is no index. A directory without `config.json` may have one GGUF file instead.
    ///
    /// # Errors
    /// [`Error::MissingFile`], or [`Error::Index`] for an index that is damaged or leads out of the directory.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Result<Self> {
        Self::find(Source::Directory(dir.into()), Wanted::Everything)
    }

    /// The files of the model that is in a GGUF file: its metadata are read as the JSON files that it was made of. Of a
    /// model that is split into several GGUF files, `file` is the first.
    ///
    /// # Errors
    /// A file that cannot be read or is damaged, of a model or with tensors that are not supported, or without what the
    /// model needs to be told.
    pub fn in_gguf(file: impl Into<ModelFile>) -> Result<Self> {
        gguf::model_files(file.into())
    }

    pub(crate) fn find(source: Source, wanted: Wanted) -> Result<Self> {
        if let (Source::Directory(dir), None) = (&source, source.file(CONFIG))
            && let Some(file) = only_gguf(dir)
        {
            return Self::in_gguf(file);
        }
        let required = |name: &str| {
            source.file(name).ok_or_else(|| Error::MissingFile { dir: source.path().into(), file: name.into() })
        };
        let names = match source.file(WEIGHTS_INDEX) {
            Some(index) => shard_names(&index)?,
            None => vec![WEIGHTS.into()],
        };
        let shards = match (names.iter().map(|name| required(name)).collect::<Result<_>>(), wanted) {
            (Err(_), Wanted::Configuration) => Vec::new(),
            (shards, _) => shards?,
        };
        Ok(Self {
            config: required(CONFIG)?,
            processor_config: source.file(PROCESSOR_CONFIG),
            preprocessor_config: source.file(PREPROCESSOR_CONFIG),
            tower_sizes: source.file(TOWER_SIZES),
            tokenizer: required(TOKENIZER)?,
            tokenizer_config: source.file(TOKENIZER_CONFIG),
            generation_config: source.file(GENERATION_CONFIG),
            chat_template: source.file(CHAT_TEMPLATE),
            shards,
            dir: match source {
                Source::Directory(dir) => Some(dir),
                Source::Embedded(..) => None,
            },
        })
    }

    /// The same model in another layout, of which `dir` has configuration and weights (one file).
    pub(crate) fn with_layout(&self, dir: &Path) -> Self {
        let source = Source::Directory(dir.into());
        Self {
            config: dir.join(CONFIG).into(),
            tower_sizes: source.file(TOWER_SIZES),
            shards: vec![dir.join(WEIGHTS).into()],
            dir: Some(dir.into()),
            ..self.clone()
        }
    }

    /// Opens the weights: maps them, or uses them where they are in this program. Only headers are read.
    ///
    /// # Errors
    /// Those of [`Checkpoint::open`].
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        Ok(match self.shards.as_slice() {
            [first, ..] if gguf::is_gguf(first) => gguf::checkpoint(first)?,
            [ModelFile::InMemory { path, content }] => {
                Checkpoint::from_bytes(&path.to_string_lossy(), content.clone())?
            }
            shards => Checkpoint::open(&shards.iter().map(|shard| shard.path().into()).collect::<Vec<_>>())?,
        })
    }
}

impl ModelFile {
    /// Its path; of an embedded file, the model's id and its name.
    pub fn path(&self) -> &Path {
        match self {
            Self::OnDisk(path) | Self::InMemory { path, .. } => path,
        }
    }

    /// Its content, if it is no longer than JSON files may be.
    pub(crate) fn read(&self) -> Result<Cow<'_, [u8]>> {
        match self {
            Self::OnDisk(path) => read_bounded(path).map(Cow::Owned),
            Self::InMemory { content, .. } => Ok(Cow::Borrowed(content)),
        }
    }

    /// As [`read_json`].
    pub(crate) fn read_json<T: for<'de> Deserialize<'de>>(&self) -> Result<T> {
        parse_json(self.path(), &self.read()?)
    }
}

impl From<PathBuf> for ModelFile {
    fn from(path: PathBuf) -> Self {
        Self::OnDisk(path)
    }
}

/// Leaves the content out.
impl fmt::Debug for ModelFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if matches!(self, Self::OnDisk(_)) { "OnDisk" } else { "InMemory" };
        f.debug_tuple(kind).field(&self.path()).finish()
    }
}

impl Source {
    fn path(&self) -> &Path {
        match self {
            Self::Directory(dir) => dir,
            Self::Embedded(id, _) => Path::new(id),
        }
    }

    fn file(&self, name: &str) -> Option<ModelFile> {
        let path = self.path().join(name);
        match self {
            Self::Directory(_) => Some(path).filter(|path| path.is_file()).map(ModelFile::OnDisk),
            Self::Embedded(_, files) => {
                let (_, content) = files.iter().find(|(known, _)| *known == name)?;
                Some(ModelFile::InMemory { path, content: Cow::Borrowed(content) })
            }
        }
    }
}

/// The files of a model that is part of this program, if `id` is such a model's.
pub(crate) fn embedded(id: &str, wanted: Wanted) -> Option<Result<ModelFiles>> {
    (id == NANO).then(|| ModelFiles::find(Source::Embedded(NANO, nano()?), wanted))
}

#[cfg(feature = "nano")]
fn nano() -> Result<Embedded> {
    Ok(&seekvl_nano::FILES)
}

#[cfg(not(feature = "nano"))]
fn nano() -> Result<Embedded> {
    Err(Error::NotAModel { model: NANO.into(), reason: "this build leaves it out (feature nano)" })
}

/// The GGUF file of a directory that has one, or one that is split.
fn only_gguf(dir: &Path) -> Option<PathBuf> {
    let entries = dir.read_dir().ok()?.flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "gguf")).collect();
    files.sort_unstable();
    let is_first = |path: &PathBuf| path.to_string_lossy().contains("-00001-of-");
    let first = files.first().cloned()?;
    (files.len() == 1 || is_first(&first) && !files[1..].iter().any(is_first)).then_some(first)
}

/// The shards that an index lists, sorted, each once.
pub(crate) fn shard_names(index: &ModelFile) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let path = index.path();
    let index: Index = index.read_json()?;
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
    let value = deserialize(path, &mut json)?;
    json.end().map_err(|source| Error::Json { path: path.into(), key: ".".into(), source })?;
    Ok(value)
}

/// As [`read_json`], for JSON that was read from `path` already.
pub(crate) fn typed<T: for<'de> Deserialize<'de>>(path: &Path, value: serde_json::Value) -> Result<T> {
    deserialize(path, value)
}

fn deserialize<'de, T, D>(path: &Path, json: D) -> Result<T>
where
    T: Deserialize<'de>,
    D: serde::Deserializer<'de, Error = serde_json::Error>,
{
    serde_path_to_error::deserialize(json).map_err(|error| Error::Json {
        path: path.into(),
        key: error.path().to_string(),
        source: error.into_inner(),
    })
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
