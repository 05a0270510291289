//! What an answer will take, before any weight is read.

mod memory;

pub use memory::{Memory, WeightBytes};

use crate::conversation::Conversation;
use crate::processor::Processor;
use crate::{Options, Result};
use seekvl_nn::CacheType;
use seekvl_vision::TileGrid;
use serde::{Serialize, Serializer};

/// What an answer will take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The images, in the order of the conversation.
    pub images: Vec<ImagePlan>,
    /// Tokens of the prompt, those of images included. The model will be given exactly so many.
    pub prompt_tokens: usize,
    /// Of these, the images'.
    pub image_tokens: usize,
    /// The most tokens of the answer, as the options have it.
    pub max_new_tokens: usize,
    /// Tokens that the model can hold, prompt and answer together.
    pub context: usize,
    /// What the cache keeps keys and values as.
    #[serde(serialize_with = "as_text")]
    pub cache_type: CacheType,
    /// Bytes that it takes for each token.
    pub cache_bytes_per_token: usize,
    /// An estimate of the memory at its fullest.
    pub memory: Memory,
}

fn as_text<S: Serializer>(kind: &CacheType, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(kind)
}

/// What becomes of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ImagePlan {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Local tiles across.
    pub cols: u32,
    /// Local tiles down.
    pub rows: u32,
    /// Tokens in the prompt.
    pub tokens: usize,
}

impl ImagePlan {
    /// Its tile grid.
    pub fn grid(&self) -> TileGrid {
        TileGrid { cols: self.cols, rows: self.rows }
    }
}

impl Plan {
    /// Plans the answer to a conversation. Of its images only the headers are read. `weights` are those of the model, by
    /// [`WeightBytes::of`] or, where its files are not at hand, [`WeightBytes::assumed`].
    ///
    /// # Errors
    /// A conversation that is not well formed, an image whose header cannot be read, options that do not fit the model. A
    /// prompt that does not fit the context is no error: [`Plan::fits`] says so.
    pub fn new(
        processor: &Processor,
        conversation: &Conversation,
        options: &Options,
        weights: WeightBytes,
    ) -> Result<Self> {
        let sizes = conversation.images().map(|image| image.size(&options.decode)).collect::<Result<Vec<_>>>()?;
        Self::with_sizes(processor, conversation, &sizes, options, weights)
    }

    /// As [`Plan::new`], for images of the given sizes (width, height), whatever the conversation's own images are.
    ///
    /// # Errors
    /// As [`Plan::new`], and [`Error::ImageCount`](crate::Error::ImageCount) for another number of sizes than of images.
    pub fn with_sizes(
        processor: &Processor,
        conversation: &Conversation,
        sizes: &[(u32, u32)],
        options: &Options,
        weights: WeightBytes,
    ) -> Result<Self> {
        let grids = processor.grids(sizes, &options.tiling)?;
        let prompt = processor.prompt(conversation, &grids)?;
        let image = |(&(width, height), &TileGrid { cols, rows }): (&(u32, u32), &TileGrid)| ImagePlan {
            width,
            height,
            cols,
            rows,
            tokens: processor.slots(TileGrid { cols, rows }),
        };
        let images: Vec<_> = sizes.iter().zip(&grids).map(image).collect();
        let context = processor.spec().language.longest();
        let max_new_tokens = options.generation.max_new_tokens;
        let memory = Memory::estimate(processor.spec(), &images, prompt.len(), max_new_tokens, options, weights);
        let language = &processor.spec().language;
        let cache_type = language.cache_type.unwrap_or(weights.cache_type);
        Ok(Self {
            images,
            prompt_tokens: prompt.len(),
            image_tokens: prompt.image_tokens(),
            max_new_tokens,
            context,
            cache_type,
            cache_bytes_per_token: language.cache_bytes_per_token(cache_type),
            memory,
        })
    }

    /// Whether the prompt fits the context.
    pub fn fits(&self) -> bool {
        self.prompt_tokens <= self.context
    }

    /// Tokens of an answer that the context has room for, up to those that the options allow.
    pub fn room(&self) -> usize {
        self.context.saturating_sub(self.prompt_tokens).min(self.max_new_tokens)
    }
}
