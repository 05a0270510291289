//! Inner values of a model, for those who build on its parts.

use super::Model;
use crate::conversation::{Conversation, Image, Message};
use crate::processor::Prepared;
use crate::recall::Pictures;
use crate::{Options, Result};
use seekvl_language::Span;
use seekvl_nn::{Tensor, to_vec};

/// Numbers in rows, the last dimension running fastest.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// As many numbers as the dimensions say.
    pub values: Vec<f32>,
}

impl Array {
    fn new(tensor: &Tensor) -> Result<Self> {
        Ok(Self { shape: tensor.dims().to_vec(), values: to_vec(tensor)? })
    }
}

impl Model {
    /// What the vision tower makes of a picture: `[views, patches, width]`, the global view first, then the tiles row by
    /// row. Of two towers it is SigLIP.
    ///
    /// # Errors
    /// An image that cannot be read, or options that do not fit the model.
    pub fn vision_features(&self, image: &Image, options: &Options) -> Result<Array> {
        let eyes = self.eyes.as_ref().ok_or(crate::Error::NoEyes { images: 1 })?;
        let prepared = self.prepare_one(image, options)?;
        let tiles = &prepared.tiles[0];
        let patches = eyes.patches(tiles.size(), &tiles.views().collect::<Vec<_>>())?;
        let features = eyes.features(&patches, &mut ())?.ok_or(crate::Error::Cancelled)?;
        Array::new(&features.low)
    }

    /// The rows that stand for a picture in the language model's sequence: `[image tokens, hidden]`, with those that
    /// separate lines and views.
    ///
    /// # Errors
    /// As [`Model::vision_features`], and [`Error::Cancelled`](crate::Error::Cancelled).
    pub fn visual_tokens(&self, image: &Image, options: &Options) -> Result<Array> {
        let eyes = self.eyes.as_ref().ok_or(crate::Error::NoEyes { images: 1 })?;
        let prepared = self.prepare_one(image, options)?;
        Array::new(&eyes.see(&prepared.tiles[0], &options.cancel)?)
    }

    /// The logits that follow a conversation's prompt: of the next token, `[1, vocabulary]`, or of the one after each
    /// position, `[prompt tokens, vocabulary]`.
    ///
    /// # Errors
    /// As [`Model::generate`].
    pub fn logits(&self, conversation: &Conversation, options: &Options, every_position: bool) -> Result<Array> {
        let sequence = self.encode(conversation, options, &mut Pictures::new(0))?.sequence;
        let chunk = if options.prefill_chunk == 0 { sequence.len() } else { options.prefill_chunk };
        let form = self.decoder.spec().attention.cheaper_form(sequence.len(), 0);
        let (mut cache, mut logits) = (self.decoder.new_cache(), Vec::new());
        for start in (0..sequence.len()).step_by(chunk.max(1)) {
            if options.cancel.is_cancelled() {
                return Err(crate::Error::Cancelled);
            }
            let rows = chunk.min(sequence.len() - start);
            let embeds = sequence.embeddings(&self.decoder, start..start + rows)?;
            let hidden = self.decoder.forward(&embeds, &mut [Span { rows, cache: &mut cache, form }], &mut ())?;
            if every_position {
                logits.push(self.decoder.logits(&hidden)?);
            } else if start + rows == sequence.len() {
                logits.push(self.decoder.logits(&hidden.narrow(0, rows - 1, 1).map_err(seekvl_nn::Error::from)?)?);
            }
        }
        Array::new(&Tensor::cat(&logits, 0).map_err(seekvl_nn::Error::from)?)
    }

    fn prepare_one(&self, image: &Image, options: &Options) -> Result<Prepared> {
        let conversation = Message::question("", [image.clone()]).into();
        self.processor.prepare(&conversation, &options.tiling, &options.decode)
    }
}
