//! A model's shape: from `config.json`, `processor_config.json` and `preprocessor_config.json` to types that are checked once.

mod text;
mod vl;
mod vl2;

use crate::files::{ModelFiles, PROCESSOR_CONFIG, parse_json, typed};
use crate::{Error, Result};
use seekvl_language::{Architecture, DecoderSpec, LanguageConfig};
use seekvl_nn::{BlockSize, Renaming};
use seekvl_projector::{ImageLayout, ProjectorSpec};
use seekvl_vision::{Normalizer, SamSpec, SiglipSpec, TilingSpec};
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

/// The keys of `processor_config.json` beside those of [`TilingConfig`](seekvl_vision::TilingConfig).
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
    /// The names that the checkpoint has in place of DeepSeek-VL2's, which the models ask for.
    pub names: &'static [Renaming],
}

/// A family of models with eyes. It says what a prompt looks like, and whether answers point with boxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// DeepSeek-VL.
    Vl,
    /// DeepSeek-VL2.
    Vl2,
}

/// The shape of vision towers and a projector, and how they want their images. The parts fit together.
#[derive(Clone, Debug)]
pub struct EyesSpec {
    /// The family of models.
    pub family: Family,
    /// How images become tiles, and how these are normalised for [`EyesSpec::vision`].
    pub tiling: TilingSpec,
    /// The vision tower.
    pub vision: SiglipSpec,
    /// A tower that sees more pixels of the same view, if there is one. The view is shrunk for the other then.
    pub high: Option<HighSpec>,
    /// The projector.
    pub projector: ProjectorSpec,
    /// The order of an image's tokens.
    pub layout: ImageLayout,
    /// The token in each slot of an image.
    pub image_token: String,
}

/// A second tower, for high resolution.
#[derive(Clone, Debug)]
pub struct HighSpec {
    /// Its shape.
    pub sam: SamSpec,
    /// How pixels are normalised for it.
    pub normalizer: Normalizer,
}

impl EyesSpec {
    /// Parameters of the towers.
    pub fn vision_parameters(&self) -> usize {
        self.vision.parameters() + self.high.as_ref().map_or(0, |high| high.sam.parameters())
    }

    /// Multiplications and additions for one view, in towers and projector.
    pub fn operations_per_view(&self) -> f64 {
        let side = self.projector.tokens_per_side(self.vision.grid());
        let high = self.high.as_ref().map_or(0.0, |high| high.sam.operations());
        self.vision.operations() + high + 2.0 * (side * side * self.projector.parameters()) as f64
    }
}

/// `model_type` of a DeepSeek-VL2.
const VL2: &str = "deepseek_vl_v2";

/// Whether models of this `model_type` are read.
pub(crate) fn is_known(model_type: &str) -> bool {
    model_type == VL2 || vl::Layout::of(model_type).is_some() || Architecture::of(model_type).is_some()
}

impl ModelSpec {
    /// Reads a model's configuration: `config.json`, and `processor_config.json` where the model has eyes; DeepSeek-VL's
    /// `preprocessor_config.json` and, where it is there, `tower_sizes.json`.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Json`], and [`Error::Config`] or [`Error::LanguageConfig`] for a value that is not known,
    /// makes no sense, or does not fit another. Each names the file and the key.
    pub fn read(files: &ModelFiles) -> Result<Self> {
        let path = files.config.path();
        let config: Map<String, Value> = files.config.read_json()?;
        let model_type = config.get("model_type").and_then(Value::as_str).unwrap_or("missing");
        if model_type == VL2 {
            let missing =
                || Error::MissingFile { dir: path.parent().unwrap_or(path).into(), file: PROCESSOR_CONFIG.into() };
            let processor = files.processor_config.as_ref().ok_or_else(missing)?;
            let (processor_path, content) = (processor.path(), processor.read()?);
            let (processor, tiling) = (parse_json(processor_path, &content)?, parse_json(processor_path, &content)?);
            return Self::vl2(path, typed(path, Value::Object(config))?, processor_path, processor, tiling);
        }
        if let Some(layout) = vl::Layout::of(model_type) {
            return Self::vl(files, layout, config);
        }
        match Architecture::of(model_type) {
            Some(architecture) => Self::text(path, architecture, config),
            None => {
                let known = "neither deepseek_vl_v2, multi_modality, deepseek_vl, deepseek_vl_hybrid, deepseek_v2, deepseek_v3, \
                             llama nor qwen2";
                Err(Keys { path }.error("model_type", model_type, known))
            }
        }
    }

    /// What kind of model it is, in words.
    pub fn system(&self) -> &'static str {
        match (self.eyes.as_ref().map(|eyes| eyes.family), self.architecture) {
            (Some(Family::Vl2), _) => "DeepSeek-VL2",
            (Some(Family::Vl), _) => "DeepSeek-VL",
            (None, Architecture::DeepSeekV2) => "DeepSeek-V2",
            (None, Architecture::DeepSeekV3) => "DeepSeek-V3",
            (None, Architecture::Llama) => "Llama",
            (None, Architecture::Qwen2) => "Qwen2",
        }
    }

    /// Parameters of all parts, and those that one token of text is multiplied by.
    pub fn parameters(&self) -> seekvl_language::Parameters {
        let language = self.language.parameters();
        let eyes = self.eyes.as_ref().map_or(0, |eyes| eyes.vision_parameters() + eyes.projector.parameters()) as u64;
        let total = language.total.saturating_add(self.language.mtp_parameters()).saturating_add(eyes);
        seekvl_language::Parameters { total, active: language.active }
    }
}

/// Checks a tower's shape; `name` is what the file calls a field of it.
fn check_siglip(keys: &Keys<'_>, name: &dyn Fn(&str) -> String, spec: &SiglipSpec) -> Result<()> {
    keys.size(&name("image_size"), spec.image_size)?;
    keys.size(&name("patch_size"), spec.patch_size)?;
    keys.size(&name("width"), spec.width)?;
    keys.size(&name("layers"), spec.layers)?;
    keys.size(&name("heads"), spec.heads)?;
    keys.size(&name("mlp"), spec.mlp)?;
    if !spec.width.is_multiple_of(spec.heads) {
        let reason = format!("it does not divide {}, which is {}", name("width"), spec.width);
        return Err(keys.error(&name("heads"), spec.heads, reason));
    }
    if spec.patch_size > spec.image_size {
        let reason = format!("more than {}, which is {}", name("image_size"), spec.image_size);
        return Err(keys.error(&name("patch_size"), spec.patch_size, reason));
    }
    Ok(())
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

    /// A width over another. Truncated, as the original's `int()`.
    fn scaled(&self, key: &str, width: usize, ratio: f64) -> Result<usize> {
        let scaled = (width as f64 * ratio) as usize;
        if (1..=MAX_SIZE).contains(&scaled) {
            return Ok(scaled);
        }
        Err(self.error(key, ratio, "no width for the feed-forward layers"))
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
