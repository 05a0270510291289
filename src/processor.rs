//! What stands before the weights: a model's shape, its tokenizer and its chat template.

use crate::config::ModelSpec;
use crate::conversation::{Conversation, Image};
use crate::files::{ModelFiles, read_bounded};
use crate::template::{Prompt, Template};
use crate::{Error, Result, TilingOptions};
use seekvl_language::Tokenizer;
use seekvl_vision::{DecodeOptions, TileGrid, Tiles};

/// A conversation's prompt and pictures, before any weight comes into it.
pub(crate) struct Prepared {
    /// The tokens, with the images' slots.
    pub prompt: Prompt,
    /// The pictures, in the order of their slots.
    pub tiles: Vec<Tiles>,
}

/// Turns conversations into prompts. Needs no weights.
pub struct Processor {
    spec: ModelSpec,
    tokenizer: Tokenizer,
    template: Template,
}

impl Processor {
    /// Reads a model's configuration and tokenizer.
    ///
    /// # Errors
    /// A file that cannot be read or a value that makes no sense; [`Error::Tokenizer`] if the tokenizer does not fit
    /// the language model.
    pub fn read(files: &ModelFiles) -> Result<Self> {
        let spec = ModelSpec::read(files)?;
        let config = files.tokenizer_config.as_deref().map(read_bounded).transpose()?;
        let tokenizer =
            Tokenizer::from_bytes(&read_bounded(&files.tokenizer)?, config.as_deref())?.with_vl2_tokens()?;
        let unfit = |reason: String| Error::Tokenizer { path: files.tokenizer.clone(), reason };
        let (tokens, vocab) = (tokenizer.vocab_size(), spec.language.vocab_size);
        if tokens > vocab {
            return Err(unfit(format!("it has {tokens} tokens, the language model {vocab}")));
        }
        let need = |id: Option<u32>, what: &str| id.ok_or_else(|| unfit(format!("it has no {what} token")));
        let template = Template {
            bos: need(tokenizer.bos_id().or(spec.language.bos), "begin-of-sentence")?,
            eos: need(tokenizer.eos_id().or(spec.language.eos.first().copied()), "end-of-sentence")?,
            image: need(tokenizer.token_id(&spec.image_token), &spec.image_token)?,
        };
        Ok(Self { spec, tokenizer, template })
    }

    /// The model's shape.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The ids that frame a prompt.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Decodes and tiles a conversation's pictures, and makes its prompt.
    ///
    /// # Errors
    /// Pictures that cannot be read, options that do not fit the model, and those of [`Processor::prompt`].
    pub(crate) fn prepare(
        &self,
        conversation: &Conversation,
        tiling: &TilingOptions,
        decode: &DecodeOptions,
    ) -> Result<Prepared> {
        let spec = tiling.apply(&self.spec.tiling)?;
        let crop = tiling.cropping.applies(conversation.images().count());
        let tile = |image: &Image| Ok(Tiles::new(&*image.load(decode)?, &spec, crop));
        let tiles: Vec<Tiles> = conversation.images().map(tile).collect::<Result<_>>()?;
        let grids: Vec<_> = tiles.iter().map(Tiles::grid).collect();
        Ok(Prepared { prompt: self.prompt(conversation, &grids)?, tiles })
    }

    /// The grids of a conversation's pictures by their sizes `(width, height)`.
    ///
    /// # Errors
    /// Options that do not fit the model.
    pub fn grids(&self, sizes: &[(u32, u32)], options: &TilingOptions) -> Result<Vec<TileGrid>> {
        let tiling = options.apply(&self.spec.tiling)?;
        let crop = options.cropping.applies(sizes.len());
        Ok(sizes.iter().map(|&(width, height)| tiling.grid(width, height, crop)).collect())
    }

    /// The prompt of a conversation whose pictures have these grids.
    ///
    /// # Errors
    /// Those of [`Template::render`] and [`Template::lay_out`].
    pub fn prompt(&self, conversation: &Conversation, grids: &[TileGrid]) -> Result<Prompt> {
        let encode = |text: &str| Ok(self.tokenizer.encode(text)?);
        let pieces = self.template.render(conversation, &encode)?;
        let slots: Vec<usize> = grids.iter().map(|&grid| self.slots(grid)).collect();
        self.template.lay_out(&pieces, &slots)
    }

    /// Complains of a prompt that leaves no room for an answer.
    ///
    /// # Errors
    /// [`Error::PromptTooLong`].
    pub fn check_fits(&self, prompt: &Prompt) -> Result<()> {
        let (tokens, context) = (prompt.len(), self.spec.language.max_positions);
        if tokens > context {
            return Err(Error::PromptTooLong { tokens, image_tokens: prompt.image_tokens(), context });
        }
        Ok(())
    }

    /// Tokens that a picture of this grid takes in the prompt.
    pub fn slots(&self, grid: TileGrid) -> usize {
        self.spec.layout.slots(grid.cols as usize, grid.rows as usize)
    }
}
