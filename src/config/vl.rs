//! The configuration of a DeepSeek-VL, in the original's layout and in that of the transformers library.

mod names;
mod original;
mod transformers;

use super::{EyesSpec, Family, HighSpec, Keys, MAX_SIZE, ModelSpec};
use crate::files::{ModelFile, ModelFiles, PREPROCESSOR_CONFIG, typed};
use crate::{Error, Result};
use seekvl_language::{Architecture, DecoderSpec, LanguageConfig};
use seekvl_nn::Renaming;
use seekvl_projector::{ImageLayout, ProjectorSpec, ViewOrder};
use seekvl_vision::{Normalizer, SamSpec, SiglipSpec, TilingSpec, WholeConfig};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::path::Path;

/// How a checkpoint is laid out.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// As the original's package has it.
    Original,
    /// As the transformers library has it.
    Transformers { is_hybrid: bool },
}

impl Layout {
    /// The layout that a `model_type` names, if it is one of them.
    pub fn of(model_type: &str) -> Option<Self> {
        match model_type {
            "multi_modality" => Some(Self::Original),
            "deepseek_vl" => Some(Self::Transformers { is_hybrid: false }),
            "deepseek_vl_hybrid" => Some(Self::Transformers { is_hybrid: true }),
            _ => None,
        }
    }
}

/// Means and deviations of the channels.
struct Constants {
    mean: [f64; 3],
    std: [f64; 3],
}

/// What `config.json` says, whatever its layout.
struct Parts {
    vision: SiglipSpec,
    /// What the tower normalises with by itself.
    low: Option<Constants>,
    high: Option<(SamSpec, Option<Constants>)>,
    projector: ProjectorSpec,
    /// What the file calls the language model's part.
    language_key: &'static str,
    language: Map<String, Value>,
    names: &'static [Renaming],
}

/// `preprocessor_config.json`: the keys of the original's `VLMImageProcessor` and of the transformers library's classes.
#[derive(Deserialize)]
struct Preprocessor {
    image_size: Option<usize>,
    size: Option<Size>,
    high_res_size: Option<Size>,
    #[serde(default = "fourteen")]
    min_size: usize,
    image_mean: [f64; 3],
    image_std: [f64; 3],
    #[serde(default = "clip_mean")]
    high_res_image_mean: [f64; 3],
    #[serde(default = "clip_std")]
    high_res_image_std: [f64; 3],
    #[serde(default = "per_level")]
    rescale_factor: f64,
    #[serde(default = "yes")]
    do_normalize: bool,
}

#[derive(Deserialize)]
struct Size {
    height: usize,
    width: usize,
}

/// `processor_config.json`.
#[derive(Deserialize)]
#[serde(default)]
struct Processor {
    image_tag: String,
    num_image_tokens: Option<usize>,
    add_special_token: bool,
    sft_format: String,
    /// Newer versions of the transformers library keep the other file's content here.
    image_processor: Option<Value>,
}

impl Default for Processor {
    fn default() -> Self {
        Self {
            image_tag: "<image_placeholder>".into(),
            num_image_tokens: None,
            add_special_token: false,
            sft_format: "deepseek".into(),
            image_processor: None,
        }
    }
}

fn fourteen() -> usize {
    14
}

fn clip_mean() -> [f64; 3] {
    [0.48145466, 0.4578275, 0.40821073]
}

fn clip_std() -> [f64; 3] {
    [0.26862954, 0.26130258, 0.27577711]
}

fn per_level() -> f64 {
    1.0 / 255.0
}

fn yes() -> bool {
    true
}

