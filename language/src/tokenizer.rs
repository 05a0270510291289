//! Text to token ids and back.

use crate::markup::MarkupTokens;
use crate::text_stream::{TextStream, byte_of};
use crate::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::OnceLock;
use tokenizers::{AddedToken, DecoderWrapper};

/// The longest text that is tokenized at once, in bytes: far more than any context holds, and little enough for the
/// pre-tokenizer's regular expressions on any input.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// A byte-level BPE tokenizer, as all models of this family have it.
///
/// Special tokens that stand in a text become their ids; none are added by themselves.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    vocab_size: usize,
    bos_id: Option<u32>,
    eos_id: Option<u32>,
    pad_id: Option<u32>,
    /// Other ids that end an answer.
    end_ids: Vec<u32>,
    begins_with_bos: bool,
    /// Looked up when an answer first points at something.
    markup: OnceLock<MarkupTokens>,
}

impl Tokenizer {
    /// Reads `tokenizer.json` and, where there is one, `tokenizer_config.json` in a model's directory.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes), and if a file cannot be read.
    pub fn from_dir(dir: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = dir.join(name);
            fs::read(&path).map_err(|source| Error::ReadFile { path, source })
        };
        let config = match read("tokenizer_config.json") {
            Ok(bytes) => Some(bytes),
            Err(Error::ReadFile { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Self::from_bytes(&read("tokenizer.json")?, config.as_deref())
    }

    /// From the contents of `tokenizer.json` and of `tokenizer_config.json`. The latter names the special tokens; those
    /// that the former lacks are added, as the transformers library does.
    ///
    /// # Errors
    /// If one is not what it should be, the tokenizer is not byte-level, or the two disagree about an id.
    pub fn from_bytes(tokenizer: &[u8], config: Option<&[u8]>) -> Result<Self> {
        let mut inner = tokenizers::Tokenizer::from_bytes(tokenizer)
            .map_err(|source| Error::TokenizerFile { file: "tokenizer.json", source })?;
        match inner.get_decoder() {
            Some(DecoderWrapper::ByteLevel(_)) => {}
            _ => return Err(Error::NotByteLevel),
        }
        // A prompt is never cut or filled up behind the caller's back.
        inner.with_truncation(None).map_err(|source| Error::TokenizerFile { file: "tokenizer.json", source })?;
        inner.with_padding(None);
        let config: Config = match config {
            Some(config) => serde_json::from_slice(config)
                .map_err(|source| Error::TokenizerFile { file: "tokenizer_config.json", source: source.into() })?,
            None => Config::default(),
        };
        config.add_tokens(&mut inner)?;
        let id = |token: &Option<Named>| token.as_ref().and_then(|token| inner.token_to_id(token.content()));
        let (bos_id, eos_id, pad_id) = (id(&config.bos_token), id(&config.eos_token), id(&config.pad_token));
        let begins_with_bos = config.add_bos_token.unwrap_or_else(|| {
            // What the post-processor puts before a text.
            let empty = inner.encode_fast("", true);
            empty.is_ok_and(|encoding| bos_id.is_some() && encoding.get_ids().first().copied() == bos_id)
        });
        let (vocab_size, end_ids) = (vocab_size(&inner), Vec::new());
        Ok(Self { vocab_size, inner, bos_id, eos_id, pad_id, end_ids, begins_with_bos, markup: OnceLock::new() })
    }

    /// Names more ids that end an answer, as a checkpoint's `generation_config.json` does.
    #[must_use]
    pub fn with_end_ids(mut self, ids: impl IntoIterator<Item = u32>) -> Self {
        self.end_ids.extend(ids);
        self
    }

    /// Adds the tokens that DeepSeek-VL2's processor adds where a checkpoint lacks them: padding, `<image>`, grounding
    /// tags, chat roles. New ids continue the vocabulary, so compare [`vocab_size`](Self::vocab_size) with the model's.
    ///
    /// # Errors
    /// If the tokenizer refuses one.
    pub fn with_vl2_tokens(mut self) -> Result<Self> {
        if self.pad_id.is_none() {
            self.add_special(&["<｜▁pad▁｜>"])?;
            self.pad_id = self.token_id("<｜▁pad▁｜>");
        }
        if self.token_id("<image>").is_none() {
            self.add_special(&["<image>"])?;
        }
        self.add_special(&[
            "<|ref|>",
            "<|/ref|>",
            "<|det|>",
            "<|/det|>",
            "<|grounding|>",
            "<|User|>",
            "<|Assistant|>",
        ])?;
        self.vocab_size = vocab_size(&self.inner);
        Ok(self)
    }

    /// Adds a special token where the vocabulary lacks it, as the originals' processors do with those that stand for images. A
    /// new id continues the vocabulary, so compare [`vocab_size`](Self::vocab_size) with the model's.
    ///
    /// # Errors
    /// If the tokenizer refuses it.
    pub fn with_special_token(mut self, token: &str) -> Result<Self> {
        if self.token_id(token).is_none() {
            self.add_special(&[token])?;
            self.vocab_size = vocab_size(&self.inner);
        }
        Ok(self)
    }

    fn add_special(&mut self, tokens: &[&str]) -> Result<()> {
        let tokens = tokens.iter().map(|token| AddedToken::from(*token, true));
        self.inner
            .add_special_tokens(tokens)
            .map_err(|source| Error::TokenizerFile { file: "tokenizer.json", source })?;
        self.markup = OnceLock::new();
        Ok(())
    }

    /// All of it in the form of `tokenizer.json`, the tokens that a configuration added included.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn to_json(&self) -> Result<String> {
        self.inner.to_string(false).map_err(|source| Error::TokenizerFile { file: "tokenizer.json", source })
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// If the text is longer than 4 MiB.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Error::TextTooLong { bytes: text.len(), limit: MAX_TEXT_BYTES });
        }
        let encoding = self.inner.encode_fast(text, false).map_err(|source| Error::Encode { source })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of ids. Bytes that are no characters become U+FFFD, ids outside the vocabulary nothing.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> String {
        let mut bytes = Vec::new();
        for &id in ids {
            self.append_bytes(id, skip_special, &mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Decodes ids one at a time.
    pub fn stream(&self, skip_special: bool) -> TextStream<'_> {
        TextStream::new(self, skip_special)
    }

    /// The bytes that an id stands for; none for an id outside the vocabulary.
    pub(crate) fn append_bytes(&self, id: u32, skip_special: bool, bytes: &mut Vec<u8>) {
        let Some(token) = self.inner.id_to_token(id) else { return };
        if skip_special && self.inner.get_added_vocabulary().is_special_token(&token) {
            return;
        }
        let start = bytes.len();
        for character in token.chars() {
            let Some(byte) = byte_of(character) else {
                // An added token is written as it reads.
                bytes.truncate(start);
                bytes.extend_from_slice(token.as_bytes());
                return;
            };
            bytes.push(byte);
        }
    }

    /// The id of a token such as `<image>`, written as in the vocabulary.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Whether an id is a special token's.
    pub fn is_special(&self, id: u32) -> bool {
        self.inner.id_to_token(id).is_some_and(|token| self.inner.get_added_vocabulary().is_special_token(&token))
    }

    /// One more than the largest id. A model whose vocabulary is smaller cannot be used with this tokenizer.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The id that begins a sentence, if the tokenizer's configuration names one.
    pub fn bos_id(&self) -> Option<u32> {
        self.bos_id
    }

    /// The id that ends a sentence, if the tokenizer's configuration names one.
    pub fn eos_id(&self) -> Option<u32> {
        self.eos_id
    }

    /// Whether an id ends an answer.
    pub fn is_end(&self, id: u32) -> bool {
        self.ends().any(|end| end == id)
    }

    /// The ids that end an answer.
    pub(crate) fn ends(&self) -> impl Iterator<Item = u32> {
        self.eos_id.into_iter().chain(self.end_ids.iter().copied())
    }

    /// The tokens that count inside of grounding markup.
    pub(crate) fn markup(&self) -> &MarkupTokens {
        self.markup.get_or_init(|| MarkupTokens::of(self))
    }

    /// The id that a text begins with where nothing else is said: that of begin-of-sentence, if the tokenizer adds it.
    pub fn begin_id(&self) -> Option<u32> {
        self.bos_id.filter(|_| self.begins_with_bos)
    }

    /// A token as it is written in the vocabulary; `None` for an id outside it.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of padding, if the tokenizer's configuration names one.
    pub fn pad_id(&self) -> Option<u32> {
        self.pad_id
    }
}

fn vocab_size(tokenizer: &tokenizers::Tokenizer) -> usize {
    tokenizer.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1)
}

/// What matters here of `tokenizer_config.json`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    added_tokens_decoder: BTreeMap<u32, AddedToken>,
    bos_token: Option<Named>,
    eos_token: Option<Named>,
    unk_token: Option<Named>,
    pad_token: Option<Named>,
    additional_special_tokens: Option<Vec<Named>>,
    add_bos_token: Option<bool>,
}

/// A token by its text, or an object that holds it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Text(String),
    Object { content: String },
}

impl Named {
    fn content(&self) -> &str {
        match self {
            Named::Text(content) | Named::Object { content } => content,
        }
    }
}

impl Config {
    /// Adds what the tokenizer lacks, in the order of ids, then the special tokens named elsewhere.
    fn add_tokens(&self, tokenizer: &mut tokenizers::Tokenizer) -> Result<()> {
        let listed: Vec<_> = self.added_tokens_decoder.values().cloned().collect();
        let refused = |source| Error::TokenizerFile { file: "tokenizer_config.json", source };
        tokenizer.add_tokens(listed).map_err(refused)?;
        for (&listed, token) in &self.added_tokens_decoder {
            let found = tokenizer.token_to_id(&token.content);
            if found != Some(listed) {
                return Err(Error::TokenId { token: token.content.clone(), listed, found });
            }
        }
        let named = [&self.bos_token, &self.eos_token, &self.unk_token, &self.pad_token].into_iter().flatten();
        let named: Vec<_> = named
            .chain(self.additional_special_tokens.iter().flatten())
            .map(|token| AddedToken::from(token.content(), true))
            .collect();
        tokenizer.add_special_tokens(named).map_err(refused)?;
        Ok(())
    }
}
