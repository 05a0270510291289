//! `config.json` of a DeepSeek-VL as the transformers library writes it (`model_type` `deepseek_vl` and `deepseek_vl_hybrid`).
//! Defaults are those of its `SiglipVisionConfig` and `SamVisionConfig`.

use super::super::{Keys, check_siglip};
use super::{Constants, Parts, Preprocessor, check_sam, names};
use crate::Result;
use crate::files::typed;
use seekvl_nn::Activation;
use seekvl_projector::ProjectorSpec;
use seekvl_vision::{SamSpec, SiglipSpec};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    text_config: Map<String, Value>,
    #[serde(default)]
    vision_config: Siglip,
    #[serde(default)]
    high_res_vision_config: Sam,
}

#[derive(Deserialize)]
#[serde(default)]
struct Siglip {
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_channels: usize,
    image_size: usize,
    patch_size: usize,
    hidden_act: String,
    layer_norm_eps: f64,
}

impl Default for Siglip {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            patch_size: 16,
            hidden_act: "gelu_pytorch_tanh".into(),
            layer_norm_eps: 1e-6,
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct Sam {
    hidden_size: usize,
    output_channels: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_channels: usize,
    image_size: usize,
    patch_size: usize,
    hidden_act: String,
    layer_norm_eps: f64,
    qkv_bias: bool,
    mlp_ratio: f64,
    mlp_dim: Option<usize>,
    use_abs_pos: bool,
    use_rel_pos: bool,
    window_size: usize,
    global_attn_indexes: Vec<usize>,
}

impl Default for Sam {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            output_channels: 256,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 1024,
            patch_size: 16,
            hidden_act: "gelu".into(),
            layer_norm_eps: 1e-6,
            qkv_bias: true,
            mlp_ratio: 4.0,
            mlp_dim: None,
            use_abs_pos: true,
            use_rel_pos: true,
            window_size: 14,
            global_attn_indexes: vec![2, 5, 8, 11],
        }
    }
}

pub(super) fn read(
    keys: &Keys<'_>,
    config: Map<String, Value>,
    is_hybrid: bool,
    preprocessor: &Preprocessor,
) -> Result<Parts> {
    let config: Config = typed(keys.path, Value::Object(config))?;
    let vision = siglip(keys, &config.vision_config)?;
    let (mut low, mut high, mut names) = (None, None, names::TRANSFORMERS);
    if is_hybrid {
        low = Some(Constants { mean: preprocessor.image_mean, std: preprocessor.image_std });
        let constants = Constants { mean: preprocessor.high_res_image_mean, std: preprocessor.high_res_image_std };
        high = Some((sam(keys, &config.high_res_vision_config, vision.grid())?, Some(constants)));
        names = names::TRANSFORMERS_HYBRID;
    }
    // There is no configuration of the projector: it leads from one width to the other. What is missing there has the
    // default of the language model's class.
    let hidden = config.text_config.get("hidden_size").and_then(Value::as_u64);
    let output_dim = keys.size("text_config.hidden_size", hidden.map_or(4096, |hidden| hidden as usize))?;
    let projector = ProjectorSpec {
        input_dim: vision.width,
        hidden_dim: output_dim,
        output_dim,
        depth: 2,
        downsample: 1,
        is_split: is_hybrid,
        has_separators: false,
    };
    Ok(Parts { vision, low, high, projector, language_key: "text_config", language: config.text_config, names })
}

fn siglip(keys: &Keys<'_>, raw: &Siglip) -> Result<SiglipSpec> {
    keys.is("vision_config.num_channels", &raw.num_channels, &3)?;
    keys.is("vision_config.layer_norm_eps", &raw.layer_norm_eps, &1e-6)?;
    let activation = match raw.hidden_act.as_str() {
        "gelu" => Activation::Gelu,
        "gelu_pytorch_tanh" => Activation::GeluTanh,
        other => return Err(keys.error("vision_config.hidden_act", other, "neither gelu nor gelu_pytorch_tanh")),
    };
    let spec = SiglipSpec {
        image_size: raw.image_size,
        patch_size: raw.patch_size,
        width: raw.hidden_size,
        layers: raw.num_hidden_layers,
        heads: raw.num_attention_heads,
        mlp: raw.intermediate_size,
        activation,
    };
    check_siglip(keys, &|key| name("vision_config", key), &spec)?;
    Ok(spec)
}

fn sam(keys: &Keys<'_>, raw: &Sam, side: usize) -> Result<SamSpec> {
    let prefix = "high_res_vision_config";
    let key = |key: &str| format!("{prefix}.{key}");
    keys.is(&key("num_channels"), &raw.num_channels, &3)?;
    keys.is(&key("layer_norm_eps"), &raw.layer_norm_eps, &1e-6)?;
    keys.is(&key("hidden_act"), &raw.hidden_act, "gelu")?;
    keys.is(&key("qkv_bias"), &raw.qkv_bias, &true)?;
    keys.is(&key("use_abs_pos"), &raw.use_abs_pos, &true)?;
    keys.is(&key("use_rel_pos"), &raw.use_rel_pos, &true)?;
    let mlp = match raw.mlp_dim {
        Some(mlp) => mlp,
        None => keys.scaled(&key("mlp_ratio"), raw.hidden_size, raw.mlp_ratio)?,
    };
    let spec = SamSpec {
        image_size: raw.image_size,
        patch_size: raw.patch_size,
        width: raw.hidden_size,
        layers: raw.num_hidden_layers,
        heads: raw.num_attention_heads,
        mlp,
        window: raw.window_size,
        global: raw.global_attn_indexes.clone(),
        neck: raw.output_channels,
        channels: [2, 4].map(|times| raw.output_channels.saturating_mul(times)),
        side,
    };
    check_sam(keys, &|key| name(prefix, key), &spec)?;
    Ok(spec)
}

/// What these files call a field of a tower's shape.
fn name(prefix: &str, field: &str) -> String {
    let key = match field {
        "width" => "hidden_size",
        "layers" => "num_hidden_layers",
        "heads" => "num_attention_heads",
        "mlp" if prefix == "vision_config" => "intermediate_size",
        "mlp" => "mlp_dim",
        "window" => "window_size",
        "global" => "global_attn_indexes",
        "neck" | "channels" => "output_channels",
        other => other,
    };
    format!("{prefix}.{key}")
}
