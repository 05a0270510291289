//! What a model is, from its configuration and the headers of its weights.

use crate::config::{EyesSpec, ModelSpec};
use crate::files::{ModelFile, ModelFiles};
use crate::{Result, gguf};
use seekvl_language::AttentionSpec;
use seekvl_nn::CacheType;
use seekvl_vision::SamSpec;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a model is. Everything that serializes as a number is a count, in bytes where the name says so.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelInfo {
    /// Its directory, or its GGUF file, or the file of its configuration where that is all there is; `None` for a model that
    /// is part of this program.
    pub directory: Option<PathBuf>,
    /// The architecture.
    pub system: &'static str,
    /// The vision tower; `None` for a model that reads text alone.
    pub vision: Option<VisionInfo>,
    /// The projector and the layout of images; `None` as well.
    pub projector: Option<ProjectorInfo>,
    /// The language model.
    pub language: LanguageInfo,
    /// Weights of each part as the configuration has them.
    pub parameters: ParameterInfo,
    /// What the files hold, by the type of their elements.
    pub stored: BTreeMap<String, StoredInfo>,
    /// Number of safetensors files; 0 where the weights are not here, and [`ModelInfo::stored`] is empty.
    pub files: usize,
}

/// The vision tower.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VisionInfo {
    /// Side of a tile in pixels.
    pub tile_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Patches of a tile.
    pub patches: usize,
    /// Width of the stream.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width inside the feed-forward layers.
    pub mlp: usize,
    /// Most local tiles of an image; 0 where images are looked at as a whole.
    pub max_tiles: u64,
    /// A second tower, which sees more pixels of the same view, if there is one.
    pub high: Option<HighVisionInfo>,
}

/// A tower for high resolution.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HighVisionInfo {
    /// Side of a view in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Width of the stream.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Those of them that attend to everything.
    pub global: usize,
    /// Patches along a side of the windows that the others attend to.
    pub window: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width inside the feed-forward layers.
    pub mlp: usize,
}

/// The projector and the layout of images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProjectorInfo {
    /// Patches joined along each side.
    pub downsample: usize,
    /// Linear layers.
    pub depth: usize,
    /// Visual tokens of a view.
    pub tokens_per_view: usize,
    /// Tokens of an image that is not cut into tiles.
    pub least_image_tokens: usize,
}

/// The language model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LanguageInfo {
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width of the stream.
    pub hidden_size: usize,
    /// Decoder layers.
    pub layers: usize,
    /// `grouped` or `latent`.
    pub attention: &'static str,
    /// Query heads.
    pub heads: usize,
    /// Layers with a mixture of experts.
    pub sparse_layers: usize,
    /// Experts of such a layer.
    pub experts: usize,
    /// Experts that a token is sent to.
    pub experts_per_token: usize,
    /// Most tokens of prompt and answer.
    pub context: usize,
    /// Bytes that a CPU's cache holds for each token.
    pub cache_bytes_per_token: CacheBytes,
    /// Bytes that it would hold if each query head had a key and a value of its own (multi-head attention).
    pub mha_cache_bytes_per_token: CacheBytes,
    /// Whether a layer after the last drafts tokens (multi-token prediction).
    pub drafts: bool,
}

/// Bytes of a cache, by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CacheBytes {
    /// [`CacheType::F32`].
    pub f32: usize,
    /// [`CacheType::Bf16`].
    pub bf16: usize,
    /// [`CacheType::Q8_0`].
    pub q8_0: usize,
}

impl CacheBytes {
    fn of(bytes: impl Fn(CacheType) -> usize) -> Self {
        Self { f32: bytes(CacheType::F32), bf16: bytes(CacheType::Bf16), q8_0: bytes(CacheType::Q8_0) }
    }
}

/// Numbers of weights.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ParameterInfo {
    /// Of the vision towers, unused pooling left out.
    pub vision: usize,
    /// Of the projector.
    pub projector: usize,
    /// Of the language model.
    pub language: u64,
    /// Of the language model, those that one token is multiplied by.
    pub language_per_token: u64,
    /// Of the layer for multi-token prediction.
    pub mtp: u64,
    /// All.
    pub total: u64,
}

/// Tensors of one type.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StoredInfo {
    /// How many tensors.
    pub tensors: usize,
    /// Their elements.
    pub elements: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Looks at a model without reading a weight.
