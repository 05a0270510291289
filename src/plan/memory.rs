//! How much memory an answer takes on a CPU.

use super::ImagePlan;
use crate::Options;
use crate::config::{EyesSpec, ModelSpec};
use seekvl_language::{AttentionSpec, Cache, DecoderSpec};
use seekvl_nn::{CacheType, Checkpoint, Format, Quantization, StoredDtype, WeightType};
use seekvl_vision::{SamSpec, TILES_AT_ONCE};
use serde::Serialize;

const F32: u64 = size_of::<f32>() as u64;
const BF16: u64 = 2;

/// Bytes of a model's weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WeightBytes {
    /// Used straight from the files' pages: the system can drop and re-read them, and shares them between processes.
    pub mapped: u64,
    /// Converted to another type, or too small to matter, and so held in memory.
    pub held: u64,
    /// What a cache keeps keys and values as beside such weights, where nothing else is asked for.
    #[serde(skip)]
    pub cache_type: CacheType,
}

/// An estimate, in bytes, of what is held on a CPU when it is most. It counts tensors, not what the allocator keeps nor
/// the program itself.
///
/// `peak` = `weights` + `tiles` + `image_rows` + the largest of
///
/// - `decoding`: the largest picture, as decoded and as RGB;
/// - `vision`: the views of the largest image as patches and as features, and the activations of a vision block or the
///   projector for as many tiles as go through together;
/// - `cache` + `language`: keys and values of prompt and answer, and the activations of
///   a decoder layer for as many positions as go through together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// The weights.
    pub weights: WeightBytes,
    /// All images' tiles, 8 bits a channel.
    pub tiles: u64,
    /// The rows that stand for images in the sequence.
    pub image_rows: u64,
    /// The largest picture while it is decoded.
    pub decoding: u64,
    /// Vision tower and projector.
    pub vision: u64,
    /// The cache.
    pub cache: u64,
    /// The language model.
    pub language: u64,
    /// All that is held at once, at most.
    pub peak: u64,
}

impl WeightBytes {
    /// The weights of a checkpoint, kept as `kept` says, those that `quantization` rounds in its formats. Matrices that are already of that type stay mapped; vectors,
    /// positions and routers become f32. The vision tower's pooling, which is never used, is never read.
    pub fn of(checkpoint: &Checkpoint, kept: WeightType, quantization: Option<Quantization>) -> Self {
        let mut sum = Self::default();
        // Of every layout. Norms of the original that are never called are too small to matter.
        let is_unused = |name: &str| {
            name.contains(".attn_pool.") || name.contains("vision_model.head.") || name.ends_with(".weight_scale_inv")
        };
        let is_position = |name: &str| {
            name.ends_with("pos_embed")
                || name.ends_with("position_embedding.weight")
                || name.ends_with(".rel_pos_h")
                || name.ends_with(".rel_pos_w")
        };
        for (name, tensor) in checkpoint.tensors().filter(|(name, _)| !is_unused(name)) {
            let is_matrix = tensor.shape.len() > 1 && !is_position(name);
            let is_router = name.ends_with(".mlp.gate.weight");
            if let (StoredDtype::Blocks(format), &[.., inputs], true) = (tensor.dtype, &tensor.shape[..], is_matrix) {
                let rows = tensor.elements() / inputs.max(1);
                sum.cache_type = CacheType::Bf16;
                sum.held += format.bytes(rows, inputs).unwrap_or(usize::MAX) as u64;
                continue;
            }
            let format = match (quantization, &tensor.shape[..]) {
                (Some(quantization), &[_, inputs]) if is_matrix && !is_router => quantization.format(name, inputs),
                _ => None,
            };
            if let (Some(format), &[rows, inputs]) = (format, &tensor.shape[..]) {
                sum.cache_type = CacheType::Bf16;
                sum.held += format.bytes(rows, inputs).unwrap_or(usize::MAX) as u64;
                continue;
            }
            let wanted = match kept {
                _ if !is_matrix || is_router => StoredDtype::F32,
                WeightType::AsStored if matches!(tensor.dtype, StoredDtype::BF16 | StoredDtype::F8E4M3) => {
                    StoredDtype::BF16
                }
                WeightType::Bf16 => StoredDtype::BF16,
                WeightType::AsStored | WeightType::F32 | WeightType::F16 => StoredDtype::F32,
            };
            if wanted == StoredDtype::BF16 {
                sum.cache_type = CacheType::Bf16;
            }
            let bytes = tensor.elements() as u64 * if wanted == StoredDtype::BF16 { BF16 } else { F32 };
            if is_matrix && wanted == tensor.dtype {
                sum.mapped += bytes;
            } else {
                sum.held += bytes;
            }
        }
        sum
    }

