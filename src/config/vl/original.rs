//! `config.json` of a DeepSeek-VL as the original's package writes it (`model_type` `multi_modality`). It calls its vision towers
//! by name; their sizes are in that package's `siglip_vit.py` and `sam.py`.

use super::super::{Keys, check_siglip};
use super::{Constants, Parts, WINDOW, check_sam, names, nested};
use crate::Result;
use crate::files::{ModelFile, TOWER_SIZES, typed};
use seekvl_nn::Activation;
use seekvl_projector::ProjectorSpec;
use seekvl_vision::{SamSpec, SiglipSpec};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
struct Config {
    vision_config: Part,
    aligner_config: Part,
    language_config: Map<String, Value>,
}

/// A class and what it is made with.
#[derive(Deserialize)]
struct Part {
    cls: String,
    params: Value,
}

/// `CLIPVisionTower`, with its defaults.
#[derive(Deserialize)]
#[serde(default)]
struct Tower {
    model_name: String,
    image_size: usize,
    select_layer: i64,
    pixel_mean: Option<[f64; 3]>,
    pixel_std: Option<[f64; 3]>,
}

impl Default for Tower {
    fn default() -> Self {
        let model_name = "siglip_large_patch16_384".into();
        Self { model_name, image_size: 336, select_layer: -2, pixel_mean: None, pixel_std: None }
    }
}

/// `HybridVisionTower`.
#[derive(Deserialize)]
struct Hybrid {
    high_res_cfg: Tower,
    low_res_cfg: Tower,
    #[serde(default = "tuple")]
    concat_type: String,
}

fn tuple() -> String {
    "tuple".into()
}

/// `MlpProjector`.
#[derive(Deserialize)]
struct Aligner {
    projector_type: String,
    input_dim: usize,
    n_embed: usize,
    #[serde(default = "one")]
    depth: usize,
}

fn one() -> usize {
    1
}

/// An entry of the original's `SigLIP_MODEL_CONFIG`.
#[derive(Deserialize)]
struct SiglipSizes {
    patch_size: usize,
    width: usize,
    layers: usize,
    heads: usize,
    mlp_ratio: f64,
}

/// An entry of the original's `SAM_MODEL_CONFIG`.
#[derive(Deserialize)]
struct SamSizes {
    width: usize,
    layers: usize,
    heads: usize,
    global_attn_indexes: Vec<usize>,
    prompt_embed_dim: usize,
    downsample_channels: [usize; 2],
}

/// Sizes by name: those of the published models, unless the checkpoint has others.
struct Sizes<'a> {
    file: Option<&'a ModelFile>,
    given: Map<String, Value>,
}

impl<'a> Sizes<'a> {
    fn read(file: Option<&'a ModelFile>) -> Result<Self> {
        Ok(Self { file, given: file.map(ModelFile::read_json).transpose()?.unwrap_or_default() })
    }

    fn get<T: DeserializeOwned>(&self, keys: &Keys<'_>, prefix: &str, name: &str) -> Result<T> {
        if let (Some(file), Some(sizes)) = (self.file, self.given.get(name)) {
            return nested(file.path(), name, sizes.clone());
        }
        let sizes = match name {
            "siglip_large_patch16_384" => {
                json!({"patch_size": 16, "width": 1024, "layers": 24, "heads": 16, "mlp_ratio": 4.0})
            }
            "siglip_so400m_patch14_384" | "siglip_so400m_patch14_224" => {
                json!({"patch_size": 14, "width": 1152, "layers": 27, "heads": 16, "mlp_ratio": 3.7362})
            }
            "sam_b_downsample" => json!({
                "width": 768, "layers": 12, "heads": 12, "global_attn_indexes": [2, 5, 8, 11],
                "prompt_embed_dim": 256, "downsample_channels": [512, 1024],
            }),
            _ => {
                let reason = format!("no tower of this name is known, and {TOWER_SIZES} has none");
                return Err(keys.error(&format!("{prefix}.model_name"), name, reason));
            }
        };
        nested(keys.path, prefix, sizes)
    }
}

/// Complains of the other kind of tower.
fn check_kind(keys: &Keys<'_>, prefix: &str, tower: &Tower, kind: &str) -> Result<()> {
    if tower.model_name.starts_with(kind) {
        return Ok(());
    }
    Err(keys.error(&format!("{prefix}.model_name"), &tower.model_name, format!("only names with {kind} are supported")))
}

