//! A loaded model: everything from images and questions to answers.

mod builder;
mod features;
mod stream;

use crate::answer::{Answer, Asked, Timings};
use crate::config::Family;
use crate::conversation::{Conversation, Image, Message};
use crate::eyes::Eyes;
use crate::processor::{Prepared, Processor};
use crate::recall::{Asking, Content, ModelId, Pictures, Recall};
use crate::template::Prompt;
use crate::thinking;
use crate::{Error, Options, Result};
use seekvl_language::{Cache, Cancel, Decoder, Engine, Mtp, Request, TokenSequence};
use seekvl_nn::{ExpertCounts, ExpertStore};
use seekvl_vision::{DecodeLimits, DecodeOptions};
use std::sync::Arc;
use std::time::Instant;

pub use builder::Builder;
pub use features::Array;
pub use stream::Stream;

/// What [`Model::ocr`] asks.
pub const OCR_PROMPT: &str = "Extract all the text in the image.";

/// A model, ready to answer: one of DeepSeek-VL2 or DeepSeek-VL, or a language model of the same family that reads text alone. It
/// never changes, so one serves any number of threads.
///
/// Weights are mapped from their files, not read into memory; the files must stay as they are while the model is in use.
///
/// ```
/// # fn main() -> Result<(), seekvl::Error> {
/// # let picture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/images/page.png");
/// let model = seekvl::Model::from_pretrained("nano")?; // or "deepseek-ai/deepseek-vl2-tiny", or a directory
/// let answer = model.ask(picture, "What does it cost?")?;
/// println!("{}", answer.text);
/// # Ok(())
/// # }
/// ```
pub struct Model {
    id: ModelId,
    processor: Processor,
    eyes: Option<Eyes>,
    decoder: Decoder,
    mtp: Option<Mtp>,
    experts: Option<Arc<ExpertStore>>,
    limits: DecodeLimits,
}

/// A conversation made into a prompt, its pictures encoded.
struct Encoded {
    sequence: TokenSequence,
    asking: Asking,
    asked: Asked,
}

impl Model {
    /// Loads a model by its id on the Hugging Face hub (`owner/name`, or `owner/name@revision`), from its directory, from a
    /// GGUF file, or `nano`, which is part of this crate, with weights in the type that they are stored in, on the CPU.
    ///
    /// # Errors
    /// As [`Builder::load`].
    pub fn from_pretrained(model: &str) -> Result<Self> {
        Self::builder().load(model)
    }

    /// Loads the tiny model that is part of this crate: no file, no network. It was trained on small
    /// synthetic pictures.
    ///
    /// # Errors
    /// None that a caller could cause; as [`Builder::load`].
    #[cfg(feature = "nano")]
    pub fn nano() -> Result<Self> {
        Self::from_pretrained(crate::NANO)
    }

