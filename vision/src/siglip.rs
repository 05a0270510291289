//! The SigLIP vision transformer (Zhai et al. 2023) as DeepSeek-VL2 and DeepSeek-VL have it: `siglip_vit.py` of the originals,
//! which follows timm. Pre-norm blocks, learned positions, a final norm, all patches kept; the attention pooling that
//! checkpoints carry is not used.

use crate::attention::Qkv;
use seekvl_nn::{Activation, Arithmetic, LayerNorm, Linear, Loader, Mlp, Result, Tensor};

/// Tiles that go through the tower together. One has rows enough to spread the cost of reading the weights, and activations
/// that a third-level cache holds.
pub const TILES_AT_ONCE: usize = 1;

/// The shape of a tower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiglipSpec {
    /// Side of a tile in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Width of the stream.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Attention heads; divides `width`.
    pub heads: usize,
    /// Width inside the feed-forward layers.
    pub mlp: usize,
    /// What is inside the feed-forward layers.
    pub activation: Activation,
}

impl SiglipSpec {
    /// Patches along a side; pixels left over at the right and the bottom are never seen.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of a tile.
    pub fn patches(&self) -> usize {
        self.grid() * self.grid()
    }

    /// Numbers in a patch.
    pub fn patch_len(&self) -> usize {
        3 * self.patch_size * self.patch_size
    }

    /// Multiplications and additions for one tile: its products, and its scores and their mixtures.
    pub fn operations(&self) -> f64 {
        let (patches, width, layers) = (self.patches() as f64, self.width as f64, self.layers as f64);
        let positions = patches * width;
        2.0 * patches * (self.parameters() as f64 - positions) + 4.0 * layers * patches * patches * width
    }

    /// Parameters that are used, and those of the unused pooling not counted.
    pub fn parameters(&self) -> usize {
        let Self { width: w, mlp, layers, .. } = *self;
        let block = 4 * w + (w * 3 * w + 3 * w) + (w * w + w) + (w * mlp + mlp) + (mlp * w + w);
        w * self.patch_len() + w + self.patches() * w + layers * block + 2 * w
    }
}

/// Sees the tower's intermediate values (checks against a reference). `()` sees nothing.
pub trait SiglipProbe {
    /// Patches with their positions added, `[tiles, patches, width]`, of the tiles from `first` on.
    fn embedded(&mut self, first: usize, x: &Tensor) {
        let _ = (first, x);
    }

    /// The output of block `block`, as above.
    fn block(&mut self, first: usize, block: usize, x: &Tensor) {
        let _ = (first, block, x);
    }

    /// Whether to stop; asked before every block.
    fn is_cancelled(&self) -> bool {
        false
    }
}

impl SiglipProbe for () {}

/// A loaded tower.
pub struct Siglip {
    spec: SiglipSpec,
    patch_embedding: Linear,
    positions: Tensor,
    blocks: Vec<Block>,
    norm: LayerNorm,
}

struct Block {
    norm1: LayerNorm,
    qkv: Qkv,
    out: Linear,
    norm2: LayerNorm,
    mlp: Mlp,
}

impl Siglip {
    /// Reads `patch_embed`, `pos_embed`, `blocks` and `norm` at the loader's place. Queries, keys and values of a block are
    /// `attn.qkv`, or else `attn.q`, `attn.k` and `attn.v`; positions may have a leading dimension of 1.
    ///
    /// # Errors
    /// A tensor that is missing or misshapen.
    pub fn load(loader: &Loader, spec: SiglipSpec) -> Result<Self> {
        let SiglipSpec { width, mlp, .. } = spec;
        const EPS: f32 = 1e-6;
        let patch = loader.at("patch_embed.proj");
        let kernel = [width, 3, spec.patch_size, spec.patch_size];
        let patch_embedding = Linear::new(patch.weight("weight", &kernel)?, Some(patch.tensor("bias", &[width])?));
        let block = |i: usize| {
            let loader = loader.at(format_args!("blocks.{i}"));
            Ok(Block {
                norm1: loader.layer_norm("norm1", width, EPS)?,
                qkv: qkv(&loader, width)?,
                out: loader.linear("attn.proj", width, width, true)?,
                norm2: loader.layer_norm("norm2", width, EPS)?,
                mlp: Mlp::new(
                    loader.linear("mlp.fc1", width, mlp, true)?,
                    spec.activation,
                    loader.linear("mlp.fc2", mlp, width, true)?,
                ),
            })
        };
        loader.skip("attn_pool.");
        let positions = [1, spec.patches(), width];
        let is_flat = loader.shape("pos_embed").is_some_and(|shape| shape.len() == 2);
        Ok(Self {
            spec,
            patch_embedding,
            positions: loader.tensor("pos_embed", &positions[usize::from(is_flat)..])?,
            blocks: (0..spec.layers).map(block).collect::<Result<_>>()?,
            norm: loader.layer_norm("norm", width, EPS)?,
        })
    }

    /// The arithmetic of its products, by the weights of the first block.
    pub fn arithmetic(&self) -> Arithmetic {
        self.blocks.first().map_or(&self.patch_embedding, |block| &block.out).weight().arithmetic()
    }

    /// The tower's shape.
    pub fn spec(&self) -> &SiglipSpec {
        &self.spec
    }

    /// Features `[tiles, patches, width]` of normalised patches `[tiles, patches, 3 · patch_size²]`, each patch in the
    /// order channel, row, column. A tile's features do not depend on the others. `None` where the probe cancelled it.
    ///
    /// # Errors
    /// If the input has another shape.
    pub fn forward(&self, patches: &Tensor, probe: &mut dyn SiglipProbe) -> Result<Option<Tensor>> {
        let tiles = patches.dim(0)?;
        let mut features = Vec::with_capacity(tiles.div_ceil(TILES_AT_ONCE));
        for first in (0..tiles).step_by(TILES_AT_ONCE) {
            let some = patches.narrow(0, first, TILES_AT_ONCE.min(tiles - first))?;
            match self.forward_some(&some, first, probe)? {
                Some(some) => features.push(some),
                None => return Ok(None),
            }
        }
        Ok(Some(Tensor::cat(&features, 0)?))
    }

    fn forward_some(&self, patches: &Tensor, first: usize, probe: &mut dyn SiglipProbe) -> Result<Option<Tensor>> {
        let mut x = self.patch_embedding.forward(patches)?.broadcast_add(&self.positions)?;
        probe.embedded(first, &x);
        for (i, block) in self.blocks.iter().enumerate() {
            if probe.is_cancelled() {
                return Ok(None);
            }
            let attended = block.qkv.attend(&block.norm1.forward(&x)?, self.spec.heads, None)?;
            x = block.out.forward_then(&attended, None, Some(&x))?;
            x = block.mlp.forward_add(&block.norm2.forward(&x)?, &x)?;
            probe.block(first, i, &x);
        }
        self.norm.forward(&x).map(Some)
    }
}

fn qkv(loader: &Loader, width: usize) -> Result<Qkv> {
    const APART: [&str; 3] = ["attn.q", "attn.k", "attn.v"];
    if APART.iter().any(|name| loader.contains(&format!("{name}.weight"))) {
        let parts = APART.iter().map(|name| loader.linear(name, width, width, true));
        return Ok(Qkv::new(parts.collect::<Result<_>>()?));
    }
    Ok(Qkv::new(vec![loader.linear("attn.qkv", width, 3 * width, true)?]))
}
