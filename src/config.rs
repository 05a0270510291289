//! A model's shape: from `config.json` and `processor_config.json` to types that are checked once.

mod text;

use crate::files::{ModelFile, ModelFiles, PROCESSOR_CONFIG, parse_json, typed};
use crate::{Error, Result};
use seekvl_language::{Architecture, DecoderSpec, LanguageConfig};
use seekvl_nn::BlockSize;
use seekvl_projector::{ImageLayout, ProjectorSpec, ViewOrder};
use seekvl_vision::{SiglipSpec, TilingConfig, TilingSpec};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// `config.json` of a DeepSeek-VL2 checkpoint, as it stands. Keys that say nothing of the computation are ignored; the
/// defaults are those of the original's `DeepseekVLV2Config`.
#[derive(Clone, Debug, Deserialize)]
pub struct RawConfig {
    /// `deepseek_vl_v2`.
    pub model_type: String,
    /// The vision tower.
    #[serde(default)]
    pub vision_config: VisionConfig,
    /// The projector.
    #[serde(default)]
    pub projector_config: ProjectorConfig,
    /// The language model.
    #[serde(default)]
    pub language_config: LanguageConfig,
    /// How an image's tokens are arranged: `2D` in rows. (The original knows a `1D` that no published model uses.)
    #[serde(default = "two_dimensional")]
    pub tile_tag: String,
    /// Whether the global view comes first (`head`) or last (`tail`).
    #[serde(default = "head")]
    pub global_view_pos: String,
    /// How the weights are quantized, if they are; such checkpoints are not read.
    #[serde(default)]
    pub quantization_config: Option<IgnoredAny>,
}

/// `vision_config`; the defaults are those of the original's `VisionEncoderConfig`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct VisionConfig {
    /// Side of a tile in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Width of the stream.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width inside the feed-forward layers over `width`; the product is truncated.
    pub mlp_ratio: f64,
    /// Whether a class token precedes the patches.
    pub class_token: bool,
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self { image_size: 384, patch_size: 16, width: 1024, layers: 24, heads: 16, mlp_ratio: 4.0, class_token: false }
    }
}

/// `projector_config`; the defaults are those of the original's `MlpProjectorConfig`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct ProjectorConfig {
    /// `downsample_mlp_gelu`, the one that DeepSeek-VL2 uses.
    pub projector_type: String,
    /// Width of the patch features.
    pub input_dim: usize,
    /// Width of the language model.
    pub n_embed: usize,
    /// Number of linear layers.
    pub depth: usize,
    /// Width inside over `n_embed`.
    pub mlp_ratio: usize,
    /// Patches joined along each side.
    pub downsample_ratio: usize,
    /// Whether patches are pooled before.
    pub token_pooling: bool,
}

impl Default for ProjectorConfig {
    fn default() -> Self {
        Self {
            projector_type: "downsample_mlp_gelu".into(),
            input_dim: 1152,
            n_embed: 2048,
            depth: 2,
            mlp_ratio: 1,
            downsample_ratio: 2,
            token_pooling: false,
        }
    }
}

/// The keys of `processor_config.json` beside those of [`TilingConfig`].
#[derive(Clone, Debug, Deserialize)]
pub struct ProcessorConfig {
    /// Side of a patch in pixels, as in the vision tower.
    pub patch_size: usize,
    /// Patches joined along each side, as in the projector.
    pub downsample_ratio: usize,
    /// The token in each slot of an image.
    #[serde(default = "image_token")]
    pub image_token: String,
    /// The chat template.
    #[serde(default = "deepseek")]
    pub sft_format: String,
}

fn two_dimensional() -> String {
    "2D".into()
}

fn head() -> String {
    "head".into()
}

fn image_token() -> String {
    "<image>".into()
}

fn deepseek() -> String {
    "deepseek".into()
}

/// The shape of a model. The parts fit together.
#[derive(Clone, Debug)]
pub struct ModelSpec {
    /// The class of the language model.
    pub architecture: Architecture,
    /// The language model.
    pub language: DecoderSpec,
    /// What it sees with; `None` for a model that reads text alone.
    pub eyes: Option<EyesSpec>,
    /// The blocks that share a scale, where weights are stored in 8 bits.
    pub fp8_blocks: Option<BlockSize>,
}

/// The shape of a vision tower and a projector, and how they want their images. The parts fit together.
#[derive(Clone, Debug)]
pub struct EyesSpec {
    /// How images become tiles.
    pub tiling: TilingSpec,
    /// The vision tower.
    pub vision: SiglipSpec,
    /// The projector.
    pub projector: ProjectorSpec,
    /// The order of an image's tokens.
    pub layout: ImageLayout,
    /// The token in each slot of an image.
    pub image_token: String,
}

