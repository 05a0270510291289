//! The SigLIP vision transformer (Zhai et al. 2023) as DeepSeek-VL2 has it: `siglip_vit.py` of the original, which
//! follows timm. Pre-norm blocks, learned positions, a final norm, all patches kept; the attention pooling that
//! checkpoints carry is not used.

use seekvl_nn::{Activation, DType, LayerNorm, Linear, Loader, Mask, Mlp, Result, Tensor, attention, round_rows};

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
    qkv: Linear,
    out: Linear,
    norm2: LayerNorm,
    mlp: Mlp,
}

impl Siglip {
    /// Reads `patch_embed`, `pos_embed`, `blocks` and `norm` at the loader's place.
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
                qkv: loader.linear("attn.qkv", width, 3 * width, true)?,
                out: loader.linear("attn.proj", width, width, true)?,
                norm2: loader.layer_norm("norm2", width, EPS)?,
                mlp: Mlp::new(
                    loader.linear("mlp.fc1", width, mlp, true)?,
                    Activation::GeluTanh,
                    loader.linear("mlp.fc2", mlp, width, true)?,
                ),
            })
        };
        loader.skip("attn_pool.");
        Ok(Self {
            spec,
            patch_embedding,
            positions: loader.tensor("pos_embed", &[1, spec.patches(), width])?,
            blocks: (0..spec.layers).map(block).collect::<Result<_>>()?,
            norm: loader.layer_norm("norm", width, EPS)?,
        })
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
            let attended = self.attend(block, &block.norm1.forward(&x)?)?;
            x = block.out.forward_then(&attended, None, Some(&x))?;
            x = block.mlp.forward_add(&block.norm2.forward(&x)?, &x)?;
            probe.block(first, i, &x);
        }
        self.norm.forward(&x).map(Some)
    }

    /// What the heads of a block make of `x`, side by side.
    fn attend(&self, block: &Block, x: &Tensor) -> Result<Tensor> {
        let (tiles, patches, width) = x.dims3()?;
        let heads = self.spec.heads;
        let scale = ((width / heads) as f32).powf(-0.5);
        let qkv = block.qkv.forward(x)?.reshape((tiles, patches, 3 * heads, width / heads))?;
        let one = |tile: usize| {
            let qkv = qkv.narrow(0, tile, 1)?.squeeze(0)?;
            let mut keys_values = qkv.narrow(1, heads, 2 * heads)?;
            if block.qkv.weight().dtype() == DType::BF16 {
                keys_values = round_rows(&keys_values)?;
            }
            let (k, v) = (keys_values.narrow(1, 0, heads)?, keys_values.narrow(1, heads, heads)?);
            attention(&qkv.narrow(1, 0, heads)?, &[k], &[v], scale, Mask::None)
        };
        let attended = Tensor::stack(&(0..tiles).map(one).collect::<Result<Vec<_>>>()?, 0)?;
        Ok(attended.reshape((tiles, patches, width))?)
    }
}
