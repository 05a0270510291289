//! From a conversation to the tokens of a prompt, exactly as the originals' processors make them
//! (`processing_deepseek_vl_v2.py`, `format_messages_v2`; DeepSeek-VL's `processing_vlm.py`; template "deepseek" of both
//! `conversation.py`).
//!
//! DeepSeek-VL2: begin-of-sentence, the system message, then for each user's message `<|User|>: text`, a blank line and
//! `<|Assistant|>:`, and for each answer its text and end-of-sentence. The text is tokenized piece by piece around the
//! images. The string that the original reports as its prompt has a space after the colon of an answer; what it tokenizes
//! has none.
//!
//! DeepSeek-VL: begin-of-sentence, the system message (there is always one) and a blank line, then `User: text`, a blank line and
//! `Assistant:`, and for each answer a space, its text and end-of-sentence. All that stands between images and ends of sentences
//! is tokenized at once.

use crate::config::Family;
use crate::conversation::{Conversation, IMAGE_PLACEHOLDER, Message, Role};
use crate::thinking::Thought;
use crate::{Error, Result};
use std::ops::Range;

/// What DeepSeek-VL is told where a conversation has no system message.
pub const VL_SYSTEM: &str = "You are a helpful language and vision assistant. You are able to understand the visual content \
                             that the user provides, and assist the user with a variety of tasks using natural language.";

/// A function that turns text into ids without adding any of its own.
pub trait Encode {
    /// The ids of `text`.
    ///
    /// # Errors
    /// Whatever the tokenizer complains of.
    fn encode(&self, text: &str) -> Result<Vec<u32>>;
}

impl<F: Fn(&str) -> Result<Vec<u32>>> Encode for F {
    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self(text)
    }
}

/// The ids that frame a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// Whose template it is.
    pub family: Family,
    /// Begin-of-sentence.
    pub bos: u32,
    /// End-of-sentence, after each finished answer.
    pub eos: u32,
    /// The id that stands in each slot of an image. The embedding in its place never comes from the table.
    pub image: u32,
}

/// A part of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Ids of text and special tokens.
    Text(Vec<u32>),
    /// The image of this number, counted over the whole conversation from 0.
    Image(usize),
}

/// A prompt in tokens, with its images' places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// All ids, the image id in every slot of an image.
    pub ids: Vec<u32>,
    /// The slots of each image, in order.
    pub images: Vec<Range<usize>>,
    /// Whether the answer has a part in which the model thinks.
    pub thought: Thought,
}

impl Template {
    /// The pieces of a conversation. What comes next is the model's answer: after a user's message a new one, after an
    /// assistant's the rest of that one. Neighbouring pieces of text are one.
    ///
    /// # Errors
    /// [`Error::NoMessage`], [`Error::ImageCount`] where a message has another number of placeholders than of images,
    /// [`Error::ImageInAnswer`], [`Error::ImageInSystem`], or what `encode` complains of.
    pub fn render(&self, conversation: &Conversation, encode: &impl Encode) -> Result<Vec<Piece>> {
        let mut writer = Writer::new(self.bos, encode);
        let system = match (&conversation.system, self.family) {
            (Some(system), _) => system,
            (None, Family::Vl) => VL_SYSTEM,
            (None, Family::Vl2) => "",
        };
        if system.contains(IMAGE_PLACEHOLDER) {
            return Err(Error::ImageInSystem);
        }
        let Some(last) = conversation.messages.len().checked_sub(1) else {
            return Err(Error::NoMessage);
        };
        for (index, message) in conversation.messages.iter().enumerate() {
            check_images(index, message)?;
        }
        match self.family {
            Family::Vl => self.render_vl(system, conversation, last, &mut writer)?,
            Family::Vl2 => self.render_vl2(system, conversation, last, &mut writer)?,
        }
        Ok(writer.pieces)
    }

    fn render_vl2<E: Encode>(
        &self,
        system: &str,
        conversation: &Conversation,
        last: usize,
        writer: &mut Writer<'_, E>,
    ) -> Result<()> {
        writer.text(strip(system))?;
        for (index, message) in conversation.messages.iter().enumerate() {
            match (message.role, strip(&message.text)) {
                (Role::User, "") => writer.text("<|User|>:<|Assistant|>:")?,
                (Role::User, text) => writer.text_with_images(&format!("<|User|>: {text}\n\n<|Assistant|>:"))?,
                (Role::Assistant, text) => {
                    writer.text(text)?;
                    if index < last {
                        writer.ids(&[self.eos]);
                    }
                }
            }
        }
        Ok(())
    }