    /// The weights of a model that is not there, in the type `kept`; `AsStored` is taken for bf16, as which they are
    /// published. Of a quantised one it is the usual share of each format: a few per cent off, more where widths are small.
    pub fn assumed(spec: &ModelSpec, kept: WeightType, quantization: Option<Quantization>) -> Self {
        if let Some(quantization) = quantization {
            let (held, cache_type) = (rounded(spec, quantization), CacheType::Bf16);
            let mapped = BF16 * spec.language.vocab_size as u64 * spec.language.hidden_size as u64;
            return Self { mapped, held, cache_type };
        }
        let (bytes, cache_type) = if kept == WeightType::F32 { (F32, CacheType::F32) } else { (BF16, CacheType::Bf16) };
        let all = spec.parameters().total.saturating_mul(bytes);
        // Those of 8 bits are not used as they are.
        let (mapped, held) = if spec.fp8_blocks.is_some() { (0, all) } else { (all, 0) };
        Self { mapped, held, cache_type }
    }

    /// The same, where the experts of the language model stay in their files, but for `budget` bytes of them. What all of
    /// them take is estimated by their share of the weights.
    #[must_use]
    pub fn with_expert_budget(self, spec: &ModelSpec, budget: u64) -> Self {
        let all = u128::from(spec.parameters().total.max(1));
        let share = |bytes: u64| (u128::from(bytes) * u128::from(spec.language.expert_parameters()) / all) as u64;
        let (mapped, held) = (share(self.mapped), share(self.held));
        let budget = budget.min(mapped.saturating_add(held));
        Self { mapped: self.mapped - mapped, held: self.held - held + budget, ..self }
    }

    /// All.
    pub fn total(&self) -> u64 {
        self.mapped.saturating_add(self.held)
    }
}

impl Memory {
    pub(super) fn estimate(
        spec: &ModelSpec,
        images: &[ImagePlan],
        prompt_tokens: usize,
        max_new_tokens: usize,
        options: &Options,
        weights: WeightBytes,
    ) -> Self {
        let hidden = spec.language.hidden_size as u64;
        let views = |image: &ImagePlan| 1 + image.grid().tiles() as u64;
        let image_tokens: u64 = images.iter().map(|image| image.tokens as u64).sum();
        let most_views = images.iter().map(views).max().unwrap_or(0);
        let most_pixels = images.iter().map(|image| u64::from(image.width) * u64::from(image.height)).max();
        let tile = spec.eyes.as_ref().map_or(0, |eyes| u64::from(eyes.tiling.tile_size()).pow(2) * 3);
        let prompt = prompt_tokens.min(spec.language.longest());
        let chunk = if options.prefill_chunk == 0 { prompt } else { options.prefill_chunk.min(prompt) };
        let mut memory = Self {
            weights,
            tiles: images.iter().map(views).sum::<u64>() * tile,
            image_rows: image_tokens * hidden * F32,
            decoding: most_pixels.unwrap_or(0) * 2 * 3,
            vision: spec.eyes.as_ref().map_or(0, |eyes| vision(eyes, most_views)),
            cache: cache(&spec.language, prompt, chunk, max_new_tokens, weights.cache_type),
            language: language(&spec.language, chunk as u64, prompt),
            peak: 0,
        };
        let stages = [memory.decoding, memory.vision, memory.cache.saturating_add(memory.language)];
        let largest = stages.into_iter().max().unwrap_or(0);
        memory.peak = weights.total().saturating_add(memory.tiles + memory.image_rows).saturating_add(largest);
        memory
    }
}

/// Bytes of a model's rounded weights, which are all but the token embedding. In a mixture, one in six weights of the
/// layers keeps 6 bits: every other output of a feed-forward layer.
fn rounded(spec: &ModelSpec, quantization: Quantization) -> u64 {
    let language = &spec.language;
    let (all, decoder) = (spec.parameters().total, language.parameters().total);
    let table = language.vocab_size as u64 * language.hidden_size as u64;
    let (head, layers) = if language.tied_embeddings { (0, decoder - table) } else { (table, decoder - 2 * table) };
    let layers = layers + language.mtp_parameters();
    let bytes = |format: Format, weights: u64| weights / 16_384 * format.bytes(64, 256).unwrap_or(16_384) as u64;
    let eyes = bytes(Format::Q8_0, all - decoder - language.mtp_parameters());
    eyes + match quantization {
        Quantization::Q8_0 => bytes(Format::Q8_0, head + layers),
        Quantization::Q4_0 => bytes(Format::Q6K, head) + bytes(Format::Q4_0, layers),
        Quantization::Q4KM => bytes(Format::Q6K, head + layers / 6) + bytes(Format::Q4K, layers - layers / 6),
    }
}

