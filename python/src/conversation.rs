//! Conversations as the package's Python side writes them.

use crate::image::Image;
use pyo3::prelude::*;
use seekvl::{Conversation, DecodeOptions, Message, Role};
use std::time::{Duration, Instant};

/// A turn: whether the model said it, the text with `<image>` for each image, the images.
type Turn = (bool, String, Vec<Py<Image>>);

/// What the model is told first, and the turns.
#[derive(FromPyObject)]
pub struct Dialogue(Option<String>, Vec<Turn>);

/// A conversation with images that are not decoded yet.
pub struct Undecoded {
    conversation: Conversation,
    options: Vec<DecodeOptions>,
}

/// A conversation whose images are pixels.
pub struct Decoded {
    /// The conversation.
    pub conversation: Conversation,
    /// Width and height of its last image.
    pub last_size: Option<(u32, u32)>,
    /// How long decoding took.
    pub decoding: Duration,
}

impl Dialogue {
    /// Leaves everything of Python behind.
    pub fn into_rust(self) -> Undecoded {
        let Self(system, turns) = self;
        let mut options = Vec::new();
        let mut turn = |(is_answer, text, images): Turn| {
            let mut one = |image: Py<Image>| {
                let (source, decode) = image.get().source();
                options.push(decode);
                source
            };
            let images = images.into_iter().map(&mut one).collect();
            Message { role: if is_answer { Role::Assistant } else { Role::User }, text, images }
        };
        let messages = turns.into_iter().map(&mut turn).collect();
        Undecoded { conversation: Conversation { system, messages }, options }
    }
}

impl Undecoded {
    /// Reads and decodes the images.
    pub fn decode(mut self) -> seekvl::Result<Decoded> {
        let started = Instant::now();
        let mut last_size = None;
        let images = self.conversation.messages.iter_mut().flat_map(|message| &mut message.images);
        for (image, options) in images.zip(&self.options) {
            let pixels = image.load(options)?;
            last_size = Some((pixels.width(), pixels.height()));
            *image = seekvl::Image::Pixels(pixels);
        }
        Ok(Decoded { conversation: self.conversation, last_size, decoding: started.elapsed() })
    }

    /// The conversation and the sizes of its images, by their headers.
    pub fn sizes(self) -> seekvl::Result<(Conversation, Vec<(u32, u32)>)> {
        let sizes = self.conversation.images().zip(&self.options).map(|(image, options)| image.size(options));
        let sizes = sizes.collect::<seekvl::Result<_>>()?;
        Ok((self.conversation, sizes))
    }
}
