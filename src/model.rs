//! A loaded model: everything from images and questions to answers.

use crate::answer::{Answer, Timings};
use crate::conversation::{Conversation, Image, Message};
use crate::eyes::Eyes;
use crate::files::ModelFiles;
use crate::hub::{self, HubOptions, Progress};
use crate::processor::{Prepared, Processor};
use crate::{Options, Result};
use seekvl_language::{Cancel, Decoder, Engine, Event, Generation, Request, TokenSequence};
use seekvl_nn::{Checkpoint, Device, Loader, WeightType};
use seekvl_vision::{DecodeLimits, DecodeOptions};
use std::sync::Arc;
use std::time::Instant;

/// What [`Model::ocr`] asks.
pub const OCR_PROMPT: &str = "Extract all the text in the image.";

/// A DeepSeek-VL2 model, ready to answer. It never changes, so one serves any number of threads.
///
/// Weights are mapped from their files, not read into memory; the files must stay as they are while the model is in use.
///
/// ```
/// # fn main() -> Result<(), seekvl::Error> {
/// # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/vl2-tiny-like");
/// # let picture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/images/page.png");
/// let model = seekvl::Model::from_pretrained(directory)?; // or "deepseek-ai/deepseek-vl2-tiny"
/// let answer = model.ask(picture, "What does it cost?")?;
/// println!("{}", answer.text);
/// # Ok(())
/// # }
/// ```
pub struct Model {
    processor: Processor,
    eyes: Eyes,
    decoder: Decoder,
    limits: DecodeLimits,
}

/// Chooses how a model is loaded.
#[must_use]
pub struct Builder<'p> {
    revision: Option<String>,
    weights: WeightType,
    device: Device,
    hub: HubOptions,
    limits: DecodeLimits,
    progress: Box<dyn Progress + 'p>,
}

impl Default for Builder<'_> {
    fn default() -> Self {
        Self {
            revision: None,
            weights: WeightType::AsStored,
            device: Device::Cpu,
            hub: HubOptions::from_env(),
            limits: DecodeLimits::default(),
            progress: Box::new(()),
        }
    }
}

impl<'p> Builder<'p> {
    /// A branch, tag or commit on the hub.
    pub fn revision(mut self, revision: impl Into<String>) -> Self {
        self.revision = Some(revision.into());
        self
    }

    /// The type that weights are kept in; as the checkpoint has them if not given.
    pub fn weights(mut self, weights: WeightType) -> Self {
        self.weights = weights;
        self
    }

    /// Where the model runs; the CPU if not given. Devices other than it are not covered by this project's tests.
    pub fn device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// Takes only files that are on this machine.
    pub fn local_files_only(mut self, yes: bool) -> Self {
        self.hub.offline |= yes;
        self
    }

    /// How the hub is reached; as the environment says if not given.
    pub fn hub(mut self, hub: HubOptions) -> Self {
        self.hub = hub;
        self
    }

    /// How large images may be, for [`Model::ask`] and its kin; elsewhere [`Options::decode`] says.
    pub fn limits(mut self, limits: DecodeLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Follows downloads.
    pub fn progress<'q>(self, progress: impl Progress + 'q) -> Builder<'q>
    where
        'p: 'q,
    {
        Builder { progress: Box::new(progress), ..self }
    }

    /// Finds the files of `model`, a directory or an id on the hub, without reading weights.
    ///
    /// # Errors
    /// Those of [`hub::resolve`].
    pub fn resolve(&mut self, model: &str) -> Result<ModelFiles> {
        hub::resolve(model, self.revision.as_deref(), &self.hub, &mut *self.progress)
    }

    /// Loads `model`, a directory or an id on the hub.
    ///
    /// # Errors
    /// Files that cannot be had or read, a configuration that makes no sense, tensors that are missing, misshapen,
    /// unknown or cut short. Each names the file, and the tensor or key.
    pub fn load(mut self, model: &str) -> Result<Model> {
        let files = self.resolve(model)?;
        let processor = Processor::read(&files)?;
        let checkpoint = Arc::new(Checkpoint::open(&files.shards)?);
        let loader = Loader::new(checkpoint, self.device, self.weights)?;
        let eyes = Eyes::load(&loader, processor.spec())?;
        let decoder = Decoder::load(&loader.at("language"), &processor.spec().language)?;
        loader.finish()?;
        Ok(Model { processor, eyes, decoder, limits: self.limits })
    }
}

/// A conversation made into a prompt, its pictures encoded.
struct Encoded {
    sequence: TokenSequence,
    image_tokens: Vec<usize>,
    timings: Timings,
}