    /// To choose how a model is loaded.
    pub fn builder() -> Builder<'static> {
        Builder::default()
    }

    /// Answers a question about an image, with the default options.
    ///
    /// # Errors
    /// As [`Model::generate`].
    pub fn ask(&self, image: impl Into<Image>, question: &str) -> Result<Answer> {
        let decode = DecodeOptions { limits: self.limits, ..DecodeOptions::default() };
        self.generate(&Message::question(question, [image.into()]).into(), &Options { decode, ..Options::default() })
    }

    /// Reads the text in an image: [`Model::ask`] with [`OCR_PROMPT`].
    ///
    /// # Errors
    /// As [`Model::generate`].
    pub fn ocr(&self, image: impl Into<Image>) -> Result<Answer> {
        self.ask(image, OCR_PROMPT)
    }

    /// Finds a described thing in an image; [`Answer::regions`] has its boxes. The description is asked for between
    /// `<|ref|>` tags, as DeepSeek-VL2 was trained; other models give no boxes.
    ///
    /// # Errors
    /// As [`Model::generate`].
    pub fn ground(&self, image: impl Into<Image>, description: &str) -> Result<Answer> {
        self.ask(image, &ground_prompt(description))
    }

    /// Answers a conversation.
    ///
    /// # Errors
    /// A conversation that is not well formed, an image that cannot be read, a prompt that does not fit the context,
    /// [`Error::Cancelled`] while images are encoded (an answer that is cancelled later is no error), or weights that
    /// compute nonsense.
    pub fn generate(&self, conversation: &Conversation, options: &Options) -> Result<Answer> {
        whole(self.stream(conversation, options)?)
    }

    /// As [`Model::generate`], and the text as it comes. The images are encoded before this returns.
    ///
    /// # Errors
    /// As [`Model::generate`].
    pub fn stream(&self, conversation: &Conversation, options: &Options) -> Result<Stream<'_>> {
        self.stream_with(conversation, options, &mut Recall::new(0))
    }

    /// As [`Model::stream`], without computing again what `recall` has: pictures that were encoded before, and what the
    /// conversation has in common with the last one. [`Stream::finish_into`] gives it back what there is of this one.
    ///
    /// # Errors
    /// As [`Model::generate`].
    pub fn stream_with(
        &self,
        conversation: &Conversation,
        options: &Options,
        recall: &mut Recall,
    ) -> Result<Stream<'_>> {
        recall.begin(self.id);
        let encoded = self.encode(conversation, options, &mut recall.pictures)?;
        let cache = recall.take(&encoded.asking);
        self.start(encoded, options, cache)
    }

    /// Goes on with a text as it stands, without a chat template, with the default options. To choose others, and for the
    /// text as it comes, give [`Processor::raw_prompt`] to [`Model::stream_prompt`].
    ///
    /// # Errors
    /// As [`Model::stream_prompt`].
    pub fn complete(&self, text: &str) -> Result<Answer> {
        whole(self.stream_prompt(self.processor.raw_prompt(text)?, &Options::default())?)
    }

    /// What belongs between `prefix` and `suffix`, by a model that was trained to fill it in (DeepSeek-Coder-V2), with the
    /// default options. To choose others, and for the text as it comes, give [`Processor::infill_prompt`] to
    /// [`Model::stream_prompt`].
    ///
    /// # Errors
    /// [`Error::NoInfill`] for another model, and as [`Model::stream_prompt`].
    pub fn infill(&self, prefix: &str, suffix: &str) -> Result<Answer> {
        whole(self.stream_prompt(self.processor.infill_prompt(prefix, suffix)?, &Options::default())?)
    }

    /// As [`Model::stream`], for a prompt without images that is made of tokens already.
    ///
    /// # Errors
    /// A prompt that has slots of images, is empty, or does not fit the context; weights that compute nonsense.
    pub fn stream_prompt(&self, prompt: Prompt, options: &Options) -> Result<Stream<'_>> {
        self.processor.check_fits(&prompt)?;
        if !prompt.images.is_empty() {
            return Err(Error::ImageCount { message: None, placeholders: prompt.images.len(), images: 0 });
        }
        let asked = Asked { thought: prompt.thought, has_markup: self.has_markup(), ..Asked::default() };
        let asking = Asking { ids: prompt.ids.clone(), pictures: Vec::new() };
        self.start(Encoded { sequence: TokenSequence::new(prompt.ids), asking, asked }, options, None)
    }

    fn start(&self, encoded: Encoded, options: &Options, cache: Option<Cache>) -> Result<Stream<'_>> {
        let Encoded { sequence, asking, mut asked } = encoded;
        asked.experts = self.mark();
        let request = Request { cache, ..self.request(sequence, &asked, options)? };
        let generation = self.engine(options).start(vec![request], options.cancel.clone())?;
        Ok(Stream::new(generation, asked, self.id, asking))
    }

    fn request(&self, sequence: TokenSequence, asked: &Asked, options: &Options) -> Result<Request> {
        let mut generation = options.generation.clone();
        if let Some(max_tokens) = options.thinking_budget {
            generation.thinking = thinking::budget(self.processor.tokenizer(), asked.thought, max_tokens)?;
        }
        Ok(Request::new(sequence, generation))
    }

    /// Answers several conversations together; each answer is the same as if it were asked for alone. A picture that
    /// several of them show is encoded once.
    ///
    /// # Errors
    /// As [`Model::generate`], whichever conversation it is.
    pub fn batch(&self, conversations: &[Conversation], options: &Options) -> Result<Vec<Answer>> {
        let mut pictures = Pictures::new(usize::MAX);
        let encode = |conversation| self.encode(conversation, options, &mut pictures);
        let encoded: Vec<Encoded> = conversations.iter().map(encode).collect::<Result<_>>()?;
        let (mut requests, mut rest) = (Vec::new(), Vec::new());
        for Encoded { sequence, mut asked, .. } in encoded {
            asked.experts = self.mark();
            requests.push(self.request(sequence, &asked, options)?);
            rest.push(asked);
        }
        let completed = self.engine(options).start(requests, options.cancel.clone())?.finish()?;
        let answers = completed.into_iter().zip(rest);
        Ok(answers.map(|(completed, asked)| Answer::new(completed, asked).0).collect())
    }

    /// What stands before the weights: shape, tokenizer, template.
    pub fn processor(&self) -> &Processor {
        &self.processor
    }

    /// The language model.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// What becomes of experts from now on.
    fn mark(&self) -> Option<(Arc<ExpertStore>, ExpertCounts)> {
        self.experts.as_ref().map(|store| (store.clone(), store.counts()))
    }

    pub(crate) fn eyes(&self) -> Option<&Eyes> {
        self.eyes.as_ref()
    }

    pub(crate) fn mtp(&self) -> Option<&Mtp> {
        self.mtp.as_ref()
    }

    /// Whether answers may point with boxes.
    fn has_markup(&self) -> bool {
        self.processor.spec().eyes.as_ref().is_some_and(|eyes| eyes.family == Family::Vl2)
    }

    fn engine(&self, options: &Options) -> Engine<'_> {
        let engine = Engine::new(&self.decoder, self.processor.tokenizer()).prefill_chunk(options.prefill_chunk);
        engine.drafting(self.mtp().filter(|_| options.draft))
    }

    fn encode(&self, conversation: &Conversation, options: &Options, pictures: &mut Pictures) -> Result<Encoded> {
        let started = Instant::now();
        let prepared = self.processor.prepare(conversation, &options.tiling, &options.decode)?;
        self.processor.check_fits(&prepared.prompt)?;
        let images = started.elapsed();

        let started = Instant::now();
        let (sequence, asking) = self.sequence(&prepared, pictures, &options.cancel)?;
        let timings = Timings { images, vision: started.elapsed(), ..Timings::default() };
        let image_tokens = prepared.prompt.images.iter().map(ExactSizeIterator::len).collect();
        let thought = prepared.prompt.thought;
        let asked = Asked { image_tokens, thought, timings, has_markup: self.has_markup(), experts: None };
        Ok(Encoded { sequence, asking, asked })
    }

    /// What the language model is given: the prompt's ids, and the encoded pictures in their slots. Pictures are looked up in
    /// `pictures`, and added to them.
    pub(crate) fn sequence(
        &self,
        prepared: &Prepared,
        pictures: &mut Pictures,
        cancel: &Cancel,
    ) -> Result<(TokenSequence, Asking)> {
        let mut sequence = TokenSequence::new(prepared.prompt.ids.clone());
        let mut asking = Asking { ids: prepared.prompt.ids.clone(), pictures: Vec::new() };
        for (tiles, slots) in prepared.tiles.iter().zip(&prepared.prompt.images) {
            let content = Content::of(tiles);
            let rows = match pictures.get(content) {
                Some(rows) => rows,
                None => {
                    let eyes = self.eyes().ok_or(Error::NoEyes { images: prepared.tiles.len() })?;
                    let rows = eyes.see(tiles, cancel)?;
                    pictures.keep(content, &rows);
                    rows
                }
            };
            sequence.insert(slots.start, rows)?;
            asking.pictures.push((slots.clone(), content));
        }
        Ok((sequence, asking))
    }
}

/// The answer when it is complete.
fn whole(mut stream: Stream<'_>) -> Result<Answer> {
    for delta in &mut stream {
        delta?;
    }
    Ok(stream.finish())
}

/// What [`Model::ground`] asks for a description.
pub fn ground_prompt(description: &str) -> String {
    format!("<|ref|>{}<|/ref|>.", description.trim())
}
