//! Flags made into settings: typed, checked, with defaults filled in.

use crate::args::{
    CacheTypeArg, CropArg, DeviceArg, DtypeArg, FileTypeArg, GenerationArgs, ImageArgs, LatentFormArg, LoadArgs,
    ModelArgs, OutputArgs, QuantizationArg, SharedArgs, SourceArgs, TextArgs,
};
use crate::exit::{Exit, Failure, Result};
use crate::output::{Format, Output, say};
use crate::progress::Bars;
use seekvl::gguf::FileType;
use seekvl::hub::{self, HubOptions};
use seekvl::{
    CacheType, Conversion, Cropping, DecodeLimits, DecodeOptions, Device, GenerationOptions, LatentForm, ModelFiles,
    NANO, Options, Quantization, RepetitionGuard, Sampling, TilingOptions, WeightType,
};
use std::io::IsTerminal;

/// Settings of a command that generates text.
pub struct Settings {
    pub model: ModelSettings,
    pub system: Option<String>,
    pub decode: DecodeOptions,
    pub options: Options,
    pub output: OutputSettings,
}

/// Which model, and how it is kept.
pub struct ModelSettings {
    /// `nano`, a hub id or a directory.
    pub name: String,
    /// Whether it is not the user who named it.
    pub is_default: bool,
    pub source: SourceSettings,
    pub weights: WeightType,
    pub quantization: Option<Quantization>,
    pub expert_budget: Option<u64>,
    pub context_window: Option<usize>,
    pub cache_type: Option<CacheType>,
    /// Whether the layer for multi-token prediction is loaded.
    pub mtp: bool,
    /// 0 for as many as the system grants.
    pub threads: usize,
    pub device: Device,
}

/// Where a model's files come from.
pub struct SourceSettings {
    pub revision: Option<String>,
    pub offline: bool,
}

#[derive(Clone, Copy)]
pub struct OutputSettings {
    pub format: Format,
    pub quiet: bool,
}

impl Settings {
    pub fn new(args: SharedArgs) -> Result<Self> {
        let mut settings = Self::of_text(args.text)?;
        settings.options.tiling = tiling(&args.image);
        Ok(Self { system: args.system, decode: decode_options(&args.image), ..settings })
    }

    /// Without what conversations and images have.
    pub fn of_text(args: TextArgs) -> Result<Self> {
        let options = options(args.generation)?;
        Ok(Self {
            model: ModelSettings { mtp: options.draft, ..ModelSettings::new(args.model)? },
            system: None,
            decode: DecodeOptions::default(),
            options,
            output: args.output.into(),
        })
    }
}

impl ModelSettings {
    fn new(args: ModelArgs) -> Result<Self> {
        let is_default = args.model.is_none();
        Ok(Self { is_default, ..Self::named(args.model.unwrap_or_else(|| NANO.into()), args.load)? })
    }

    /// A model that was named.
    pub fn named(name: String, args: LoadArgs) -> Result<Self> {
        Ok(Self {
            name,
            is_default: false,
            source: args.source.into(),
            weights: args.dtype.into(),
            quantization: args.quantization.map(Into::into),
            expert_budget: args.expert_budget,
            context_window: args.context_window,
            cache_type: args.cache_type.map(Into::into),
            mtp: false,
            threads: args.threads.map_or(0, Into::into),
            device: device(args.device)?,
        })
    }
}

/// Opens a device.
pub fn device(arg: DeviceArg) -> Result<Device> {
    let opened = match arg {
        DeviceArg::Cpu => Ok(Device::Cpu),
        DeviceArg::Cuda => Device::new_cuda(0),
        DeviceArg::Metal => Device::new_metal(0),
    };
    opened.map_err(|error| Failure::new(Exit::Usage, anyhow::Error::new(error).context("cannot use the device")))
}

fn decode_options(args: &ImageArgs) -> DecodeOptions {
    let default = DecodeLimits::default();
    DecodeOptions {
        limits: DecodeLimits {
            max_file_bytes: args.max_image_bytes.unwrap_or(default.max_file_bytes),
            max_pixels: args.max_image_pixels.unwrap_or(default.max_pixels),
        },
        conversion: if args.as_stored { Conversion::AsStored } else { Conversion::AsSeen },
    }
}

fn tiling(args: &ImageArgs) -> TilingOptions {
    TilingOptions {
        cropping: args.crop.into(),
        max_tiles: args.max_tiles,
        candidates: (!args.candidate.is_empty()).then(|| args.candidate.clone()),
    }
}