impl ModelSpec {
    pub(super) fn vl(files: &ModelFiles, layout: Layout, config: Map<String, Value>) -> Result<Self> {
        let path = files.config.path();
        let keys = Keys { path };
        if config.get("quantization_config").is_some_and(|value| !value.is_null()) {
            return Err(keys.error("quantization_config", "set", "quantized checkpoints are not read"));
        }
        let mut processor: Processor =
            files.processor_config.as_ref().map(ModelFile::read_json).transpose()?.unwrap_or_default();
        let processor_path = files.processor_config.as_ref().map_or(path, ModelFile::path);
        let (preprocessor_path, mut preprocessor) = match (&files.preprocessor_config, processor.image_processor.take())
        {
            (Some(file), _) => (file.path(), file.read_json::<Preprocessor>()?),
            (None, Some(value)) => (processor_path, nested(processor_path, "image_processor", value)?),
            (None, None) => {
                let dir = path.parent().unwrap_or(path).into();
                return Err(Error::MissingFile { dir, file: PREPROCESSOR_CONFIG.into() });
            }
        };
        let mut parts = match layout {
            Layout::Original => original::read(&keys, config, files.tower_sizes.as_ref())?,
            Layout::Transformers { is_hybrid } => {
                let parts = transformers::read(&keys, config, is_hybrid, &preprocessor)?;
                // Each tower has its constants, also where the file is the original's, whose towers normalise by themselves.
                preprocessor.do_normalize &= !is_hybrid;
                parts
            }
        };
        let language = language(path, parts.language_key, std::mem::take(&mut parts.language))?;
        fit(&keys, &parts, &language)?;
        let (names, eyes) = (parts.names, eyes(&Keys { path: preprocessor_path }, &preprocessor, parts, &processor)?);
        check_processor(&Keys { path: processor_path }, &processor, &eyes.layout)?;
        Ok(Self { architecture: Architecture::Llama, language, eyes: Some(eyes), fp8_blocks: None, names })
    }
}

/// A value somewhere in a file; errors name the whole key.
fn nested<T: DeserializeOwned>(path: &Path, prefix: &str, value: Value) -> Result<T> {
    typed(path, value).map_err(|error| match error {
        Error::Json { path, key, source } if key == "." => Error::Json { path, key: prefix.into(), source },
        Error::Json { path, key, source } => Error::Json { path, key: format!("{prefix}.{key}"), source },
        other => other,
    })
}

fn language(path: &Path, key: &str, mut config: Map<String, Value>) -> Result<DecoderSpec> {
    let architecture = Architecture::Llama;
    match config.get("model_type").and_then(Value::as_str) {
        None | Some("llama") => {}
        Some(other) => {
            return Err(Keys { path }.error(&format!("{key}.model_type"), other, "only llama is supported"));
        }
    }
    architecture.fill_defaults(&mut config);
    let raw = LanguageConfig { architecture, ..nested(path, key, Value::Object(config))? };
    DecoderSpec::from_config(&raw)
        .map_err(|source| Error::LanguageConfig { path: path.into(), source: Box::new(source) })
}

/// Whether the parts fit together.
fn fit(keys: &Keys<'_>, parts: &Parts, language: &DecoderSpec) -> Result<()> {
    let projector = &parts.projector;
    if projector.depth < 2 {
        return Err(keys.error(
            "aligner_config.params.depth",
            projector.depth,
            "such a projector has at least two layers",
        ));
    }
    let hidden = format!("{}.hidden_size", parts.language_key);
    keys.fits("aligner_config.params.n_embed", projector.output_dim, &hidden, language.hidden_size)?;
    keys.fits("aligner_config.params.input_dim", projector.input_dim, "the width of the tower", parts.vision.width)?;
    let Some((sam, _)) = &parts.high else { return Ok(()) };
    if parts.vision.image_size > sam.image_size {
        let reason = format!("more than that of the tower for high resolution, which is {}", sam.image_size);
        return Err(keys.error("the image_size of the tower", parts.vision.image_size, reason));
    }
    keys.fits("the width of the tower for high resolution", sam.channels[1], "that of the other", parts.vision.width)?;
    if !projector.hidden_dim.is_multiple_of(2) {
        return Err(keys.error(&hidden, projector.hidden_dim, "two towers cannot have half of it each"));
    }
    Ok(())
}

