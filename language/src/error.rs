//! What can go wrong.

use seekvl_nn::TensorError;
use std::fmt::Display;
use std::ops::Range;
use std::path::PathBuf;

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Loading or computing a layer.
    #[error(transparent)]
    Nn(#[from] seekvl_nn::Error),
    /// A key of the model's configuration has a value that cannot be used.
    #[error("configuration of the language model: {key} is {value}: {reason}")]
    Config {
        /// The key, as in `config.json`.
        key: &'static str,
        /// Its value.
        value: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// A tensor that is no row of hidden states, or several.
    #[error("a tensor of shape {found:?} in place of [at least one row, {hidden}]")]
    Rows {
        /// Its shape.
        found: Vec<usize>,
        /// The model's hidden size.
        hidden: usize,
    },
    /// Spans that do not divide the rows of a pass among them.
    #[error("a pass over {rows} rows cannot be divided into spans of {spans:?}")]
    Spans {
        /// Rows of the pass.
        rows: usize,
        /// Rows of each span.
        spans: Vec<usize>,
    },
    /// A sequence longer than the model's context.
    #[error("a sequence of {asked} tokens does not fit the model's context of {limit}")]
    Context {
        /// Its length.
        asked: usize,
        /// The context.
        limit: usize,
    },
    /// A cache that another decoder made.
    #[error("the cache was made by another decoder")]
    ForeignCache,
    /// A cache's type was chosen elsewhere than on a CPU.
    #[error("a cache's type can be chosen on a CPU only")]
    CacheOnDevice,
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the tokenizer is not what it should be.
    #[error("{file} cannot be used")]
    TokenizerFile {
        /// The file.
        file: &'static str,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A tokenizer of another kind.
    #[error("tokenizer.json: decoder is not of type ByteLevel, the only one supported")]
    NotByteLevel,
    /// Two files of the tokenizer disagree.
    #[error(
        "tokenizer_config.json: added_tokens_decoder lists {token:?} as {listed}, for tokenizer.json it is {found:?}"
    )]
    TokenId {
        /// The token.
        token: String,
        /// Its id by `tokenizer_config.json`.
        listed: u32,
        /// Its id by `tokenizer.json`, with what was added to it.
        found: Option<u32>,
    },
    /// A text too long to be tokenized.
    #[error("a text of {bytes} bytes is too long to be tokenized; the limit is {limit}")]
    TextTooLong {
        /// Its length.
        bytes: usize,
        /// The longest.
        limit: usize,
    },
    /// The tokenizer gave up on a text.
    #[error("the text cannot be tokenized")]
    Encode {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An option outside its range.
    #[error("{name} is {value}; it must be {expected}")]
    InvalidOption {
        /// The option.
        name: &'static str,
        /// What it was given.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
    /// The model computed something that is no number; its weights are damaged, or too large for their type.
    #[error("the logit of token {token} at position {position} is {value}, not a finite number")]
    NonFiniteLogits {
        /// Position of the token to be chosen, counted from the start of the prompt.
        position: usize,
        /// The first token with such a logit.
        token: u32,
        /// The logit.
        value: f32,
    },
    /// Sampling from nothing.
    #[error("there are no logits to choose a token by")]
    NoLogits,
    /// A prompt without tokens.
    #[error("the prompt of sequence {sequence} is empty")]
    EmptyPrompt {
        /// Its place in the batch.
        sequence: usize,
    },
    /// A prompt that does not fit.
    #[error("the prompt of sequence {sequence} has {prompt} tokens, the model's context is {context}")]
    PromptTooLong {
        /// Its place in the batch.
        sequence: usize,
        /// Its length.
        prompt: usize,
        /// The longest sequence.
        context: usize,
    },
    /// A cache that leaves nothing of the prompt to compute.
    #[error("the cache of sequence {sequence} holds {cached} positions, its prompt has {prompt}; there must be fewer")]
    CacheTooLong {
        /// Its place in the batch.
        sequence: usize,
        /// Positions in the cache.
        cached: usize,
        /// Positions of the prompt.
        prompt: usize,
    },
    /// Embeddings to insert that are no matrix.
    #[error("embeddings to insert have shape {shape:?}, not [rows, hidden]")]
    InsertShape {
        /// Their shape.
        shape: Vec<usize>,
    },
    /// Embeddings to insert past the end.
    #[error("embeddings for positions {start}..{end} do not fit a sequence of {len}")]
    InsertRange {
        /// Their first position.
        start: usize,
        /// Behind their last position.
        end: usize,
        /// Positions of the sequence.
        len: usize,
    },
    /// Embeddings to insert where there are some.
    #[error("embeddings for positions {start}..{end} overlap with those for {other:?}")]
    InsertOverlap {
        /// Their first position.
        start: usize,
        /// Behind their last position.
        end: usize,
        /// The positions of the others.
        other: Range<usize>,
    },
    /// Embeddings to insert of a wrong width.
    #[error("embeddings to insert have {found} values each, the model's hidden size is {hidden_size}")]
    InsertWidth {
        /// Their width.
        found: usize,
        /// The right one.
        hidden_size: usize,
    },
}

impl Error {
    pub(crate) fn config(key: &'static str, value: impl Display, reason: impl Into<String>) -> Self {
        Self::Config { key, value: value.to_string(), reason: reason.into() }
    }
}

impl From<TensorError> for Error {
    fn from(error: TensorError) -> Self {
        Self::Nn(error.into())
    }
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
