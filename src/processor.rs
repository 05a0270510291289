//! What stands before the weights: a model's shape, its tokenizer and its chat template.

use crate::chat_template::ChatTemplate;
use crate::config::{EyesSpec, Family, ModelSpec};
use crate::conversation::{Conversation, IMAGE_PLACEHOLDER, Image};
use crate::files::{ModelFile, ModelFiles};
use crate::generation_config::GenerationConfig;
use crate::template::{Prompt, Template};
use crate::thinking::{self, Thought};
use crate::{Error, Result, TilingOptions};
use seekvl_language::{Sampling, Tokenizer};
use seekvl_nn::CacheType;
use seekvl_vision::{DecodeOptions, TileGrid, Tiles};
use std::borrow::Cow;

/// Tokens of Coder-V2 around a text with a hole.
const INFILL: [&str; 3] = ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"];

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
    dialogue: Dialogue,
    generation: GenerationConfig,
}

/// How conversations become tokens.
enum Dialogue {
    /// Piece by piece around images, as the processors of DeepSeek-VL and DeepSeek-VL2 do.
    Pieces(Template),
    /// As text.
    Text(Box<ChatTemplate>),
}

impl Processor {
    /// Reads a model's configuration and tokenizer.
    ///
    /// # Errors
    /// A file that cannot be read or a value that makes no sense; [`Error::Tokenizer`] if the tokenizer does not fit
    /// the language model; [`Error::ChatTemplate`].
    pub fn read(files: &ModelFiles) -> Result<Self> {
        let spec = ModelSpec::read(files)?;
        let generation: GenerationConfig =
            files.generation_config.as_ref().map(ModelFile::read_json).transpose()?.unwrap_or_default();
        let config = files.tokenizer_config.as_ref().map(ModelFile::read).transpose()?;
        let mut tokenizer = Tokenizer::from_bytes(&files.tokenizer.read()?, config.as_deref())?;
        tokenizer = match &spec.eyes {
            None => tokenizer,
            Some(EyesSpec { family: Family::Vl2, .. }) => tokenizer.with_vl2_tokens()?,
            Some(EyesSpec { family: Family::Vl, image_token, .. }) => tokenizer.with_special_token(image_token)?,
        };
        let unfit = |reason: String| Error::Tokenizer { path: files.tokenizer.path().into(), reason };
        let (tokens, vocab) = (tokenizer.vocab_size(), spec.language.vocab_size);
        if tokens > vocab {
            return Err(unfit(format!("it has {tokens} tokens, the language model {vocab}")));
        }
        let tokenizer = match (generation.end_ids(), &spec.eyes) {
            (Some(ids), _) => tokenizer.with_end_ids(ids),
            (None, None) => tokenizer.with_end_ids(spec.language.eos.clone()),
            (None, Some(_)) => tokenizer,
        };
        let need = |id: Option<u32>, what: &str| id.ok_or_else(|| unfit(format!("it has no {what} token")));
        let dialogue = match &spec.eyes {
            Some(eyes) => Dialogue::Pieces(Template {
                family: eyes.family,
                bos: need(tokenizer.bos_id().or(spec.language.bos), "begin-of-sentence")?,
                eos: need(tokenizer.eos_id().or(spec.language.eos.first().copied()), "end-of-sentence")?,
                image: need(tokenizer.token_id(&eyes.image_token), &eyes.image_token)?,
            }),
            None => Dialogue::Text(Box::new(ChatTemplate::read(files, &tokenizer)?)),
        };
        Ok(Self { spec, tokenizer, dialogue, generation })
    }

    /// The same for a model that attends to a window, as [`DecoderSpec::with_window`](seekvl_language::DecoderSpec::with_window)
    /// has it.
    ///
    /// # Errors
    /// A window that is empty or larger than the model's context.
    pub fn with_context_window(mut self, window: usize) -> Result<Self> {
        self.spec.language = self.spec.language.with_window(window)?;
        Ok(self)
    }

    /// The same for a model whose caches keep keys and values as `kind`.
    #[must_use]
    pub fn with_cache_type(mut self, kind: CacheType) -> Self {
        self.spec.language.cache_type = Some(kind);
        self
    }

