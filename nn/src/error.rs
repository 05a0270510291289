//! What can go wrong.

use crate::StoredDtype;
use safetensors::SafeTensorError;
use std::path::PathBuf;

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be opened, mapped or read.
    #[error("cannot read {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not valid safetensors: a lying header, or cut short.
    #[error("{} is not a valid safetensors file: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, in plain words.
        reason: String,
        /// What the parser says.
        source: SafeTensorError,
    },
    /// A file is not valid GGUF: a lying header, or cut short; or it has what is not read.
    #[error("{} is not a GGUF file that can be read: {reason}", path.display())]
    Gguf {
        /// The file.
        path: PathBuf,
        /// What is wrong, in plain words.
        reason: String,
    },
    /// Two files hold a tensor of one name.
    #[error("tensor {name} is in {} and again in {}", first.display(), second.display())]
    Duplicate {
        /// The tensor.
        name: String,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A tensor that the model needs is not there.
    #[error("tensor {name} is missing from {files}")]
    Missing {
        /// The tensor.
        name: String,
        /// Where it was looked for.
        files: String,
    },
    /// A tensor has another shape than the configuration asks for.
    #[error("tensor {name} in {} has shape {found:?}, the configuration asks for {expected:?}", path.display())]
    Shape {
        /// The tensor.
        name: String,
        /// Its file.
        path: PathBuf,
        /// As configured.
        expected: Vec<usize>,
        /// As stored.
        found: Vec<usize>,
    },
    /// A tensor is of a type that cannot be read.
    #[error("tensor {name} in {} is of type {dtype}; F32, F16 and BF16 are read", path.display())]
    UnsupportedType {
        /// The tensor.
        name: String,
        /// Its file.
        path: PathBuf,
        /// Its type.
        dtype: StoredDtype,
    },
    /// Tensors that the model has no use for.
    #[error("{} holds {count} tensors that the model does not know, first {}", path.display(), names.join(", "))]
    Unknown {
        /// The file of the first.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The first few.
        names: Vec<String>,
    },
    /// F16 weights were asked for on a CPU.
    #[error("weights cannot be kept as f16 on a CPU; ask for f32 or bf16")]
    HalfOnCpu,
    /// A budget for experts that has no room for a single one.
    #[error("a budget of {budget} bytes for experts is too small: one takes {needed}")]
    ExpertBudget {
        /// The budget.
        budget: u64,
        /// Bytes of the largest expert.
        needed: u64,
    },
    /// Experts were to stay on disk elsewhere than on a CPU.
    #[error("experts can stay on disk on a CPU only")]
    ExpertsOnDevice,
    /// Quantised weights were asked for elsewhere than on a CPU.
    #[error("weights can be quantised on a CPU only")]
    QuantizedOnDevice,
    /// An id outside a table.
    #[error("id {id} is outside the table of {rows} rows")]
    Id {
        /// The id.
        id: u32,
        /// Rows of the table.
        rows: usize,
    },
    /// Queries, keys and values whose shapes do not go together.
    #[error("attention of queries {q:?} over keys {k:?} and values {v:?}")]
    Attention {
        /// Shape of the queries.
        q: Vec<usize>,
        /// Shape of the keys.
        k: Vec<usize>,
        /// Shape of the values.
        v: Vec<usize>,
    },
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
