//! Files of weights, mapped into memory: safetensors, or GGUF.

use crate::gguf::{Gguf, GgufTensor};
use crate::mapped::{Aligned, Mapped};
use crate::{Error, Result, StoredDtype};
use safetensors::{SafeTensorError, SafeTensors};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that stay where they are: a map of a file, or a buffer.
pub(crate) type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// The tensors of one model, in one or several files. Reading a header is all that opening costs.
pub struct Checkpoint {
    shards: Vec<Shard>,
    tensors: BTreeMap<String, StoredTensor>,
}

struct Shard {
    path: PathBuf,
    bytes: Bytes,
    /// What `bytes` is, where it is a map.
    map: Option<Arc<Mapped>>,
}

/// What a file says of one tensor.
#[derive(Clone, Debug)]
pub struct StoredTensor {
    /// Type of its elements.
    pub dtype: StoredDtype,
    /// Row-major shape.
    pub shape: Vec<usize>,
    shard: usize,
    range: Range<usize>,
}

impl StoredTensor {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes in the file.
    pub fn bytes(&self) -> usize {
        self.range.len()
    }
}

/// What a tensor of a GGUF file is to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A tensor of this name and shape; the shape has as many elements.
    One(String, Vec<usize>),
    /// Tensors of these names, as many as its first side, in one.
    Stacked(Vec<String>),
    /// Not a weight.
    None,
}

impl Checkpoint {
    /// Maps the given safetensors files.
    ///
    /// # Errors
    /// A file that cannot be read, whose header lies, that is cut short, or that repeats another's tensor.
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let mut checkpoint = Self { shards: Vec::new(), tensors: BTreeMap::new() };
        for path in paths {
            let map = Arc::new(Mapped::open(path)?);
            checkpoint.add(path, map.clone(), Some(map))?;
        }
        Ok(checkpoint)
    }

    /// One safetensors file that is in memory already; `name` stands for its path in errors.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn from_bytes(name: &str, bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self> {
        let mut checkpoint = Self { shards: Vec::new(), tensors: BTreeMap::new() };
        checkpoint.add(Path::new(name), Arc::new(bytes), None)?;
        Ok(checkpoint)
    }

    /// The tensors of GGUF files, by the names and shapes that `role` gives them. A role that does not fit its tensor is
    /// ignored: the tensor keeps its own name.
    ///
    /// # Errors
    /// [`Error::Duplicate`].
    pub fn from_gguf(files: &[Gguf], role: impl Fn(&GgufTensor) -> Role) -> Result<Self> {
        let mut checkpoint = Self { shards: Vec::new(), tensors: BTreeMap::new() };
        for file in files {
            for tensor in file.tensors() {
                for (name, shape, range) in parts(tensor, role(tensor)) {
                    let stored = StoredTensor { dtype: tensor.dtype, shape, shard: checkpoint.shards.len(), range };
                    checkpoint.insert(name, stored, file.path())?;
                }
            }
            let Gguf { bytes, map, .. } = file;
            checkpoint.shards.push(Shard { path: file.path().into(), bytes: bytes.clone(), map: map.clone() });
        }
        Ok(checkpoint)
    }

    fn insert(&mut self, name: String, tensor: StoredTensor, path: &Path) -> Result<()> {
        match self.tensors.insert(name.clone(), tensor) {
            None => Ok(()),
            Some(other) => {
                let first = self.shards.get(other.shard).map_or(path, |shard| &shard.path).into();
                Err(Error::Duplicate { name, first, second: path.into() })
            }
        }
    }

    fn add(&mut self, path: &Path, bytes: Bytes, map: Option<Arc<Mapped>>) -> Result<()> {
        let data: &[u8] = (*bytes).as_ref();
        let (header, metadata) = SafeTensors::read_metadata(data).map_err(|source| Error::Format {
            path: path.into(),
            reason: explain(&source).into(),
            source,
        })?;
        let base = header + size_of::<u64>();
        for (name, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            let range = base + start..base + end;
            let (dtype, shape, shard) = (info.dtype.into(), info.shape.clone(), self.shards.len());
            self.insert(name, StoredTensor { dtype, shape, shard, range }, path)?;
        }
        self.shards.push(Shard { path: path.into(), bytes, map });
        Ok(())
    }

    /// All tensors by name, in alphabetical order.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &StoredTensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// One tensor.
    pub fn get(&self, name: &str) -> Option<&StoredTensor> {
        self.tensors.get(name)
    }

    /// The file that a tensor is in.
    pub fn path(&self, tensor: &StoredTensor) -> &Path {
        &self.shards[tensor.shard].path
    }

    /// The names of the files, for messages.
    pub(crate) fn files(&self) -> String {
        match self.shards.as_slice() {
            [] => "no file".into(),
            [one] => one.path.display().to_string(),
            [first, rest @ ..] => format!("{} and {} more files", first.path.display(), rest.len()),
        }
    }

    pub(crate) fn data(&self, tensor: &StoredTensor) -> (Bytes, Range<usize>) {
        (self.shards[tensor.shard].bytes.clone(), tensor.range.clone())
    }

    /// Gives back the pages that reading a mapped tensor has taken. Should it be read again, they come again.
    pub(crate) fn release(&self, tensor: &StoredTensor) {
        if let Some(map) = &self.shards[tensor.shard].map {
            map.release(&tensor.range);
        }
    }

    /// As [`Checkpoint::data`], but a copy of the bytes, aligned for all types and read past the map: no pages of it are taken.
    ///
    /// # Errors
    /// If the file cannot be read any more.
    pub(crate) fn read(&self, tensor: &StoredTensor) -> Result<(Bytes, Range<usize>)> {
        let shard = &self.shards[tensor.shard];
        let mut copy = Aligned::zeros(tensor.bytes());
        match &shard.map {
            Some(map) => map
                .read(tensor.range.start, copy.bytes())
                .map_err(|source| Error::Open { path: shard.path.clone(), source })?,
            None => copy.bytes().copy_from_slice(&(*shard.bytes).as_ref()[tensor.range.clone()]),
        }
        Ok((Arc::new(copy), 0..tensor.bytes()))
    }
}

/// A tensor of a GGUF file by its role: names, shapes and places.
fn parts(tensor: &GgufTensor, role: Role) -> Vec<(String, Vec<usize>, Range<usize>)> {
    let GgufTensor { name, shape, range, .. } = tensor;
    let count = |shape: &[usize]| shape.iter().try_fold(1usize, |count, side| count.checked_mul(*side));
    match role {
        Role::None => Vec::new(),
        Role::One(name, other) if count(&other) == count(shape) => vec![(name, other, range.clone())],
        Role::Stacked(names) if shape.len() > 2 && names.len() == shape[0] => {
            let bytes = range.len() / names.len();
            let part = |(index, name)| {
                let start = range.start + index * bytes;
                (name, shape[1..].to_vec(), start..start + bytes)
            };
            names.into_iter().enumerate().map(part).collect()
        }
        Role::One(..) | Role::Stacked(_) => vec![(name.clone(), shape.clone(), range.clone())],
    }
}

fn explain(error: &SafeTensorError) -> &'static str {
    match error {
        SafeTensorError::MetadataIncompleteBuffer => "its data do not end where the header says; it is cut short",
        SafeTensorError::HeaderTooSmall | SafeTensorError::InvalidHeaderLength => "its header is cut short",
        SafeTensorError::HeaderTooLarge => "its header claims to be over 100 MB",
        SafeTensorError::InvalidOffset(_) | SafeTensorError::TensorInvalidInfo => {
            "the header's offsets do not agree with its shapes"
        }
        _ => "its header cannot be read",
    }
}