    fn render_vl<E: Encode>(
        &self,
        system: &str,
        conversation: &Conversation,
        last: usize,
        writer: &mut Writer<'_, E>,
    ) -> Result<()> {
        // The original strips its prompt as a whole.
        let mut text = match strip(system) {
            "" => String::new(),
            _ => format!("{}\n\n", system.trim_start_matches(is_space)),
        };
        for (index, message) in conversation.messages.iter().enumerate() {
            match (message.role, strip(&message.text)) {
                (Role::User, "") => text.push_str("User:Assistant:"),
                (Role::User, said) => text.push_str(&format!("User: {said}\n\nAssistant:")),
                (Role::Assistant, "") => {}
                (Role::Assistant, said) => {
                    text.push(' ');
                    text.push_str(said);
                    if index < last {
                        writer.text_with_images(&text)?;
                        writer.ids(&[self.eos]);
                        text.clear();
                    }
                }
            }
        }
        writer.text_with_images(&text)
    }

    /// The pieces of a prompt that is written out already: begin-of-sentence and the text as it stands, with
    /// [`IMAGE_PLACEHOLDER`] for each of `images` images.
    ///
    /// # Errors
    /// [`Error::ImageCount`], or what `encode` complains of.
    pub fn render_raw(&self, prompt: &str, images: usize, encode: &impl Encode) -> Result<Vec<Piece>> {
        let placeholders = prompt.matches(IMAGE_PLACEHOLDER).count();
        if placeholders != images {
            return Err(Error::ImageCount { message: None, placeholders, images });
        }
        let mut writer = Writer::new(self.bos, encode);
        writer.text_with_images(prompt)?;
        Ok(writer.pieces)
    }

    /// Puts pieces in a row; `slots[i]` is the number of tokens of image `i`.
    ///
    /// # Errors
    /// [`Error::ImageCount`] if there are not as many `slots` as images.
    pub fn lay_out(&self, pieces: &[Piece], slots: &[usize]) -> Result<Prompt> {
        let placeholders = pieces.iter().filter(|piece| matches!(piece, Piece::Image(_))).count();
        if placeholders != slots.len() {
            return Err(Error::ImageCount { message: None, placeholders, images: slots.len() });
        }
        let mut prompt = Prompt::default();
        for piece in pieces {
            match piece {
                Piece::Text(ids) => prompt.ids.extend(ids),
                Piece::Image(index) => {
                    let start = prompt.ids.len();
                    let end = start + slots.get(*index).copied().unwrap_or(0);
                    prompt.ids.resize(end, self.image);
                    prompt.images.push(start..end);
                }
            }
        }
        Ok(prompt)
    }
}

impl Prompt {
    /// Tokens in all.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Tokens that are images' slots.
    pub fn image_tokens(&self) -> usize {
        self.images.iter().map(ExactSizeIterator::len).sum()
    }
}

struct Writer<'a, E> {
    encode: &'a E,
    pieces: Vec<Piece>,
    images: usize,
}

impl<'a, E: Encode> Writer<'a, E> {
    fn new(bos: u32, encode: &'a E) -> Self {
        Self { encode, pieces: vec![Piece::Text(vec![bos])], images: 0 }
    }

    fn ids(&mut self, ids: &[u32]) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.extend(ids),
            _ if ids.is_empty() => {}
            _ => self.pieces.push(Piece::Text(ids.into())),
        }
    }

    fn text(&mut self, text: &str) -> Result<()> {
        let ids = self.encode.encode(text)?;
        self.ids(&ids);
        Ok(())
    }

    fn text_with_images(&mut self, text: &str) -> Result<()> {
        for (i, text) in text.split(IMAGE_PLACEHOLDER).enumerate() {
            if i > 0 {
                self.pieces.push(Piece::Image(self.images));
                self.images += 1;
            }
            self.text(text)?;
        }
        Ok(())
    }
}

fn check_images(index: usize, message: &Message) -> Result<()> {
    let (placeholders, images) = (message.text.matches(IMAGE_PLACEHOLDER).count(), message.images.len());
    if message.role == Role::Assistant && (placeholders > 0 || images > 0) {
        return Err(Error::ImageInAnswer { message: index });
    }
    if placeholders != images {
        return Err(Error::ImageCount { message: Some(index), placeholders, images });
    }
    Ok(())
}

/// Python's `str.strip`: white space as Unicode has it, and four separators that Rust's `trim` leaves.
fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}
