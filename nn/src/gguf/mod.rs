//! GGUF files: metadata and tensors in one file, mapped into memory (the format's specification is `docs/gguf.md` of the
//! repository ggml).

mod read;
mod value;
mod write;

pub use value::{Array, Value};
pub use write::{GgufEntry, GgufWriter};

use crate::checkpoint::Bytes;
use crate::mapped::Mapped;
use crate::stored::Widened;
use crate::{Error, Result, StoredDtype};
use read::Header;
use seekvl_kernels::quantized::Format;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The types that are read and written, by their codes in files.
const KINDS: [(u32, StoredDtype); 13] = [
    (0, StoredDtype::F32),
    (1, StoredDtype::F16),
    (2, StoredDtype::Blocks(Format::Q4_0)),
    (3, StoredDtype::Widened(Widened::Q4_1)),
    (6, StoredDtype::Blocks(Format::Q5_0)),
    (7, StoredDtype::Blocks(Format::Q5_1)),
    (8, StoredDtype::Blocks(Format::Q8_0)),
    (10, StoredDtype::Widened(Widened::Q2K)),
    (11, StoredDtype::Widened(Widened::Q3K)),
    (12, StoredDtype::Blocks(Format::Q4K)),
    (13, StoredDtype::Blocks(Format::Q5K)),
    (14, StoredDtype::Blocks(Format::Q6K)),
    (30, StoredDtype::BF16),
];

/// A GGUF file. Reading the header is all that opening it costs.
pub struct Gguf {
    path: PathBuf,
    pub(crate) bytes: Bytes,
    pub(crate) map: Option<Arc<Mapped>>,
    metadata: BTreeMap<String, Value>,
    tensors: Vec<GgufTensor>,
}

/// What the file says of one tensor.
#[derive(Clone, Debug)]
pub struct GgufTensor {
    /// Its name.
    pub name: String,
    /// Type of its elements.
    pub dtype: StoredDtype,
    /// Row-major shape: the reverse of the file's, which has the innermost side first.
    pub shape: Vec<usize>,
    pub(crate) range: Range<usize>,
}

impl Gguf {
    /// Maps a file.
    ///
    /// # Errors
    /// [`Error::Open`], or [`Error::Gguf`] for a header that cannot be read or lies, tensors of types that are not read, and
    /// a file that is cut short.
    pub fn open(path: &Path) -> Result<Self> {
        let map = Arc::new(Mapped::open(path)?);
        Self::new(path, map.clone(), Some(map))
    }

    /// A file that is in memory already; `name` stands for its path in errors.
    ///
    /// # Errors
    /// As [`Gguf::open`].
    pub fn from_bytes(name: &Path, bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self> {
        Self::new(name, Arc::new(bytes), None)
    }

    /// Whether a file's first bytes say that it is one.
    pub fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(read::MAGIC)
    }

    fn new(path: &Path, bytes: Bytes, map: Option<Arc<Mapped>>) -> Result<Self> {
        let header = Header::read((*bytes).as_ref());
        let Header { metadata, tensors } = header.map_err(|reason| Error::Gguf { path: path.into(), reason })?;
        Ok(Self { path: path.into(), bytes, map, metadata, tensors })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A value of its metadata.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// All its metadata.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.metadata.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Its tensors, in its order.
    pub fn tensors(&self) -> &[GgufTensor] {
        &self.tensors
    }

    /// All numbers of a small tensor of 32-bit floats.
    pub fn floats(&self, name: &str) -> Option<Vec<f32>> {
        let tensor = self.tensors.iter().find(|tensor| tensor.name == name && tensor.dtype == StoredDtype::F32)?;
        let bytes = (*self.bytes).as_ref().get(tensor.range.clone())?;
        Some(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}
