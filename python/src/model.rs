//! Models.

use crate::conversation::{Decoded, Dialogue};
use crate::error::{Doing, OptionError, exception};
use crate::generation::Generation;
use crate::image::Image;
use crate::job::{Job, Sender};
use crate::options::Options;
use crate::progress::{Report, Step};
use crate::shelf::Shelf;
use pyo3::prelude::*;
use pyo3::types::PyByteArray;
use seekvl::model::Array;
use seekvl::plan::{Plan, WeightBytes};
use seekvl::{CacheType, Cancel, Device, ModelFiles, Quantization, UnknownQuantization, WeightType, hub};
use std::sync::Arc;

/// A loaded model.
#[pyclass(frozen, module = "seekvl._core")]
pub struct Model {
    inner: Arc<seekvl::Model>,
    files: ModelFiles,
    weights: WeightBytes,
    shelf: Shelf,
}

/// Dimensions, and the numbers as `float32` in the machine's byte order.
type Numbers<'py> = (Vec<usize>, Bound<'py, PyByteArray>);

/// Loads a model. `progress` is called with a file's name, its bytes, and how many of them are there.
#[pyfunction]
#[pyo3(signature = (
    model, *, dtype, device, quantization, expert_budget, context_window, cache_dtype, revision, local_files_only, recall, progress,
))]
#[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
pub fn load(
    py: Python<'_>,
    model: String,
    dtype: &str,
    device: &str,
    quantization: Option<&str>,
    expert_budget: Option<u64>,
    context_window: Option<usize>,
    cache_dtype: &str,
    revision: Option<String>,
    local_files_only: bool,
    recall: bool,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<Model> {
    let (kept, device) = (weight_type(dtype)?, open_device(device)?);
    let cache_type = cache_type_named(cache_dtype)?;
    let quantization = quantization.map(quantization_named).transpose()?;
    let work = move |sender: &Sender<Step, Model>| {
        let report = Report::new(sender);
        let mut builder = seekvl::Model::builder()
            .weights(kept)
            .quantization(quantization)
            .expert_budget(expert_budget)
            .context_window(context_window)
            .cache_type(cache_type)
            .device(device)
            .local_files_only(local_files_only)
            .progress(report);
        if let Some(revision) = revision {
            builder = builder.revision(revision);
        }
        let files = builder.resolve(&model)?;
        let inner = Arc::new(builder.load_files(&files)?);
        let mut weights = WeightBytes::of(&files.checkpoint()?, kept, quantization);
        if let Some(budget) = expert_budget {
            weights = weights.with_expert_budget(inner.processor().spec(), budget);
        }
        Ok(Model { inner, files, weights, shelf: Shelf::new(recall) })
    };
    let job = Job::start(Doing::Loading, Cancel::new(), work)?;
    job.finish(py, |step| step.tell(progress.as_ref()))
}

/// What an answer will take, in JSON, before any weight is there.
#[pyfunction]
#[pyo3(signature = (
    model, dialogue, options, *, dtype, quantization, expert_budget, context_window, cache_dtype, revision, local_files_only,
))]
#[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
pub fn plan(
    py: Python<'_>,
    model: String,
    dialogue: Dialogue,
    options: &Bound<'_, Options>,
    dtype: &str,
    quantization: Option<&str>,
    expert_budget: Option<u64>,
    context_window: Option<usize>,
    cache_dtype: &str,
    revision: Option<String>,
    local_files_only: bool,
) -> PyResult<String> {
    let (kept, cache_type) = (weight_type(dtype)?, cache_type_named(cache_dtype)?);
    let quantization = quantization.map(quantization_named).transpose()?;
    let (dialogue, options) = (dialogue.into_rust(), options.get().inner.clone());
    let work = move |_: &Sender<(), _>| {
        let mut hub = hub::HubOptions::from_env();
        hub.offline |= local_files_only;
        let files = hub::resolve_configuration(&model, revision.as_deref(), &hub, &mut ())?;
        let mut processor = seekvl::Processor::read(&files)?;
        if let Some(window) = context_window {
            processor = processor.with_context_window(window)?;
        }
        if let Some(kind) = cache_type {
            processor = processor.with_cache_type(kind);
        }
        let mut weights = match files.shards.as_slice() {
            [] => WeightBytes::assumed(processor.spec(), kept, quantization),
            _ => WeightBytes::of(&files.checkpoint()?, kept, quantization),
        };
        if let Some(budget) = expert_budget {
            weights = weights.with_expert_budget(processor.spec(), budget);
        }
        let (conversation, sizes) = dialogue.sizes()?;
        Plan::with_sizes(&processor, &conversation, &sizes, &options, weights)
    };
    let plan = Job::start(Doing::Loading, Cancel::new(), work)?.finish(py, |()| Ok(()))?;
    json(&plan)
}