fn eyes(keys: &Keys<'_>, preprocessor: &Preprocessor, parts: Parts, processor: &Processor) -> Result<EyesSpec> {
    let Parts { vision, low, high, projector, .. } = parts;
    let view = high.as_ref().map_or(vision.image_size, |(sam, _)| sam.image_size);
    for (key, size, expected) in
        [("size", &preprocessor.size, vision.image_size), ("high_res_size", &preprocessor.high_res_size, view)]
    {
        if let Some(size) = size {
            keys.fits(&format!("{key}.height"), size.height, "the image_size of its tower", expected)?;
            keys.fits(&format!("{key}.width"), size.width, "the image_size of its tower", expected)?;
        }
    }
    if let Some(size) = preprocessor.image_size {
        keys.fits("image_size", size, "the image_size of the tower with the most pixels", view)?;
    }
    if (preprocessor.rescale_factor * 255.0 - 1.0).abs() > 1e-6 {
        return Err(keys.error("rescale_factor", preprocessor.rescale_factor, "only 1/255 is supported"));
    }
    let whole = WholeConfig { image_size: view, min_size: preprocessor.min_size, image_mean: preprocessor.image_mean };
    let low = normalizer(keys, preprocessor, low)?;
    let high = high.map(|(sam, constants)| {
        Ok::<_, Error>(HighSpec { sam, normalizer: normalizer(keys, preprocessor, constants)? })
    });
    Ok(EyesSpec {
        family: Family::Vl,
        tiling: TilingSpec::whole(whole, low).map_err(|error| keys.tiling(error))?,
        layout: ImageLayout { side: vision.grid(), order: ViewOrder::GlobalOnly },
        vision,
        high: high.transpose()?,
        projector,
        image_token: processor.image_tag.clone(),
    })
}

/// Pixels are normalised when they are prepared, or by the tower.
fn normalizer(keys: &Keys<'_>, preprocessor: &Preprocessor, tower: Option<Constants>) -> Result<Normalizer> {
    let (mean, std, applies) = match (tower, preprocessor.do_normalize) {
        (None, applies) => (preprocessor.image_mean, preprocessor.image_std, applies),
        (Some(Constants { mean, std }), false) => (mean, std, true),
        (Some(_), true) => return Err(keys.error("do_normalize", true, "the vision tower normalises by itself")),
    };
    Normalizer::new(mean, std, applies).map_err(|error| keys.tiling(error))
}

fn check_processor(keys: &Keys<'_>, processor: &Processor, layout: &ImageLayout) -> Result<()> {
    keys.is("sft_format", &processor.sft_format, "deepseek")?;
    keys.is("add_special_token", &processor.add_special_token, &false)?;
    match processor.num_image_tokens {
        Some(tokens) => keys.fits("num_image_tokens", tokens, "the number of patches", layout.slots(0, 0)),
        None => Ok(()),
    }
}

/// Patches along a side of the windows of the original, whatever the size of the grid.
const WINDOW: usize = 14;

/// Checks a tower's shape; `name` is what the file calls a field of it.
fn check_sam(keys: &Keys<'_>, name: &dyn Fn(&str) -> String, spec: &SamSpec) -> Result<()> {
    keys.size(&name("image_size"), spec.image_size)?;
    keys.size(&name("patch_size"), spec.patch_size)?;
    keys.size(&name("width"), spec.width)?;
    keys.size(&name("layers"), spec.layers)?;
    keys.size(&name("heads"), spec.heads)?;
    keys.size(&name("mlp"), spec.mlp)?;
    keys.size(&name("window"), spec.window)?;
    keys.size(&name("neck"), spec.neck)?;
    for channels in spec.channels {
        keys.size(&name("channels"), channels)?;
    }
    if !spec.width.is_multiple_of(spec.heads) {
        let reason = format!("it does not divide {}, which is {}", name("width"), spec.width);
        return Err(keys.error(&name("heads"), spec.heads, reason));
    }
    if !spec.image_size.is_multiple_of(spec.patch_size) {
        let reason = format!("no multiple of {}, which is {}", name("patch_size"), spec.patch_size);
        return Err(keys.error(&name("image_size"), spec.image_size, reason));
    }
    let widest = spec.grid().max(WINDOW);
    if spec.window > widest {
        let reason = format!("outside 1..={widest}, there being {} patches along a side", spec.grid());
        return Err(keys.error(&name("window"), spec.window, reason));
    }
    let unfit = spec.global.iter().find(|block| **block >= spec.layers);
    if spec.global.is_empty() || unfit.is_some() {
        let reason = format!("at least one is needed, all below {}", spec.layers.min(MAX_SIZE));
        return Err(keys.error(&name("global"), format!("{:?}", spec.global), reason));
    }
    Ok(())
}
