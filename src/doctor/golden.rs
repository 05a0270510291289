//! The files of a reference.

use crate::conversation::RoleMessage;
use crate::files::read_json;
use crate::{Error, Result};
use safetensors::{Dtype, SafeTensors};
use seekvl_vision::{PixelLayout, Rgb};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const JSON: &str = "golden.json";
pub const TENSORS: &str = "golden.safetensors";

/// `golden.json`.
#[derive(Deserialize)]
pub struct Golden {
    /// The id of the model, where it is part of this program and not in the directory.
    pub model: Option<String>,
    pub new_tokens: usize,
    pub requests: BTreeMap<String, Request>,
    #[serde(default)]
    pub tokenizer_cases: Vec<TokenizerCase>,
    /// DeepSeek-VL: the token for an image, and how many stand for each.
    pub image_token: Option<String>,
    pub num_image_tokens: Option<usize>,
    /// DeepSeek-VL: what the original makes of a conversation.
    pub template: Option<TemplateCases>,
}

#[derive(Deserialize)]
pub struct TemplateCases {
    pub multi_turn: TemplateCase,
}

#[derive(Deserialize)]
pub struct TemplateCase {
    pub messages: Vec<RoleMessage>,
    pub prompt: String,
}

#[derive(Deserialize)]
pub struct TokenizerCase {
    pub text: String,
    pub ids: Vec<u32>,
    pub decoded: String,
    pub decoded_skip_special: String,
}

/// One conversation, a batch of those named in `rows`, or a text that the model goes on with.
#[derive(Deserialize)]
pub struct Request {
    #[serde(default)]
    messages: Vec<RoleMessage>,
    /// The same for DeepSeek-VL, with all images apart.
    #[serde(default)]
    conversation: Vec<RoleMessage>,
    #[serde(default)]
    images: Vec<PathBuf>,
    #[serde(default)]
    pub rows: Vec<String>,
    #[serde(default)]
    pub num_image_tokens: Vec<Vec<usize>>,
    #[serde(default)]
    pub tile_sha256: Vec<String>,
    pub greedy_ids: Vec<Vec<u32>>,
    pub text: Option<Text>,
    #[serde(default)]
    pub text_skip_special: Vec<String>,
    /// The answer to a plain text or to DeepSeek-VL's conversation, with special tokens and without.
    #[serde(default)]
    pub decoded: String,
    #[serde(default)]
    pub decoded_skip_special: String,
    pub incremental: Option<Incremental>,
    pub repetition_penalty: Option<Penalty>,
    pub sampling: Option<SamplingCase>,
}

/// `text` of a request.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// The prompt itself.
    Prompt(String),
    /// The answers to a conversation, or to those of a batch.
    Answers(Vec<String>),
}

impl Request {
    /// The text that the model goes on with, if the request is one.
    pub fn prompt(&self) -> Option<&str> {
        match &self.text {
            Some(Text::Prompt(prompt)) => Some(prompt),
            Some(Text::Answers(_)) | None => None,
        }
    }

    /// The files of DeepSeek-VL's images.
    pub fn images(&self) -> &[PathBuf] {
        &self.images
    }

    /// The conversation, each image in its message.
    pub fn messages(&self, image_token: Option<&str>) -> Vec<RoleMessage> {
        let Some(image_token) = image_token.filter(|_| self.messages.is_empty()) else { return self.messages.clone() };
        let mut images = self.images.iter().cloned();
        let message = |message: &RoleMessage| {
            let count = message.content.matches(image_token).count();
            RoleMessage { images: images.by_ref().take(count).collect(), ..message.clone() }
        };
        self.conversation.iter().map(message).collect()
    }

    /// The first answer, with special tokens and without.
    pub fn answer(&self) -> [String; 2] {
        match &self.text {
            Some(Text::Prompt(_)) | None => [self.decoded.clone(), self.decoded_skip_special.clone()],
            Some(Text::Answers(answers)) => {
                [answers, &self.text_skip_special].map(|text| text.first().cloned().unwrap_or_default())
            }
        }
    }
}

#[derive(Deserialize)]
pub struct Incremental {
    pub chunk_size: usize,
}

#[derive(Deserialize)]
pub struct Penalty {
    pub value: f32,
    pub ids: Vec<Vec<u32>>,
}

#[derive(Deserialize)]
pub struct SamplingCase {
    pub repetition_penalty: f32,
    pub temperature: f32,
    pub top_k: usize,
    pub top_p: f32,
}