#[pymethods]
impl Model {
    /// Starts on an answer.
    fn start(&self, dialogue: Dialogue, options: &Bound<'_, Options>, streamed: bool) -> PyResult<Generation> {
        let options = options.get().inner.clone();
        Generation::start(self.inner.clone(), &self.shelf, dialogue.into_rust(), options, streamed)
    }

    /// Starts on what goes on with a text or, if there is a suffix, belongs between the two.
    fn start_text(
        &self,
        text: String,
        suffix: Option<String>,
        options: &Bound<'_, Options>,
        streamed: bool,
    ) -> PyResult<Generation> {
        let prompt = move |model: &seekvl::Model| match suffix {
            Some(suffix) => model.processor().infill_prompt(&text, &suffix),
            None => model.processor().raw_prompt(&text),
        };
        Generation::start_prompt(self.inner.clone(), prompt, options.get().inner.clone(), streamed)
    }

    /// Lets go of what is kept for the next answer.
    fn forget(&self) {
        self.shelf.clear();
    }

    /// Starts on several answers together.
    fn start_batch(&self, dialogues: Vec<Dialogue>, options: &Bound<'_, Options>) -> PyResult<Generation> {
        let dialogues = dialogues.into_iter().map(Dialogue::into_rust).collect();
        Generation::start_batch(self.inner.clone(), dialogues, options.get().inner.clone())
    }

    /// What an answer will take, in JSON.
    fn plan(&self, py: Python<'_>, dialogue: Dialogue, options: &Bound<'_, Options>) -> PyResult<String> {
        let (model, weights) = (self.inner.clone(), self.weights);
        let (dialogue, options) = (dialogue.into_rust(), options.get().inner.clone());
        let plan = py.detach(move || {
            let (conversation, sizes) = dialogue.sizes()?;
            Plan::with_sizes(model.processor(), &conversation, &sizes, &options, weights)
        });
        json(&plan.map_err(|error| exception(py, &error, Doing::Answering))?)
    }

    /// What the model is made of, in JSON.
    fn info(&self, py: Python<'_>) -> PyResult<String> {
        let info = py.detach(|| seekvl::inspect::inspect(&self.files));
        json(&info.map_err(|error| exception(py, &error, Doing::Loading))?)
    }

    /// The ids of a text, without any of the template's.
    fn encode(&self, py: Python<'_>, text: &str) -> PyResult<Vec<u32>> {
        let ids = py.detach(|| self.inner.processor().tokenizer().encode(text));
        ids.map_err(|error| exception(py, &error.into(), Doing::Answering))
    }

    /// The text of ids.
    fn decode(&self, py: Python<'_>, ids: Vec<u32>, skip_special_tokens: bool) -> String {
        py.detach(|| self.inner.processor().tokenizer().decode(&ids, skip_special_tokens))
    }

