//! What is said: messages with their images.

use crate::{Error, Result};
use seekvl_vision::{DecodeOptions, Rgb};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// Where an image stands in the text of a message. A message has as many of them as images.
pub const IMAGE_PLACEHOLDER: &str = "<image>";

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// An image as a caller has it.
#[derive(Clone, Debug)]
pub enum Image {
    /// A file.
    Path(PathBuf),
    /// The content of an image file.
    Bytes(Arc<[u8]>),
    /// Pixels.
    Pixels(Arc<Rgb>),
}

/// One turn of a conversation.
///
/// Special tokens that are spelled out in the text (`<|ref|>`, `<|grounding|>`, but also `<|User|>`) are read as such, as
/// the original does: prompts for grounding need them. Take them out of text that you do not trust.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said, with [`IMAGE_PLACEHOLDER`] for each image. White space around it is not sent.
    pub text: String,
    /// The images, in the order of their placeholders.
    pub images: Vec<Image>,
}

/// A piece of a message.
#[derive(Clone, Debug)]
pub enum Part {
    /// Words.
    Text(String),
    /// An image.
    Image(Image),
}

/// A conversation up to the answer that is wanted.
///
/// It ends with a user's message, or with the beginning of an answer, which the model then continues.
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    /// What the model is told before the first message, if anything. It cannot hold images.
    pub system: Option<String>,
    /// The turns, oldest first.
    pub messages: Vec<Message>,
}

/// A message as it is commonly written in JSON, with the role as a string and images as paths.
#[derive(Clone, Debug, Deserialize)]
pub struct RoleMessage {
    /// `user`, `assistant` or `system`, or one of the originals' names: `<|User|>`, `<|Assistant|>`, `deepseekapi-sys`,
    /// `User`, `Assistant`.
    pub role: String,
    /// The text.
    pub content: String,
    /// The images' files.
    #[serde(default)]
    pub images: Vec<PathBuf>,
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "user" | "<|User|>" | "User" => Ok(Self::User),
            "assistant" | "<|Assistant|>" | "Assistant" => Ok(Self::Assistant),
            _ => Err(Error::UnknownRole(name.into())),
        }
    }
}

impl Image {
    /// The pixels, decoded where they are not yet.
    ///
    /// # Errors
    /// A file that cannot be read, or is no image that can be decoded within the limits.
    pub fn load(&self, options: &DecodeOptions) -> Result<Arc<Rgb>> {
        Ok(match self {
            Self::Path(path) => Arc::new(Rgb::open(path, options)?),
            Self::Bytes(bytes) => Arc::new(Rgb::decode(bytes, options)?),
            Self::Pixels(pixels) => pixels.clone(),
        })
    }

    /// Width and height, by the header where the pixels are not decoded yet.
    ///
    /// # Errors
    /// As [`Image::load`], but for damage after the header.
    pub fn size(&self, options: &DecodeOptions) -> Result<(u32, u32)> {
        Ok(match self {
            Self::Path(path) => Rgb::size_of_file(path, options)?,
            Self::Bytes(bytes) => Rgb::size_of(bytes, options)?,
            Self::Pixels(pixels) => (pixels.width(), pixels.height()),
        })
    }
}

impl Message {
    /// A user's message whose text has placeholders for the images.
    pub fn user(text: impl Into<String>, images: impl IntoIterator<Item = Image>) -> Self {
        Self { role: Role::User, text: text.into(), images: images.into_iter().collect() }
    }

    /// An answer of the model, or the beginning of one where it is the last message.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self { role: Role::Assistant, text: text.into(), images: Vec::new() }
    }

    /// A question about images. Unless the question has placeholders of its own, the images stand before it, one a line.
    pub fn question(question: impl Into<String>, images: impl IntoIterator<Item = Image>) -> Self {
        let mut message = Self::user(question, images);
        if !message.text.contains(IMAGE_PLACEHOLDER) {
            let before = format!("{IMAGE_PLACEHOLDER}\n").repeat(message.images.len());
            message.text.insert_str(0, &before);
        }
        message
    }

    /// A user's message of words and images in turn.
    pub fn parts(parts: impl IntoIterator<Item = Part>) -> Self {
        let mut message = Self::user("", []);
        for part in parts {
            match part {
                Part::Text(text) => message.text.push_str(&text),
                Part::Image(image) => {
                    message.text.push_str(IMAGE_PLACEHOLDER);
                    message.images.push(image);
                }
            }
        }
        message
    }
}

impl Conversation {
    /// An empty conversation.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what the model is told before the first message.
    #[must_use]
    pub fn with_system(mut self, system: impl Into<String>) -> Self {
        self.system = Some(system.into());
        self
    }

    /// Adds a turn.
    #[must_use]
    pub fn with(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }

    /// Reads messages with role names. An empty answer at the end, which the original asks for, changes nothing.
    ///
    /// # Errors
    /// [`Error::UnknownRole`], or [`Error::SystemNotFirst`] for a system message after the first place.
    pub fn from_messages(messages: impl IntoIterator<Item = RoleMessage>) -> Result<Self> {
        let mut conversation = Self::default();
        for (index, RoleMessage { role, content, images }) in messages.into_iter().enumerate() {
            if matches!(role.as_str(), "system" | "deepseekapi-sys") {
                if index > 0 {
                    return Err(Error::SystemNotFirst { index });
                }
                if !images.is_empty() {
                    return Err(Error::ImageInSystem);
                }
                conversation.system = Some(content);
                continue;
            }
            let images = images.into_iter().map(Image::Path).collect();
            conversation.messages.push(Message { role: role.parse()?, text: content, images });
        }
        Ok(conversation)
    }

    /// All images, in order.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        self.messages.iter().flat_map(|message| &message.images)
    }
}

impl From<PathBuf> for Image {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&Path> for Image {
    fn from(path: &Path) -> Self {
        Self::Path(path.into())
    }
}

impl From<&str> for Image {
    fn from(path: &str) -> Self {
        Self::Path(path.into())
    }
}

impl From<Vec<u8>> for Image {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<Rgb> for Image {
    fn from(pixels: Rgb) -> Self {
        Self::Pixels(Arc::new(pixels))
    }
}

impl From<Message> for Conversation {
    fn from(message: Message) -> Self {
        Self::new().with(message)
    }
}
