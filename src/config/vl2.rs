//! The configuration of a DeepSeek-VL2.

use super::{
    EyesSpec, Family, Keys, ModelSpec, ProcessorConfig, ProjectorConfig, RawConfig, VisionConfig, check_siglip,
};
use crate::{Error, Result};
use seekvl_language::{Architecture, DecoderSpec};
use seekvl_nn::Activation;
use seekvl_projector::{ImageLayout, ProjectorSpec, ViewOrder};
use seekvl_vision::{SiglipSpec, TilingConfig, TilingSpec};
use std::path::Path;

impl ModelSpec {
    pub(super) fn vl2(
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
            family: Family::Vl2,
            high: None,
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
        Ok(Self { architecture: Architecture::DeepSeekV2, language, eyes: Some(eyes), fp8_blocks: None, names: &[] })
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
        image_size: raw.image_size,
        patch_size: raw.patch_size,
        width: raw.width,
        layers: raw.layers,
        heads: raw.heads,
        mlp: keys.scaled("vision_config.mlp_ratio", raw.width, raw.mlp_ratio)?,
        activation: Activation::GeluTanh,
    };
    check_siglip(keys, &|key| format!("vision_config.{key}"), &spec)?;
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
        is_split: false,
        has_separators: true,
    };
    if spec.depth < 2 {
        return Err(keys.error("projector_config.depth", spec.depth, "such a projector has at least two layers"));
    }
    Ok(spec)
}
