//! Safetensors files, mapped into memory.

use crate::{Error, Result};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

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
    /// What `bytes` is, where it is a map, and the file.
    map: Option<(Arc<Mmap>, Mutex<File>)>,
}

/// What a file says of one tensor.
#[derive(Clone, Debug)]
pub struct StoredTensor {
    /// Type of its elements.
    pub dtype: Dtype,
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

impl Checkpoint {
    /// Maps the given safetensors files.
    ///
    /// # Errors
    /// A file that cannot be read, whose header lies, that is cut short, or that repeats another's tensor.
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let mut checkpoint = Self { shards: Vec::new(), tensors: BTreeMap::new() };
        for path in paths {
            let (map, file) = map(path)?;
            let map = Arc::new(map);
            checkpoint.add(path, map.clone(), Some((map, Mutex::new(file))))?;
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

    fn add(&mut self, path: &Path, bytes: Bytes, map: Option<(Arc<Mmap>, Mutex<File>)>) -> Result<()> {
        let data: &[u8] = (*bytes).as_ref();
        let (header, metadata) = SafeTensors::read_metadata(data).map_err(|source| Error::Format {
            path: path.into(),
            reason: explain(&source).into(),
            source,
        })?;
        let base = header + size_of::<u64>();
        for (name, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            let tensor = StoredTensor {
                dtype: info.dtype,
                shape: info.shape.clone(),
                shard: self.shards.len(),
                range: base + start..base + end,
            };
            if let Some(other) = self.tensors.insert(name.clone(), tensor) {
                let first = self.shards.get(other.shard).map_or(path, |shard| &shard.path).into();
                return Err(Error::Duplicate { name, first, second: path.into() });
            }
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
        if let Some((map, _)) = &self.shards[tensor.shard].map {
            release(map, &tensor.range);
        }
    }

    /// Reads a tensor's bytes, past the map: no pages of it are taken.
    ///
    /// # Errors
    /// If the file cannot be read any more.
    pub(crate) fn read(&self, tensor: &StoredTensor, into: &mut [u8]) -> Result<()> {
        let shard = &self.shards[tensor.shard];
        let Some((_, file)) = &shard.map else {
            into.copy_from_slice(&(*shard.bytes).as_ref()[tensor.range.clone()]);
            return Ok(());
        };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let read = file.seek(SeekFrom::Start(tensor.range.start as u64)).and_then(|_| file.read_exact(into));
        read.map_err(|source| Error::Open { path: shard.path.clone(), source })
    }
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "what happens to pages that are given back depends on the kind of map")]
fn release(map: &Mmap, range: &Range<usize>) {
    // SAFETY: the map is of a file and never written to, so what its pages hold is read from the file again.
    // That the advice is not taken does no harm.
    let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len()) };
}

#[cfg(not(unix))]
fn release(_: &Mmap, _: &Range<usize>) {}

#[expect(unsafe_code, reason = "mapping a file cannot be safe")]
fn map(path: &Path) -> Result<(Mmap, File)> {
    let open = |source| Error::Open { path: path.into(), source };
    let file = File::open(path).map_err(open)?;
    // SAFETY: the map is read-only and private to this process. Should another process change or cut the file while it
    // is mapped, reads see the change or raise a bus error; a checkpoint is not written to while a model runs from it,
    // which the documentation of `Model` asks of the user.
    let map = unsafe { Mmap::map(&file) }.map_err(open)?;
    Ok((map, file))
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