/// What `preprocess.json` says of a picture.
#[derive(Deserialize)]
pub struct Picture {
    pub width: u32,
    pub height: u32,
    #[serde(default)]
    pub lossy: bool,
    pub rgb_sha256: String,
    pub images_spatial_crop: [u32; 2],
    pub tile_sha256: Vec<String>,
}

/// `preprocess.json`.
#[derive(Deserialize)]
pub struct Preprocess {
    pub candidate_resolutions: Vec<[u32; 2]>,
    pub images: BTreeMap<String, Picture>,
}

/// A safetensors file in memory.
pub struct Tensors {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Tensors {
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.into(), source })?;
        let tensors = Self { path: path.into(), bytes };
        SafeTensors::deserialize(&tensors.bytes).map_err(|error| tensors.error(error.to_string()))?;
        Ok(tensors)
    }

    /// The elements and the shape of an f32 tensor, if there is one of this name.
    pub fn floats(&self, name: &str) -> Result<Option<(Vec<f32>, Vec<usize>)>> {
        let Some((bytes, shape)) = self.bytes_of(name, &[Dtype::F32])? else { return Ok(None) };
        Ok(Some((bytes.as_chunks().0.iter().map(|&quad| f32::from_le_bytes(quad)).collect(), shape)))
    }

    /// As [`Tensors::floats`], of an i64 tensor.
    pub fn integers(&self, name: &str) -> Result<Option<(Vec<i64>, Vec<usize>)>> {
        let Some((bytes, shape)) = self.bytes_of(name, &[Dtype::I64])? else { return Ok(None) };
        Ok(Some((bytes.as_chunks().0.iter().map(|&eight| i64::from_le_bytes(eight)).collect(), shape)))
    }

    /// As [`Tensors::floats`], of a u8 or bool tensor.
    pub fn octets(&self, name: &str) -> Result<Option<(&[u8], Vec<usize>)>> {
        self.bytes_of(name, &[Dtype::U8, Dtype::BOOL])
    }

    fn bytes_of(&self, name: &str, types: &[Dtype]) -> Result<Option<(&[u8], Vec<usize>)>> {
        let tensors = SafeTensors::deserialize(&self.bytes).map_err(|error| self.error(error.to_string()))?;
        let Ok(tensor) = tensors.tensor(name) else { return Ok(None) };
        if !types.contains(&tensor.dtype()) {
            return Err(self.error(format!("tensor {name} is of type {:?}, not {types:?}", tensor.dtype())));
        }
        Ok(Some((tensor.data(), tensor.shape().to_vec())))
    }

    /// The experts of layer `layer`, of which there are `count`: their ids, ascending for each token, and their weights.
    pub fn experts(&self, request: &str, layer: usize, count: usize) -> Result<Option<(Vec<u32>, Vec<f32>)>> {
        let tensor = format!("{request}.router.{layer}");
        let (ids, weights) = (format!("{tensor}.ids"), format!("{tensor}.weights"));
        let (Some((ids, _)), Some((weights, _))) = (self.integers(&ids)?, self.floats(&weights)?) else {
            return Ok(None);
        };
        let known: Vec<u32> = ids.iter().filter_map(|&id| id.try_into().ok()).filter(|&id| id < count as u32).collect();
        if known.len() != ids.len() || known.len() != weights.len() {
            return Err(self.missing(&tensor));
        }
        Ok(Some((known, weights)))
    }

    /// For a tensor that must be there.
    pub fn missing(&self, name: &str) -> Error {
        self.error(format!("it has no usable tensor {name}"))
    }

    fn error(&self, reason: String) -> Error {
        Error::Reference { path: self.path.clone(), reason }
    }
}

/// The pixels that pictures of lossy formats had in the reference, by file name; codecs differ.
pub fn lossy_pictures(set: &Path) -> Result<BTreeMap<String, Arc<Rgb>>> {
    let mut pictures = BTreeMap::new();
    let (json, tensors) = (set.join("preprocess.json"), set.join("preprocess.safetensors"));
    if !json.is_file() || !tensors.is_file() {
        return Ok(pictures);
    }
    let (preprocess, tensors) = (read_json::<Preprocess>(&json)?, Tensors::read(&tensors)?);
    for (name, picture) in preprocess.images.into_iter().filter(|(_, picture)| picture.lossy) {
        if let Some((pixels, shape)) = tensors.octets(&format!("{name}.rgb"))? {
            if shape != [picture.height as usize, picture.width as usize, 3] {
                return Err(tensors.missing(&format!("{name}.rgb")));
            }
            let pixels = Rgb::from_raw(picture.width, picture.height, PixelLayout::Rgb8, pixels.to_vec())?;
            pictures.insert(name, Arc::new(pixels));
        }
    }
    Ok(pictures)
}