/// Patches and features of all views; then the widest moment of a block (the stream, its norm, queries, keys and values,
/// their mix and its projection; or the stream, its norm, both sides of the activation, and the result), of the projector, or of
/// the tower for high resolution.
fn vision(eyes: &EyesSpec, views: u64) -> u64 {
    let (spec, projector) = (&eyes.vision, &eyes.projector);
    let (patches, width, mlp) = (spec.patches() as u64, spec.width as u64, spec.mlp as u64);
    let at_once = views.min(TILES_AT_ONCE as u64);
    let block = at_once * patches * (7 * width).max(3 * width + 2 * mlp);
    let side = projector.tokens_per_side(spec.grid()) as u64;
    let joined = projector.joined_dim() as u64;
    let project = views * side * side * (2 * joined + 2 * projector.hidden_dim as u64 + projector.output_dim as u64);
    let (held, high) = eyes.high.as_ref().map_or((0, 0), |high| self::high(&high.sam));
    let all = views * (patches * (spec.patch_len() as u64 + width) + held);
    F32 * (all + block.max(project).max(if views > 0 { high } else { 0 }))
}

/// Of a tower for high resolution: what is held of each view (patches and features), and its widest moment: a block (as above,
/// with the two parts of the bias; windows may be larger than the grid), or a convolution, whose nine inputs of each output are
/// gathered and put in order.
fn high(spec: &SamSpec) -> (u64, u64) {
    let (patches, width, mlp) = (spec.patches() as u64, spec.width as u64, spec.mlp as u64);
    let padded = (spec.grid().div_ceil(spec.window) * spec.window).pow(2) as u64;
    let bias = 2 * (spec.heads * spec.grid()) as u64;
    let block = (2 * patches * width + padded * (6 * width + bias)).max(patches * (3 * width + 2 * mlp));
    let features = (spec.side * spec.side) as u64;
    let [first, second] = spec.channels.map(|channels| channels as u64);
    let neck = patches * (width + 20 * spec.neck as u64);
    let down = features * (16 + 4 * 18) * spec.neck as u64 + features * 4 * first;
    let down = down.max(features * (4 + 18) * first + features * second);
    // What the first block that attends to everything makes is kept to the end.
    let widest = block.max(neck).max(down) + patches * width;
    (patches * spec.patch_len() as u64 + features * second, widest)
}

/// Room for prompt and answer, in whole blocks.
fn cache(spec: &DecoderSpec, prompt: usize, chunk: usize, max_new_tokens: usize, kind: CacheType) -> u64 {
    let total = prompt.saturating_add(max_new_tokens).min(spec.longest());
    (Cache::room(total, chunk, spec.window) as u64)
        .saturating_mul(spec.cache_bytes_per_token(spec.cache_type.unwrap_or(kind)) as u64)
}

/// For each position the stream, its norm and the larger of attention and feed-forward, where in a mixture every position
/// may be sent to one expert; the keys and values that latents are expanded to; and the logits of the last, with the copies
/// that sampling makes.
fn language(spec: &DecoderSpec, positions: u64, prompt: usize) -> u64 {
    let hidden = spec.hidden_size as u64;
    let attention = match spec.attention {
        AttentionSpec::Grouped { heads, kv_heads, head_dim, .. } => (3 * heads + 4 * kv_heads) * head_dim,
        AttentionSpec::Latent { heads, kv_rank, nope_dim, rope_dim, value_dim, .. } => {
            heads * (2 * (nope_dim + rope_dim) + 3 * kv_rank + rope_dim + value_dim) + 3 * (kv_rank + rope_dim)
        }
    } as u64;
    let dense = 3 * spec.intermediate_size as u64;
    let sparse = spec.sparse.as_ref().map_or(0, |s| 3 * s.expert_size.max(s.shared_size) as u64 + 3 * hidden);
    let row = 4 * hidden + attention.max(dense).max(sparse);
    let expanded = spec.attention.expanded_numbers(Cache::room(prompt, positions as usize, spec.window)) as u64;
    F32 * (positions.saturating_mul(row).saturating_add(expanded) + 3 * spec.vocab_size as u64)
}
