//! How a model is loaded.

use super::Model;
use crate::Result;
use crate::config::ModelSpec;
use crate::eyes::Eyes;
use crate::files::ModelFiles;
use crate::hub::{self, HubOptions, Progress};
use crate::processor::Processor;
use crate::recall::ModelId;
use seekvl_language::{Decoder, Mtp};
use seekvl_nn::{CacheType, Checkpoint, Device, ExpertStore, Loader, Quantization, WeightType};
use seekvl_vision::DecodeLimits;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Chooses how a model is loaded.
#[must_use]
pub struct Builder<'p> {
    revision: Option<String>,
    weights: WeightType,
    quantization: Option<Quantization>,
    device: Device,
    hub: HubOptions,
    limits: DecodeLimits,
    mtp: bool,
    expert_budget: Option<u64>,
    context_window: Option<usize>,
    cache_type: Option<CacheType>,
    progress: Box<dyn Progress + 'p>,
}

impl Default for Builder<'_> {
    fn default() -> Self {
        Self {
            revision: None,
            weights: WeightType::AsStored,
            quantization: None,
            device: Device::Cpu,
            hub: HubOptions::from_env(),
            limits: DecodeLimits::default(),
            mtp: true,
            expert_budget: None,
            context_window: None,
            cache_type: None,
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

    /// Rounds matrices to 8 or 4 bits while they are loaded, those that [`Quantization::format`] says; the others are kept as
    /// [`Builder::weights`] says. On a CPU only. None are if not given.
    pub fn quantization(mut self, quantization: impl Into<Option<Quantization>>) -> Self {
        self.quantization = quantization.into();
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

    /// How large images may be, for [`Model::ask`] and its kin; elsewhere [`crate::Options::decode`] says.
    pub fn limits(mut self, limits: DecodeLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether the layer for multi-token prediction is loaded, where there is one; it is, if not given. Without it
    /// [`crate::Options::draft`] does nothing.
    pub fn mtp(mut self, yes: bool) -> Self {
        self.mtp = yes;
        self
    }

    /// Leaves the experts of a mixture in their files, but for so many bytes of those that were used last, which are read
    /// into memory. Answers are the same, and take as long as the disk needs; [`crate::Answer::experts`] counts. On a CPU only. All are
    /// in memory or mapped if not given.
    pub fn expert_budget(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.expert_budget = bytes.into();
        self
    }

    /// Lets every token attend to the last `tokens` alone, itself included, so that prompt and answer may together be longer
    /// than the model's context; up to as many tokens answers are the same. What is longer than the context is an error, or
    /// ends there, if not given. No model was trained with a window: what is out of sight is forgotten.
    pub fn context_window(mut self, tokens: impl Into<Option<usize>>) -> Self {
        self.context_window = tokens.into();
        self
    }

    /// What keys and values of the tokens so far are kept as. Each halves, about, the memory of the one before, and what decoding
    /// reads of it; [`CacheType::Q8_0`] is a little less exact. On a CPU only. If not given, `f32` where products are of
    /// `f32`, and `bf16` with all other weights.
    pub fn cache_type(mut self, kind: impl Into<Option<CacheType>>) -> Self {
        self.cache_type = kind.into();
        self
    }

    /// Follows downloads, and the reading of weights where it takes longer than half a second.
    pub fn progress<'q>(self, progress: impl Progress + 'q) -> Builder<'q>
    where
        'p: 'q,
    {
        Builder { progress: Box::new(progress), ..self }
    }

    /// Finds the files of `model`, as [`hub::resolve`] understands it, without reading weights.
    ///
    /// # Errors
    /// Those of [`hub::resolve`].
    pub fn resolve(&mut self, model: &str) -> Result<ModelFiles> {
        hub::resolve(model, self.revision.as_deref(), &self.hub, &mut *self.progress)
    }

    /// Loads `model`: [`NANO`](crate::NANO), a directory, a GGUF file or an id on the hub.
    ///
    /// # Errors
    /// Files that cannot be had, and those of [`Builder::load_files`].
    pub fn load(mut self, model: &str) -> Result<Model> {
        let files = self.resolve(model)?;
        self.load_files(&files)
    }

    /// Loads a model from its files.
    ///
    /// # Errors
    /// Files that cannot be read, a configuration that makes no sense, tensors that are missing, misshapen, unknown or
    /// cut short. Each names the file, and the tensor or key.
    pub fn load_files(mut self, files: &ModelFiles) -> Result<Model> {
        let mut processor = Processor::read(files)?;
        if let Some(window) = self.context_window {
            processor = processor.with_context_window(window)?;
        }
        if let Some(kind) = self.cache_type {
            processor = processor.with_cache_type(kind);
        }
        let checkpoint = Arc::new(files.checkpoint()?);
        let experts = self.expert_budget.map(|budget| Arc::new(ExpertStore::new(budget)));
        let loader = self.loader(checkpoint.clone(), processor.spec(), experts.as_ref())?;
        let bytes = checkpoint.tensors().map(|(_, tensor)| tensor.bytes() as u64).sum();
        let (mtp, taken) = (self.mtp, loader.taken());
        let parts = watched(&mut *self.progress, bytes, &taken, || Parts::load(&loader, processor.spec(), mtp))?;
        let Parts { eyes, decoder, mtp } = parts;
        Ok(Model { id: ModelId::new(), processor, eyes, decoder, mtp, experts, limits: self.limits })
    }

    fn loader(
        &self,
        checkpoint: Arc<Checkpoint>,
        spec: &ModelSpec,
        experts: Option<&Arc<ExpertStore>>,
    ) -> Result<Loader> {
        let mut loader = Loader::new(checkpoint, self.device.clone(), self.weights)?.renamed(spec.names);
        if let Some(quantization) = self.quantization {
            loader = loader.quantized(quantization)?;
        }
        if let Some(store) = experts {
            loader = loader.with_expert_store(store.clone())?;
        }
        if let Some(blocks) = spec.fp8_blocks {
            loader = loader.with_fp8_blocks(blocks);
        }
        Ok(loader)
    }
}

/// What weights become.
struct Parts {
    eyes: Option<Eyes>,
    decoder: Decoder,
    mtp: Option<Mtp>,
}

impl Parts {
    fn load(loader: &Loader, spec: &ModelSpec, mtp: bool) -> Result<Self> {
        let eyes = spec.eyes.as_ref().map(|eyes| Eyes::load(loader, eyes)).transpose()?;
        let language = if eyes.is_some() { loader.at("language") } else { loader.clone() };
        let decoder = Decoder::load(&language, &spec.language)?;
        let mtp = if mtp {
            Mtp::load(&language, &decoder)?
        } else {
            Mtp::skip(&language, &spec.language);
            None
        };
        loader.finish()?;
        Ok(Self { eyes, decoder, mtp })
    }
}

/// What [`Progress`] is told instead of a file's name.
const WEIGHTS: &str = "weights";
/// A load that is over sooner goes untold.
const SILENT: Duration = Duration::from_millis(500);
const EVERY: Duration = Duration::from_millis(100);

/// Runs `load` on another thread while this one tells how many of `bytes` are `taken`.
fn watched<T: Send>(progress: &mut dyn Progress, bytes: u64, taken: &AtomicU64, load: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let (end, ended) = mpsc::channel::<()>();
        let loading = scope.spawn(move || {
            let _end = end;
            load()
        });
        if ended.recv_timeout(SILENT) == Err(RecvTimeoutError::Timeout) {
            progress.start(WEIGHTS, bytes);
            let mut told = 0;
            while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let taken = taken.load(Ordering::Relaxed);
                progress.advance(taken - told);
                told = taken;
            }
            progress.finish();
        }
        loading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Record {
        told: Vec<(String, u64)>,
        more: Option<mpsc::Sender<()>>,
    }

    impl Progress for Record {
        fn start(&mut self, file: &str, bytes: u64) {
            self.told.push((file.into(), bytes));
        }

        fn advance(&mut self, bytes: u64) {
            self.told.push(("more".into(), bytes));
            // Whoever loads waits for the first of these alone.
            self.more = None;
        }

        fn finish(&mut self) {
            self.told.push(("end".into(), 0));
        }
    }

    #[test]
    fn long_loads_are_told() {
        let (more, waiting) = mpsc::channel();
        let mut record = Record { more: Some(more), ..Record::default() };
        let taken = AtomicU64::new(0);
        let (taken, waiting) = (&taken, waiting);
        let result = watched(&mut record, 100, taken, move || {
            taken.fetch_add(30, Ordering::Relaxed);
            assert!(waiting.recv().is_err(), "nothing is sent");
            "loaded"
        });
        assert_eq!(result, "loaded");
        let told: Vec<(&str, u64)> = record.told.iter().map(|(what, bytes)| (&**what, *bytes)).collect();
        assert_eq!((told[0], told[1]), ((WEIGHTS, 100), ("more", 30)));
        assert_eq!(told.last(), Some(&("end", 0)));
        assert_eq!(told.iter().skip(1).map(|(_, bytes)| bytes).sum::<u64>(), 30);
    }

    #[test]
    fn short_loads_are_not() {
        let mut record = Record::default();
        assert_eq!(watched(&mut record, 1, &AtomicU64::new(0), || 5), 5);
        assert_eq!(record.told, []);
    }
}