impl Model {
    /// Loads a model by its id on the Hugging Face hub (`owner/name`, or `owner/name@revision`) or from its directory,
    /// with weights in the type that they are stored in, on the CPU.
    ///
    /// # Errors
    /// As [`Builder::load`].
    pub fn from_pretrained(model: &str) -> Result<Self> {
        Self::builder().load(model)
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
    /// `<|ref|>` tags, as the model was trained.
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
    /// [`Error::Cancelled`](crate::Error::Cancelled) while images are encoded (an answer that is cancelled later is no
    /// error), or weights that compute nonsense.
    pub fn generate(&self, conversation: &Conversation, options: &Options) -> Result<Answer> {
        let mut stream = self.stream(conversation, options)?;
        for delta in &mut stream {
            delta?;
        }
        Ok(stream.finish())
    }

    /// As [`Model::generate`], and the text as it comes. The images are encoded before this returns.
    ///
    /// # Errors
    /// As [`Model::generate`].
    pub fn stream(&self, conversation: &Conversation, options: &Options) -> Result<Stream<'_>> {
        let Encoded { sequence, image_tokens, timings } = self.encode(conversation, options)?;
        let requests = vec![Request::new(sequence, options.generation.clone())];
        let generation = self.engine(options).start(requests, options.cancel.clone())?;
        Ok(Stream { generation, image_tokens, timings })
    }

    /// Answers several conversations together; each answer is the same as if it were asked for alone.
    ///
    /// # Errors
    /// As [`Model::generate`], whichever conversation it is.
    pub fn batch(&self, conversations: &[Conversation], options: &Options) -> Result<Vec<Answer>> {
        let encoded: Vec<Encoded> =
            conversations.iter().map(|conversation| self.encode(conversation, options)).collect::<Result<_>>()?;
        let (mut requests, mut rest) = (Vec::new(), Vec::new());
        for Encoded { sequence, image_tokens, timings } in encoded {
            requests.push(Request::new(sequence, options.generation.clone()));
            rest.push((image_tokens, timings));
        }
        let completed = self.engine(options).start(requests, options.cancel.clone())?.finish()?;
        let answers = completed.into_iter().zip(rest);
        Ok(answers.map(|(completed, (image_tokens, timings))| Answer::new(completed, image_tokens, timings)).collect())
    }

    /// What stands before the weights: shape, tokenizer, template.
    pub fn processor(&self) -> &Processor {
        &self.processor
    }

    /// The language model.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    pub(crate) fn eyes(&self) -> &Eyes {
        &self.eyes
    }

    fn engine(&self, options: &Options) -> Engine<'_> {
        Engine::new(&self.decoder, self.processor.tokenizer()).prefill_chunk(options.prefill_chunk)
    }

    fn encode(&self, conversation: &Conversation, options: &Options) -> Result<Encoded> {
        let started = Instant::now();
        let prepared = self.processor.prepare(conversation, &options.tiling, &options.decode)?;
        self.processor.check_fits(&prepared.prompt)?;
        let images = started.elapsed();

        let started = Instant::now();
        let sequence = self.sequence(&prepared, &options.cancel)?;
        let timings = Timings { images, vision: started.elapsed(), ..Timings::default() };
        let image_tokens = prepared.prompt.images.iter().map(ExactSizeIterator::len).collect();
        Ok(Encoded { sequence, image_tokens, timings })
    }

    /// What the language model is given: the prompt's ids, and the encoded pictures in their slots.
    pub(crate) fn sequence(&self, prepared: &Prepared, cancel: &Cancel) -> Result<TokenSequence> {
        let mut sequence = TokenSequence::new(prepared.prompt.ids.clone());
        for (tiles, slots) in prepared.tiles.iter().zip(&prepared.prompt.images) {
            sequence.insert(slots.start, self.eyes.see(tiles, self.processor.spec(), cancel)?)?;
        }
        Ok(sequence)
    }
}

/// What [`Model::ground`] asks for a description.
pub fn ground_prompt(description: &str) -> String {
    format!("<|ref|>{}<|/ref|>.", description.trim())
}

/// An answer in the making: an iterator over its text, piece by piece, never splitting a character.
///
/// Pieces are of the text as the model writes it, grounding markup included. An answer that went round in circles is cut
/// back in the end, so [`Stream::finish`] may give less than was streamed.
pub struct Stream<'m> {
    generation: Generation<'m>,
    image_tokens: Vec<usize>,
    timings: Timings,
}

impl Iterator for Stream<'_> {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.generation.next()? {
                Ok(Event { delta, .. }) if delta.is_empty() => {}
                Ok(Event { delta, .. }) => return Some(Ok(delta)),
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}

impl Stream<'_> {
    /// The answer as it stands. One that is not finished counts as cancelled.
    ///
    /// # Panics
    /// Never: there is one request, so there is one answer.
    pub fn finish(self) -> Answer {
        let mut completed = self.generation.into_completed();
        let completed = completed.pop().expect("one request has one answer");
        Answer::new(completed, self.image_tokens, self.timings)
    }
}