/// `model_type` of a model with eyes.
const VL2: &str = "deepseek_vl_v2";

/// Whether models of this `model_type` are read.
pub(crate) fn is_known(model_type: &str) -> bool {
    model_type == VL2 || Architecture::of(model_type).is_some()
}

impl ModelSpec {
    /// Reads a model's configuration: `config.json`, and `processor_config.json` where the model has eyes.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Json`], and [`Error::Config`] or [`Error::LanguageConfig`] for a value that is not known,
    /// makes no sense, or does not fit another. Each names the file and the key.
    pub fn read(files: &ModelFiles) -> Result<Self> {
        Self::read_from(&files.config, files.processor_config.as_ref())
    }

    /// As [`ModelSpec::read`], of the two files.
    ///
    /// # Errors
    /// As [`ModelSpec::read`].
    pub fn read_from(config: &ModelFile, processor_config: Option<&ModelFile>) -> Result<Self> {
        let path = config.path();
        let config: Map<String, Value> = config.read_json()?;
        let model_type = config.get("model_type").and_then(Value::as_str).unwrap_or("missing");
        if model_type == VL2 {
            let missing =
                || Error::MissingFile { dir: path.parent().unwrap_or(path).into(), file: PROCESSOR_CONFIG.into() };
            let processor = processor_config.ok_or_else(missing)?;
            let (processor_path, content) = (processor.path(), processor.read()?);
            let (processor, tiling) = (parse_json(processor_path, &content)?, parse_json(processor_path, &content)?);
            return Self::vl2(path, typed(path, Value::Object(config))?, processor_path, processor, tiling);
        }
        match Architecture::of(model_type) {
            Some(architecture) => Self::text(path, architecture, config),
            None => {
                let known = "neither deepseek_vl_v2, deepseek_v2, deepseek_v3, llama nor qwen2";
                Err(Keys { path }.error("model_type", model_type, known))
            }
        }
    }

    fn vl2(
        config_path: &Path,
        config: RawConfig,
        processor_path: &Path,
        processor: ProcessorConfig,
        tiling: TilingConfig,
    ) -> Result<Self> {
        let keys = Keys { path: config_path };
        let processor_keys = Keys { path: processor_path };
        check_kind(&keys, &config)?;
        processor_keys.is("sft_format", &processor.sft_format, "deepseek")?;
        let tiling = TilingSpec::try_from(tiling).map_err(|error| processor_keys.tiling(error))?;
        let vision = vision_spec(&keys, &config.vision_config)?;
        let projector = projector_spec(&keys, &config.projector_config)?;
        let language = DecoderSpec::from_config(&config.language_config)
            .map_err(|source| Error::LanguageConfig { path: config_path.into(), source: Box::new(source) })?;
        let eyes = EyesSpec {
            layout: ImageLayout {
                side: projector.tokens_per_side(vision.grid()),
                order: view_order(&keys, &config.global_view_pos)?,
            },
            tiling,
            vision,
            projector,
            image_token: processor.image_token,
        };
        let (vision, projector) = (&eyes.vision, &eyes.projector);
        let hidden = language.hidden_size;
        keys.fits("projector_config.input_dim", projector.input_dim, "vision_config.width", vision.width)?;
        keys.fits("projector_config.n_embed", projector.output_dim, "language_config.hidden_size", hidden)?;
        let tile = eyes.tiling.tile_size() as usize;
        processor_keys.fits("candidate_resolutions", tile, "vision_config.image_size", vision.image_size)?;
        processor_keys.fits("patch_size", processor.patch_size, "vision_config.patch_size", vision.patch_size)?;
        let downsample = "projector_config.downsample_ratio";
        processor_keys.fits("downsample_ratio", processor.downsample_ratio, downsample, projector.downsample)?;
        Ok(Self { architecture: Architecture::DeepSeekV2, language, eyes: Some(eyes), fp8_blocks: None })
    }

    /// What kind of model it is, in words.
    pub fn system(&self) -> &'static str {
        match (&self.eyes, self.architecture) {
            (Some(_), _) => "DeepSeek-VL2",
            (None, Architecture::DeepSeekV2) => "DeepSeek-V2",
            (None, Architecture::DeepSeekV3) => "DeepSeek-V3",
            (None, Architecture::Llama) => "Llama",
            (None, Architecture::Qwen2) => "Qwen2",
        }
    }

    /// Parameters of all parts, and those that one token of text is multiplied by.
    pub fn parameters(&self) -> seekvl_language::Parameters {
        let language = self.language.parameters();
        let eyes = self.eyes.as_ref().map_or(0, |eyes| eyes.vision.parameters() + eyes.projector.parameters()) as u64;
        let total = language.total.saturating_add(self.language.mtp_parameters()).saturating_add(eyes);
        seekvl_language::Parameters { total, active: language.active }
    }
}

