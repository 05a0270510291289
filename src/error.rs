//! What can go wrong.

use std::path::PathBuf;

/// Every failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading an image, or cutting it into tiles.
    #[error(transparent)]
    Vision(#[from] seekvl_vision::Error),
    /// Loading or computing a layer.
    #[error(transparent)]
    Nn(#[from] seekvl_nn::Error),
    /// The language model or its tokenizer.
    #[error(transparent)]
    Language(#[from] seekvl_language::Error),
    /// A conversation without a message.
    #[error("the conversation has no message to answer")]
    NoMessage,
    /// Another number of images than of places for them.
    #[error("{} has {placeholders} <image> placeholders for {images} images", place(*.message))]
    ImageCount {
        /// The message, counted from 0; `None` for a prompt as a whole.
        message: Option<usize>,
        /// `<image>` in its text.
        placeholders: usize,
        /// Images given with it.
        images: usize,
    },
    /// An answer with an image.
    #[error("message {message} is an answer and cannot hold an <image>")]
    ImageInAnswer {
        /// The message, counted from 0.
        message: usize,
    },
    /// A system message with an image.
    #[error("the system message cannot hold an <image>")]
    ImageInSystem,
    /// A system message that is not the first.
    #[error("message {index} is a system message; only the first can be")]
    SystemNotFirst {
        /// The message, counted from 0.
        index: usize,
    },
    /// A role that is none.
    #[error("unknown role {0:?}: roles are user, assistant and, first, system")]
    UnknownRole(String),
    /// A tokenizer that does not go with its language model.
    #[error("{}: {reason}", path.display())]
    Tokenizer {
        /// The tokenizer's file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Images for a model that reads text alone.
    #[error("this model reads text alone, and was given {images} images")]
    NoEyes {
        /// How many.
        images: usize,
    },
    /// A model that was not trained to fill in the middle.
    #[error("this model cannot fill in a middle: its tokenizer has no token {token}")]
    NoInfill {
        /// The first that it lacks.
        token: &'static str,
    },
    /// A chat template that cannot be read, or a conversation that it refuses.
    #[error("the chat template of {} fails", path.display())]
    ChatTemplate {
        /// The file that it stands in.
        path: PathBuf,
        /// What is wrong, and where.
        source: Box<minijinja::Error>,
    },
    /// A prompt that is longer than the model's context.
    #[error("the prompt has {tokens} tokens ({image_tokens} of images), the model's context {context}")]
    PromptTooLong {
        /// All tokens.
        tokens: usize,
        /// Those of images.
        image_tokens: usize,
        /// The most that the model takes.
        context: usize,
    },
    /// A directory without reference data.
    #[error("{} has no reference data: neither golden.json nor directories that have it", dir.display())]
    NoReference {
        /// The directory.
        dir: PathBuf,
    },
    /// Reference data that are not what they should be.
    #[error("{}: {reason}", path.display())]
    Reference {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The caller gave it up before there was an answer.
    #[error("cancelled")]
    Cancelled,
    /// What was given for a model is none.
    #[error("{model:?} is not a model: {reason}")]
    NotAModel {
        /// As given.
        model: String,
        /// What it is instead.
        reason: &'static str,
    },
    /// A directory lacks a file.
    #[error("{} has no {file}", dir.display())]
    MissingFile {
        /// The directory.
        dir: PathBuf,
        /// The file.
        file: String,
    },
    /// The list of a checkpoint's shards is not what it should be.
    #[error("{}: {reason}", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is no home directory to keep downloads in.
    #[error("there is no home directory for the cache of downloads; set HF_HOME")]
    NoCache,
    /// Offline, and the cache does not have the model.
    #[error("{id} is not in the cache {}, and downloads are off", cache.display())]
    NotCached {
        /// The model.
        id: String,
        /// The cache.
        cache: PathBuf,
    },
    /// The hub wants to know who asks.
    #[error("the hub denies access to {id} (status {status}): {}", denial(*.has_token))]
    Denied {
        /// The model.
        id: String,
        /// What the hub answered.
        status: u16,
        /// Whether a token was sent.
        has_token: bool,
    },
    /// The hub does not have it.
    #[error("the hub does not have {what} for {id}")]
    NotOnHub {
        /// The model.
        id: String,
        /// What was asked for.
        what: String,
    },
    /// A download failed.
    #[error("cannot get {what} of {id} from {endpoint}")]
    Download {
        /// The model.
        id: String,
        /// What was asked for.
        what: String,
        /// The hub.
        endpoint: String,
        /// Why.
        source: Box<hf_hub::api::sync::ApiError>,
    },
    /// The model changed on the hub during its download.
    #[error("{id} changed while it was downloaded; try again")]
    Moved {
        /// The model.
        id: String,
    },
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A JSON file with a syntax error, a missing key, or a value of the wrong kind.
    #[error("{}: at {key}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The key, with dots between levels.
        key: String,
        /// What is wrong there.
        source: serde_json::Error,
    },
    /// A value in a configuration file that cannot be used.
    #[error("{}: {key} is {value}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The key, with dots between levels.
        key: String,
        /// Its value.
        value: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// A value in `language_config` that cannot be used.
    #[error("{}: in the configuration of the language model", path.display())]
    LanguageConfig {
        /// The file.
        path: PathBuf,
        /// The key, its value, and why.
        source: Box<seekvl_language::Error>,
    },
    /// A model that has no form in GGUF, or a checkpoint that is not complete.
    #[error("this model cannot be written as GGUF: {reason}")]
    NoGguf {
        /// What there is no key for, or what is missing.
        reason: String,
    },
    /// A font that cannot be read.
    #[error("the font is not a TrueType or OpenType font that can be read")]
    Font,
    /// A name that does not end like an image's.
    #[error("{} does not end in .png, .jpg, .webp, .bmp, .tiff or .gif", path.display())]
    ImageFormat {
        /// The file.
        path: PathBuf,
    },
    /// A measurement of nothing.
    #[error("cannot measure {0}")]
    NothingToMeasure(&'static str),
    /// An image that cannot be encoded.
    #[error("cannot encode {}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why.
        source: image::ImageError,
    },
}

impl Error {
    /// Whether it is an option that is outside its range, or that does not fit the model.
    pub fn is_option(&self) -> bool {
        matches!(
            self,
            Self::Language(seekvl_language::Error::InvalidOption { .. } | seekvl_language::Error::CacheOnDevice)
                | Self::Nn(seekvl_nn::Error::ExpertBudget { .. } | seekvl_nn::Error::ExpertsOnDevice)
                | Self::Language(seekvl_language::Error::Nn(seekvl_nn::Error::ExpertBudget { .. }))
        )
    }

    /// Whether a sequence is longer than the model's context.
    pub fn is_too_long(&self) -> bool {
        use seekvl_language::Error::{Context, PromptTooLong};
        matches!(self, Self::PromptTooLong { .. } | Self::Language(Context { .. } | PromptTooLong { .. }))
    }
}

fn place(message: Option<usize>) -> String {
    message.map_or_else(|| "the prompt".into(), |message| format!("message {message}"))
}

fn denial(has_token: bool) -> &'static str {
    if has_token {
        "it does not exist, or this token may not see it"
    } else {
        "it does not exist, or is private or gated; set HF_TOKEN"
    }
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