    /// The model's shape.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// The ids that end an answer, as the checkpoint's configuration has them.
    pub(crate) fn end_ids(&self) -> Vec<u32> {
        self.generation.end_ids().unwrap_or_else(|| self.spec.language.eos.clone())
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The ids that frame a prompt of a model with eyes; others have a chat template of text.
    pub fn template(&self) -> Option<&Template> {
        match &self.dialogue {
            Dialogue::Pieces(template) => Some(template),
            Dialogue::Text(_) => None,
        }
    }

    /// The sampling that the checkpoint suggests in its `generation_config.json`; greedy where it suggests none.
    ///
    /// # Errors
    /// A value outside its range.
    pub fn suggested_sampling(&self) -> Result<Sampling> {
        self.generation.sampling()
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
        let count = conversation.images().count();
        let tiles = match &self.spec.eyes {
            None => self.see_none(count)?,
            Some(eyes) => {
                let spec = tiling.apply(&eyes.tiling)?;
                let crop = tiling.cropping.applies(count);
                let tile = |image: &Image| Ok(Tiles::new(&*image.load(decode)?, &spec, crop));
                conversation.images().map(tile).collect::<Result<_>>()?
            }
        };
        let grids: Vec<_> = tiles.iter().map(Tiles::grid).collect();
        Ok(Prepared { prompt: self.prompt(conversation, &grids)?, tiles })
    }

    /// The grids of a conversation's pictures by their sizes `(width, height)`.
    ///
    /// # Errors
    /// Options that do not fit the model, and [`Error::NoEyes`] for pictures where it has none.
    pub fn grids(&self, sizes: &[(u32, u32)], options: &TilingOptions) -> Result<Vec<TileGrid>> {
        let Some(eyes) = &self.spec.eyes else { return self.see_none(sizes.len()) };
        let tiling = options.apply(&eyes.tiling)?;
        let crop = options.cropping.applies(sizes.len());
        Ok(sizes.iter().map(|&(width, height)| tiling.grid(width, height, crop)).collect())
    }

    /// The prompt of a conversation whose pictures have these grids.
    ///
    /// # Errors
    /// Those of [`Template::render`] and [`Template::lay_out`], or [`Error::NoEyes`] and [`Error::ChatTemplate`].
    pub fn prompt(&self, conversation: &Conversation, grids: &[TileGrid]) -> Result<Prompt> {
        match &self.dialogue {
            Dialogue::Pieces(template) => {
                let encode = |text: &str| Ok(self.tokenizer.encode(text)?);
                let pieces = template.render(&self.with_placeholders(conversation), &encode)?;
                let slots: Vec<usize> = grids.iter().map(|&grid| self.slots(grid)).collect();
                template.lay_out(&pieces, &slots)
            }
            Dialogue::Text(template) => {
                self.see_none::<()>(conversation.images().count().max(grids.len()))?;
                let text = template.render(conversation)?;
                let is_open = text.trim_end().ends_with(thinking::START);
                let thought = match self.tokenizer.token_id(thinking::START) {
                    Some(_) if is_open => Thought::Begun,
                    Some(_) => Thought::MayBegin,
                    None => Thought::Never,
                };
                // The template writes begin-of-sentence where it belongs.
                Ok(Prompt { ids: self.tokenizer.encode(&text)?, thought, ..Prompt::default() })
            }
        }
    }

    /// The conversation with [`IMAGE_PLACEHOLDER`] where the model's own token for an image is written out, as prompts for
    /// DeepSeek-VL commonly have it.
    fn with_placeholders<'c>(&self, conversation: &'c Conversation) -> Cow<'c, Conversation> {
        let Some(token) = self.spec.eyes.as_ref().map(|eyes| eyes.image_token.as_str()) else {
            return Cow::Borrowed(conversation);
        };
        let texts = conversation.messages.iter().map(|message| &message.text).chain(&conversation.system);
        if token == IMAGE_PLACEHOLDER || token.is_empty() || !texts.into_iter().any(|text| text.contains(token)) {
            return Cow::Borrowed(conversation);
        }
        let mut conversation = conversation.clone();
        let texts = conversation.messages.iter_mut().map(|message| &mut message.text).chain(&mut conversation.system);
        texts.for_each(|text| *text = text.replace(token, IMAGE_PLACEHOLDER));
        Cow::Owned(conversation)
    }

    /// The prompt of a text that the model shall go on with: its tokens, after begin-of-sentence where the tokenizer puts
    /// one, unless the text begins with it.
    ///
    /// # Errors
    /// If the tokenizer refuses the text.
    pub fn raw_prompt(&self, text: &str) -> Result<Prompt> {
        let mut ids = self.tokenizer.encode(text)?;
        let begin = self.tokenizer.begin_id().or_else(|| self.template().map(|template| template.bos));
        if let Some(begin) = begin
            && ids.first() != Some(&begin)
        {
            ids.insert(0, begin);
        }
        Ok(Prompt { ids, ..Prompt::default() })
    }

    /// The prompt to which the model answers with what belongs between `prefix` and `suffix`.
    ///
    /// # Errors
    /// [`Error::NoInfill`] for a model whose tokenizer lacks the tokens for it.
    pub fn infill_prompt(&self, prefix: &str, suffix: &str) -> Result<Prompt> {
        if let Some(token) = INFILL.into_iter().find(|token| self.tokenizer.token_id(token).is_none()) {
            return Err(Error::NoInfill { token });
        }
        let [begin, hole, end] = INFILL;
        self.raw_prompt(&format!("{begin}{prefix}{hole}{suffix}{end}"))
    }

    /// Complains of a prompt that leaves no room for an answer.
    ///
    /// # Errors
    /// [`Error::PromptTooLong`].
    pub fn check_fits(&self, prompt: &Prompt) -> Result<()> {
        let (tokens, context) = (prompt.len(), self.spec.language.longest());
        if tokens > context {
            return Err(Error::PromptTooLong { tokens, image_tokens: prompt.image_tokens(), context });
        }
        Ok(())
    }

    /// Tokens that a picture of this grid takes in the prompt; none for a model without eyes.
    pub fn slots(&self, grid: TileGrid) -> usize {
        let slots = |eyes: &EyesSpec| eyes.layout.slots(grid.cols as usize, grid.rows as usize);
        self.spec.eyes.as_ref().map_or(0, slots)
    }

    /// Nothing, if that is what there is to see.
    fn see_none<T>(&self, images: usize) -> Result<Vec<T>> {
        if images == 0 { Ok(Vec::new()) } else { Err(Error::NoEyes { images }) }
    }
}