fn check_kind(keys: &Keys<'_>, config: &RawConfig) -> Result<()> {
    keys.is("tile_tag", &config.tile_tag, "2D")?;
    keys.is("projector_config.projector_type", &config.projector_config.projector_type, "downsample_mlp_gelu")?;
    keys.is("projector_config.token_pooling", &config.projector_config.token_pooling, &false)?;
    keys.is("vision_config.class_token", &config.vision_config.class_token, &false)?;
    match config.quantization_config {
        Some(_) => Err(keys.error("quantization_config", "set", "quantized checkpoints are not read")),
        None => Ok(()),
    }
}

fn view_order(keys: &Keys<'_>, position: &str) -> Result<ViewOrder> {
    match position {
        "head" => Ok(ViewOrder::GlobalFirst),
        "tail" => Ok(ViewOrder::LocalFirst),
        other => Err(keys.error("global_view_pos", other, "neither head nor tail")),
    }
}

fn vision_spec(keys: &Keys<'_>, raw: &VisionConfig) -> Result<SiglipSpec> {
    let spec = SiglipSpec {
        image_size: keys.size("vision_config.image_size", raw.image_size)?,
        patch_size: keys.size("vision_config.patch_size", raw.patch_size)?,
        width: keys.size("vision_config.width", raw.width)?,
        layers: keys.size("vision_config.layers", raw.layers)?,
        heads: keys.size("vision_config.heads", raw.heads)?,
        // Truncated, as the original's `int()`.
        mlp: (raw.width as f64 * raw.mlp_ratio) as usize,
    };
    if !spec.width.is_multiple_of(spec.heads) {
        let reason = format!("it does not divide vision_config.width, which is {}", spec.width);
        return Err(keys.error("vision_config.heads", spec.heads, reason));
    }
    if spec.patch_size > spec.image_size {
        let reason = format!("more than vision_config.image_size, which is {}", spec.image_size);
        return Err(keys.error("vision_config.patch_size", spec.patch_size, reason));
    }
    if !(1..=MAX_SIZE).contains(&spec.mlp) {
        return Err(keys.error("vision_config.mlp_ratio", raw.mlp_ratio, "no width for the feed-forward layers"));
    }
    Ok(spec)
}

fn projector_spec(keys: &Keys<'_>, raw: &ProjectorConfig) -> Result<ProjectorSpec> {
    let ratio = keys.size("projector_config.mlp_ratio", raw.mlp_ratio)?;
    let output_dim = keys.size("projector_config.n_embed", raw.n_embed)?;
    let spec = ProjectorSpec {
        input_dim: keys.size("projector_config.input_dim", raw.input_dim)?,
        hidden_dim: keys.size("projector_config.mlp_ratio", ratio.saturating_mul(output_dim))?,
        output_dim,
        depth: keys.size("projector_config.depth", raw.depth)?,
        downsample: keys.size("projector_config.downsample_ratio", raw.downsample_ratio)?,
    };
    if spec.depth < 2 {
        return Err(keys.error("projector_config.depth", spec.depth, "such a projector has at least two layers"));
    }
    Ok(spec)
}

/// Far above any model, and far below where products of sizes overflow.
const MAX_SIZE: usize = 1 << 18;

/// Checks on the values of one file.
struct Keys<'a> {
    path: &'a Path,
}

impl Keys<'_> {
    fn error(&self, key: &str, value: impl Display, reason: impl Into<String>) -> Error {
        Error::Config {
            path: PathBuf::from(self.path),
            key: key.into(),
            value: value.to_string(),
            reason: reason.into(),
        }
    }

    fn is<T: PartialEq<U> + Display, U: Display + ?Sized>(&self, key: &str, value: &T, known: &U) -> Result<()> {
        if value == known { Ok(()) } else { Err(self.error(key, value, format!("only {known} is supported"))) }
    }

    fn size(&self, key: &str, value: usize) -> Result<usize> {
        if (1..=MAX_SIZE).contains(&value) {
            return Ok(value);
        }
        Err(self.error(key, value, format!("outside 1..={MAX_SIZE}")))
    }

    fn fits(&self, key: &str, value: usize, other_key: &str, other: usize) -> Result<()> {
        if value == other {
            return Ok(());
        }
        Err(self.error(key, value, format!("it does not fit {other_key}, which is {other}")))
    }

    fn tiling(&self, error: seekvl_vision::Error) -> Error {
        match error {
            seekvl_vision::Error::Config { key, value, reason } => self.error(key, value, reason),
            other => other.into(),
        }
    }
}