    /// `[views, patches, width]`.
    fn vision_features<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, Image>,
        options: &Bound<'py, Options>,
    ) -> PyResult<Numbers<'py>> {
        let (source, decode) = image.get().source();
        self.numbers(py, options, move |model, options| {
            model.vision_features(&source, &seekvl::Options { decode, ..options })
        })
    }

    /// `[image tokens, hidden]`.
    fn visual_tokens<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, Image>,
        options: &Bound<'py, Options>,
    ) -> PyResult<Numbers<'py>> {
        let (source, decode) = image.get().source();
        self.numbers(py, options, move |model, options| {
            model.visual_tokens(&source, &seekvl::Options { decode, ..options })
        })
    }

    /// `[1 or prompt tokens, vocabulary]`.
    fn logits<'py>(
        &self,
        py: Python<'py>,
        dialogue: Dialogue,
        options: &Bound<'py, Options>,
        every_position: bool,
    ) -> PyResult<Numbers<'py>> {
        let dialogue = dialogue.into_rust();
        self.numbers(py, options, move |model, options| {
            let Decoded { conversation, .. } = dialogue.decode()?;
            model.logits(&conversation, &options, every_position)
        })
    }
}

impl Model {
    fn numbers<'py>(
        &self,
        py: Python<'py>,
        options: &Bound<'py, Options>,
        work: impl FnOnce(&seekvl::Model, seekvl::Options) -> seekvl::Result<Array> + Send + 'static,
    ) -> PyResult<Numbers<'py>> {
        let (model, cancel) = (self.inner.clone(), Cancel::new());
        let options = seekvl::Options { cancel: cancel.clone(), ..options.get().inner.clone() };
        let job = Job::start(Doing::Answering, cancel, move |_: &Sender<(), _>| work(&model, options))?;
        let array = job.finish(py, |()| Ok(()))?;
        Ok((array.shape, PyByteArray::new(py, bytemuck::cast_slice(&array.values))))
    }
}

fn json(value: &impl serde::Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| crate::error::Error::new_err(error.to_string()))
}

fn weight_type(name: &str) -> PyResult<WeightType> {
    match name {
        "auto" => Ok(WeightType::AsStored),
        "float32" => Ok(WeightType::F32),
        "bfloat16" => Ok(WeightType::Bf16),
        "float16" => Ok(WeightType::F16),
        _ => Err(OptionError::new_err(format!(
            "dtype is {name:?}; it must be \"auto\", \"float32\", \"bfloat16\" or, on a GPU, \"float16\""
        ))),
    }
}

fn cache_type_named(name: &str) -> PyResult<Option<CacheType>> {
    match name {
        "auto" => Ok(None),
        "float32" => Ok(Some(CacheType::F32)),
        "bfloat16" => Ok(Some(CacheType::Bf16)),
        "q8_0" => Ok(Some(CacheType::Q8_0)),
        _ => Err(OptionError::new_err(format!(
            "cache_dtype is {name:?}; it must be \"auto\", \"float32\", \"bfloat16\" or \"q8_0\""
        ))),
    }
}

fn quantization_named(name: &str) -> PyResult<Quantization> {
    name.parse().map_err(|error: UnknownQuantization| {
        let known = Quantization::ALL.map(|one| format!("\"{one}\"")).join(", ");
        OptionError::new_err(format!("{error}; quantization must be None or one of {known}"))
    })
}

fn open_device(name: &str) -> PyResult<Device> {
    let (kind, index) = name.split_once(':').unwrap_or((name, "0"));
    let opened = match (kind, index.parse()) {
        ("cpu", Ok(0)) => Ok(Device::Cpu),
        ("cuda", Ok(index)) => Device::new_cuda(index),
        ("metal" | "mps", Ok(index)) => Device::new_metal(index),
        _ => {
            let expected = "\"cpu\", \"cuda\" or \"metal\", the latter two with a number if need be (\"cuda:1\")";
            return Err(OptionError::new_err(format!("device is {name:?}; it must be {expected}")));
        }
    };
    opened.map_err(|error| OptionError::new_err(format!("the device {name:?} cannot be used: {error}")))
}
