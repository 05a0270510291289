//! A vision tower and a projector beside the language model, in one file.
//!
//! The keys are those that llama.cpp has for its `clip` files (`clip.vision.*`; the candidate resolutions are LLaVA-NeXT's
//! `image_grid_pinpoints`). `clip.projector_type` is [`PROJECTOR`], a value that llama.cpp does not know.

use super::meta::Meta;
use crate::Result;
use crate::config::{ProcessorConfig, RawConfig};
use seekvl_nn::{Array, Value as Stored};
use seekvl_vision::TilingConfig;
use serde_json::{Value, json};

/// DeepSeek-VL2's projector.
const PROJECTOR: &str = "deepseek_vl2";

const HAS_VISION: &str = "clip.has_vision_encoder";
const PROJECTOR_TYPE: &str = "clip.projector_type";
const IMAGE_SIZE: &str = "clip.vision.image_size";
const PATCH_SIZE: &str = "clip.vision.patch_size";
const WIDTH: &str = "clip.vision.embedding_length";
const MLP: &str = "clip.vision.feed_forward_length";
const LAYERS: &str = "clip.vision.block_count";
const HEADS: &str = "clip.vision.attention.head_count";
const EPS: &str = "clip.vision.attention.layer_norm_epsilon";
const PROJECTION: &str = "clip.vision.projection_dim";
const MEAN: &str = "clip.vision.image_mean";
const STD: &str = "clip.vision.image_std";
const DOWNSAMPLE: &str = "clip.vision.projector.scale_factor";
const CANDIDATES: &str = "clip.vision.image_grid_pinpoints";
/// These three are this project's own: layers and inner width of the projector, and which view comes first.
const PROJECTOR_DEPTH: &str = "clip.vision.projector.block_count";
const PROJECTOR_RATIO: &str = "clip.vision.projector.mlp_ratio";
const VIEW_ORDER: &str = "clip.vision.global_view_position";
const NORMALIZE: &str = "clip.vision.normalize";
const IMAGE_TOKEN: &str = "clip.vision.image_token";

pub(super) fn is_there(meta: &Meta<'_>) -> Result<bool> {
    Ok(meta.value(HAS_VISION, Stored::as_bool)?.unwrap_or(false))
}

/// `config.json` and `processor_config.json` around a language model's.
pub(super) fn configs(meta: &Meta<'_>, language: Value) -> Result<(Value, Value)> {
    let number = |key: &str| meta.value(key, Stored::as_u64)?.ok_or_else(|| meta.missing(key));
    let text = |key: &str| meta.value(key, Stored::as_str)?.ok_or_else(|| meta.missing(key));
    if text(PROJECTOR_TYPE)? != PROJECTOR {
        return Err(meta.error(PROJECTOR_TYPE, text(PROJECTOR_TYPE)?, "only DeepSeek-VL2's is supported"));
    }
    let (width, mlp) = (number(WIDTH)?, number(MLP)?);
    // What truncates to it.
    let ratio = (mlp as f64 + 0.5) / (width as f64).max(1.0);
    let config = json!({
        "model_type": "deepseek_vl_v2", "tile_tag": "2D",
        "global_view_pos": text(VIEW_ORDER)?,
        "language_config": language,
        "vision_config": {
            "image_size": number(IMAGE_SIZE)?, "patch_size": number(PATCH_SIZE)?, "width": width, "mlp_ratio": ratio,
            "layers": number(LAYERS)?, "heads": number(HEADS)?,
        },
        "projector_config": {
            "projector_type": "downsample_mlp_gelu", "input_dim": width, "n_embed": number(PROJECTION)?,
            "depth": number(PROJECTOR_DEPTH)?, "mlp_ratio": number(PROJECTOR_RATIO)?,
            "downsample_ratio": number(DOWNSAMPLE)?,
        },
    });
    let floats = |key: &str| {
        let decimals =
            |values: &[f32]| values.iter().map(|value| Stored::F32(*value).as_f64()).collect::<Option<Vec<_>>>();
        meta.value(key, |value| decimals(value.as_f32s()?))?.ok_or_else(|| meta.missing(key))
    };
    let sides = meta.value(CANDIDATES, Stored::as_i32s)?.ok_or_else(|| meta.missing(CANDIDATES))?;
    let processor = json!({
        "candidate_resolutions": sides.chunks(2).collect::<Vec<_>>(),
        "image_mean": floats(MEAN)?, "image_std": floats(STD)?,
        "normalize": meta.value(NORMALIZE, Stored::as_bool)?.unwrap_or(true),
        "patch_size": number(PATCH_SIZE)?, "downsample_ratio": number(DOWNSAMPLE)?,
        "image_token": text(IMAGE_TOKEN)?, "sft_format": "deepseek",
    });
    Ok((config, processor))
}

/// The keys for a model's configuration, which was checked.
pub(super) fn metadata(
    config: &RawConfig,
    processor: &ProcessorConfig,
    tiling: &TilingConfig,
) -> Vec<(String, Stored)> {
    let (vision, projector) = (&config.vision_config, &config.projector_config);
    let number = |value: usize| Stored::U32(value as u32);
    let floats = |values: [f64; 3]| Stored::Array(Array::F32(values.map(|value| value as f32).into()));
    let sides = tiling.candidate_resolutions.iter().flat_map(|size| [size.width as i32, size.height as i32]);
    let keys = [
        (HAS_VISION, Stored::Bool(true)),
        (PROJECTOR_TYPE, Stored::String(PROJECTOR.into())),
        (IMAGE_SIZE, number(vision.image_size)),
        (PATCH_SIZE, number(vision.patch_size)),
        (WIDTH, number(vision.width)),
        (MLP, number((vision.width as f64 * vision.mlp_ratio) as usize)),
        (LAYERS, number(vision.layers)),
        (HEADS, number(vision.heads)),
        (EPS, Stored::F32(1e-6)),
        (PROJECTION, number(projector.n_embed)),
        (MEAN, floats(tiling.image_mean)),
        (STD, floats(tiling.image_std)),
        (NORMALIZE, Stored::Bool(tiling.normalize)),
        ("clip.use_gelu", Stored::Bool(true)),
        (DOWNSAMPLE, number(projector.downsample_ratio)),
        (CANDIDATES, Stored::Array(Array::I32(sides.collect()))),
        (PROJECTOR_DEPTH, number(projector.depth)),
        (PROJECTOR_RATIO, number(projector.mlp_ratio)),
        (VIEW_ORDER, Stored::String(config.global_view_pos.clone())),
        (IMAGE_TOKEN, Stored::String(processor.image_token.clone())),
    ];
    keys.into_iter().map(|(key, value)| (key.into(), value)).collect()
}