pub(super) fn read(keys: &Keys<'_>, config: Map<String, Value>, sizes: Option<&ModelFile>) -> Result<Parts> {
    let Config { vision_config: Part { cls, params }, aligner_config, language_config } =
        typed(keys.path, Value::Object(config))?;
    let sizes = Sizes::read(sizes)?;
    let prefix = "vision_config.params";
    let (vision, low, high, names) = if cls.contains("CLIPVisionTower") {
        let tower: Tower = nested(keys.path, prefix, params)?;
        (siglip(keys, prefix, &tower, &sizes)?, tower.constants(keys, prefix)?, None, names::ORIGINAL)
    } else if cls.contains("HybridVisionTower") {
        let hybrid: Hybrid = nested(keys.path, prefix, params)?;
        keys.is(&format!("{prefix}.concat_type"), &hybrid.concat_type, "tuple")?;
        let (low, high) = (format!("{prefix}.low_res_cfg"), format!("{prefix}.high_res_cfg"));
        let vision = siglip(keys, &low, &hybrid.low_res_cfg, &sizes)?;
        let sam = sam(keys, &high, &hybrid.high_res_cfg, vision.grid(), &sizes)?;
        let high = (sam, hybrid.high_res_cfg.constants(keys, &high)?);
        (vision, hybrid.low_res_cfg.constants(keys, &low)?, Some(high), names::ORIGINAL_HYBRID)
    } else {
        return Err(keys.error("vision_config.cls", cls, "neither CLIPVisionTower nor HybridVisionTower"));
    };
    let projector = projector(keys, aligner_config, high.is_some())?;
    Ok(Parts { vision, low, high, projector, language_key: "language_config", language: language_config, names })
}

impl Tower {
    fn constants(&self, keys: &Keys<'_>, prefix: &str) -> Result<Option<Constants>> {
        match (self.pixel_mean, self.pixel_std) {
            (Some(mean), Some(std)) => Ok(Some(Constants { mean, std })),
            (None, None) => Ok(None),
            _ => Err(keys.error(&format!("{prefix}.pixel_mean"), "one of two", "a mean and a deviation go together")),
        }
    }
}

fn siglip(keys: &Keys<'_>, prefix: &str, tower: &Tower, sizes: &Sizes<'_>) -> Result<SiglipSpec> {
    check_kind(keys, prefix, tower, "siglip")?;
    let sizes: SiglipSizes = sizes.get(keys, prefix, &tower.model_name)?;
    let all = i64::try_from(sizes.layers).unwrap_or(i64::MAX);
    // Not above 0: counted from behind, the last being -1.
    let select = tower.select_layer;
    let layers = all.min(if select <= 0 { all.saturating_add(select).saturating_add(1) } else { select });
    let layers = usize::try_from(layers).ok().filter(|layers| *layers > 0);
    let layers = layers.ok_or_else(|| keys.error(&format!("{prefix}.select_layer"), select, "no such layer"))?;
    let spec = SiglipSpec {
        image_size: tower.image_size,
        patch_size: sizes.patch_size,
        width: sizes.width,
        layers,
        heads: sizes.heads,
        mlp: keys.scaled(&format!("{prefix}.mlp_ratio"), sizes.width, sizes.mlp_ratio)?,
        activation: Activation::Gelu,
    };
    check_siglip(keys, &|key| format!("{prefix}.{key}"), &spec)?;
    Ok(spec)
}

fn sam(keys: &Keys<'_>, prefix: &str, tower: &Tower, side: usize, sizes: &Sizes<'_>) -> Result<SamSpec> {
    check_kind(keys, prefix, tower, "sam")?;
    let sizes: SamSizes = sizes.get(keys, prefix, &tower.model_name)?;
    let spec = SamSpec {
        image_size: tower.image_size,
        patch_size: 16,
        width: sizes.width,
        layers: sizes.layers,
        heads: sizes.heads,
        mlp: sizes.width.saturating_mul(4),
        window: WINDOW,
        global: sizes.global_attn_indexes,
        neck: sizes.prompt_embed_dim,
        channels: sizes.downsample_channels,
        side,
    };
    check_sam(keys, &|key| format!("{prefix}.{key}"), &spec)?;
    Ok(spec)
}

fn projector(keys: &Keys<'_>, part: Part, is_split: bool) -> Result<ProjectorSpec> {
    let prefix = "aligner_config.params";
    if !part.cls.contains("MlpProjector") {
        return Err(keys.error("aligner_config.cls", part.cls, "only MlpProjector is supported"));
    }
    let aligner: Aligner = nested(keys.path, prefix, part.params)?;
    let known = if is_split { "low_high_hybrid_split_mlp_gelu" } else { "mlp_gelu" };
    keys.is(&format!("{prefix}.projector_type"), &aligner.projector_type, known)?;
    Ok(ProjectorSpec {
        input_dim: keys.size(&format!("{prefix}.input_dim"), aligner.input_dim)?,
        hidden_dim: aligner.n_embed,
        output_dim: keys.size(&format!("{prefix}.n_embed"), aligner.n_embed)?,
        depth: keys.size(&format!("{prefix}.depth"), aligner.depth)?,
        downsample: 1,
        is_split,
        has_separators: false,
    })
}