///
/// # Errors
/// A configuration that makes no sense, or a weights file whose header is damaged or that is cut short.
pub fn inspect(files: &ModelFiles) -> Result<ModelInfo> {
    let spec = ModelSpec::read(files)?;
    let checkpoint = files.checkpoint()?;
    let mut stored = BTreeMap::<String, StoredInfo>::new();
    for (_, tensor) in checkpoint.tensors() {
        let info = stored.entry(tensor.dtype.to_string()).or_default();
        info.tensors += 1;
        info.elements += tensor.elements() as u64;
        info.bytes += tensor.bytes() as u64;
    }
    let file = files.shards.first().and_then(|file| match file {
        ModelFile::OnDisk(path) if gguf::is_gguf(file) => Some(path.clone()),
        _ => None,
    });
    Ok(ModelInfo { directory: file.or_else(|| files.dir.clone()), stored, files: files.shards.len(), ..info(&spec) })
}

/// Looks at a model of which only the `config.json` is there, by whatever name; where the model has eyes, the files that
/// say how it sees stand beside it.
///
/// # Errors
/// A configuration that makes no sense.
pub fn inspect_configuration(path: &Path) -> Result<ModelInfo> {
    let spec = ModelSpec::read(&ModelFiles::of_configuration(path))?;
    Ok(ModelInfo { directory: Some(path.into()), ..info(&spec) })
}

/// All that the configuration says.
fn info(spec: &ModelSpec) -> ModelInfo {
    let (language, parameters) = (spec.language.parameters(), spec.parameters());
    ModelInfo {
        directory: None,
        system: spec.system(),
        vision: spec.eyes.as_ref().map(vision),
        projector: spec.eyes.as_ref().map(|eyes| ProjectorInfo {
            downsample: eyes.projector.downsample,
            depth: eyes.projector.depth,
            tokens_per_view: eyes.layout.side * eyes.layout.side,
            least_image_tokens: eyes.layout.slots(1, 1),
        }),
        language: language_info(spec),
        parameters: ParameterInfo {
            vision: spec.eyes.as_ref().map_or(0, EyesSpec::vision_parameters),
            projector: spec.eyes.as_ref().map_or(0, |eyes| eyes.projector.parameters()),
            language: language.total,
            language_per_token: language.active,
            mtp: spec.language.mtp_parameters(),
            total: parameters.total,
        },
        stored: BTreeMap::new(),
        files: 0,
    }
}

fn vision(spec: &EyesSpec) -> VisionInfo {
    let vision = &spec.vision;
    let side = u64::from(spec.tiling.tile_size());
    let tiles = |size: &seekvl_vision::Resolution| u64::from(size.width) * u64::from(size.height) / (side * side);
    VisionInfo {
        tile_size: vision.image_size,
        patch_size: vision.patch_size,
        patches: vision.patches(),
        width: vision.width,
        layers: vision.layers,
        heads: vision.heads,
        mlp: vision.mlp,
        max_tiles: spec.tiling.candidates().iter().map(tiles).max().unwrap_or(0),
        high: spec.high.as_ref().map(|high| high_vision(&high.sam)),
    }
}

fn high_vision(sam: &SamSpec) -> HighVisionInfo {
    HighVisionInfo {
        image_size: sam.image_size,
        patch_size: sam.patch_size,
        width: sam.width,
        layers: sam.layers,
        global: (0..sam.layers).filter(|layer| sam.global.contains(layer)).count(),
        window: sam.window,
        heads: sam.heads,
        mlp: sam.mlp,
    }
}

fn language_info(spec: &ModelSpec) -> LanguageInfo {
    let language = &spec.language;
    let (attention, heads) = match language.attention {
        AttentionSpec::Grouped { heads, .. } => ("grouped", heads),
        AttentionSpec::Latent { heads, .. } => ("latent", heads),
    };
    let is_sparse =
        |layer: &usize| matches!(language.feed_forward(*layer), seekvl_language::FeedForwardSpec::Sparse(_));
    let router = language.sparse.as_ref().map(|sparse| &sparse.router);
    LanguageInfo {
        vocab_size: language.vocab_size,
        hidden_size: language.hidden_size,
        layers: language.layers,
        attention,
        heads,
        sparse_layers: (0..language.layers).filter(is_sparse).count(),
        experts: router.map_or(0, |router| router.experts),
        experts_per_token: router.map_or(0, |router| router.top_k),
        context: language.max_positions,
        cache_bytes_per_token: CacheBytes::of(|kind| language.cache_bytes_per_token(kind)),
        mha_cache_bytes_per_token: CacheBytes::of(|kind| language.mha_cache_bytes_per_token(kind)),
        drafts: language.has_mtp,
    }
}