fn options(args: GenerationArgs) -> Result<Options> {
    let default = GenerationOptions::default();
    let generation = GenerationOptions {
        max_new_tokens: args.max_tokens.unwrap_or(default.max_new_tokens),
        sampling: sampling(&args).map_err(|error| Failure::new(Exit::Usage, error))?,
        top_logprobs: args.logprobs,
        repetition_guard: (!args.no_repetition_guard).then(RepetitionGuard::default),
        markup_guard: !args.no_markup_guard,
        stop: args.stop,
        ..default
    };
    let default = Options::default();
    Ok(Options {
        generation,
        prefill_chunk: args.prefill_chunk.unwrap_or(default.prefill_chunk),
        thinking_budget: args.thinking_budget,
        draft: args.drafts,
        ..default
    })
}

fn sampling(args: &GenerationArgs) -> anyhow::Result<Sampling> {
    let sampling = Sampling::greedy()
        .temperature(args.temperature.unwrap_or(0.0))?
        .top_p(args.top_p.unwrap_or(1.0))?
        .min_p(args.min_p.unwrap_or(0.0))?
        .repetition_penalty(args.repetition_penalty.unwrap_or(1.0))?;
    Ok(sampling
        .top_k(args.top_k.unwrap_or(0))
        .no_repeat_ngram(args.no_repeat_ngram.unwrap_or(0))
        .seed(args.seed.unwrap_or(0)))
}

impl OutputSettings {
    /// Tells a person at a terminal something that no script needs.
    pub fn hint(self, message: &str) {
        if !self.quiet && std::io::stderr().is_terminal() {
            say(message);
        }
    }

    pub fn open(self) -> Output {
        Output::new(self.format, self.quiet)
    }
}

impl ModelSettings {
    /// Finds the model's configuration, and its weights if they are here.
    pub fn resolve(&self, bars: &mut Bars) -> Result<ModelFiles> {
        self.source.resolve(&self.name, bars)
    }
}

impl SourceSettings {
    /// Finds a model's configuration, downloaded if need be, and its weights if they are here.
    pub fn resolve(&self, model: &str, mut bars: &mut Bars) -> Result<ModelFiles> {
        Ok(hub::resolve_configuration(model, self.revision.as_deref(), &self.hub(), &mut bars)?)
    }

    /// Finds all files of a model, downloaded if need be.
    pub fn resolve_whole(&self, model: &str, mut bars: &mut Bars) -> Result<ModelFiles> {
        Ok(hub::resolve(model, self.revision.as_deref(), &self.hub(), &mut bars)?)
    }

    fn hub(&self) -> HubOptions {
        let mut hub = HubOptions::from_env();
        hub.offline |= self.offline;
        hub
    }
}

impl From<SourceArgs> for SourceSettings {
    fn from(args: SourceArgs) -> Self {
        Self { revision: args.revision, offline: args.offline }
    }
}

impl From<OutputArgs> for OutputSettings {
    fn from(args: OutputArgs) -> Self {
        Self { format: if args.json { Format::Json } else { Format::Text }, quiet: args.quiet }
    }
}

impl From<QuantizationArg> for Quantization {
    fn from(arg: QuantizationArg) -> Self {
        match arg {
            QuantizationArg::Q8_0 => Self::Q8_0,
            QuantizationArg::Q4_0 => Self::Q4_0,
            QuantizationArg::Q4KM => Self::Q4KM,
        }
    }
}

impl From<CacheTypeArg> for CacheType {
    fn from(arg: CacheTypeArg) -> Self {
        match arg {
            CacheTypeArg::F32 => Self::F32,
            CacheTypeArg::Bf16 => Self::Bf16,
            CacheTypeArg::Q8_0 => Self::Q8_0,
        }
    }
}

impl From<LatentFormArg> for LatentForm {
    fn from(arg: LatentFormArg) -> Self {
        match arg {
            LatentFormArg::Absorbed => Self::Absorbed,
            LatentFormArg::Expanded => Self::Expanded,
        }
    }
}

impl From<FileTypeArg> for FileType {
    fn from(arg: FileTypeArg) -> Self {
        match arg {
            FileTypeArg::F32 => Self::F32,
            FileTypeArg::F16 => Self::F16,
            FileTypeArg::Bf16 => Self::Bf16,
            FileTypeArg::Q8_0 => Self::Q8_0,
            FileTypeArg::Q4_0 => Self::Q4_0,
            FileTypeArg::Q4KM => Self::Q4KM,
        }
    }
}

impl From<DtypeArg> for WeightType {
    fn from(arg: DtypeArg) -> Self {
        match arg {
            DtypeArg::Auto => Self::AsStored,
            DtypeArg::F32 => Self::F32,
            DtypeArg::Bf16 => Self::Bf16,
        }
    }
}

impl From<CropArg> for Cropping {
    fn from(arg: CropArg) -> Self {
        match arg {
            CropArg::Auto => Self::Auto,
            CropArg::On => Self::On,
            CropArg::Off => Self::Off,
        }
    }
}
