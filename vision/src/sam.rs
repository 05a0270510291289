//! The image encoder of SAM (Kirillov et al. 2023; ViTDet, Li et al. 2022) as DeepSeek-VL 7B has it: `sam.py` of the original.
//!
//! Pre-norm blocks on a grid of patches, with learned positions and decomposed relative positions; most attend within windows,
//! some to everything. A neck makes channels of the features, which are brought to four times the grid of the other tower and
//! down again by two convolutions. What the first of the blocks that attend to everything makes goes the same way, through a
//! neck of its own, and is added by a learned share.

mod convolution;

use crate::attention::Qkv;
use convolution::{Convolution, enlarge};
use seekvl_nn::{Activation, LayerNorm, Linear, Loader, Mlp, RelativePositions, Result, Tensor};

/// Of all norms.
const EPS: f32 = 1e-6;

/// The shape of an encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SamSpec {
    /// Side of a view in pixels.
    pub image_size: usize,
    /// Side of a patch in pixels; divides `image_size`.
    pub patch_size: usize,
    /// Width of the stream.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Attention heads; divides `width`.
    pub heads: usize,
    /// Width inside the feed-forward layers.
    pub mlp: usize,
    /// Patches along a side of a window.
    pub window: usize,
    /// The blocks that attend to everything; at least one.
    pub global: Vec<usize>,
    /// Channels of the necks.
    pub neck: usize,
    /// Channels of the two convolutions after them, the second being the width of the features.
    pub channels: [usize; 2],
    /// Features along a side.
    pub side: usize,
}

impl SamSpec {
    /// Patches along a side.
    pub fn grid(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of a view.
    pub fn patches(&self) -> usize {
        self.grid() * self.grid()
    }

    /// Numbers in a patch.
    pub fn patch_len(&self) -> usize {
        3 * self.patch_size * self.patch_size
    }

    /// Patches along a side of what a block attends to.
    fn reach(&self, block: usize) -> usize {
        if self.global.contains(&block) { self.grid() } else { self.window }
    }

    /// Multiplications and additions for one view: the blocks' products, their scores and mixtures, and the convolutions.
    pub fn operations(&self) -> f64 {
        let Self { width: w, mlp, neck, channels: [first, second], .. } = *self;
        let (grid, side) = (self.grid() * self.grid(), self.side * self.side);
        let block = w * self.patch_len() / self.layers.max(1) + 4 * w * w + 2 * w * mlp;
        let attention: usize = (0..self.layers).map(|i| 2 * self.reach(i) * self.reach(i) * w).sum();
        let necks = 2 * (w * neck + 9 * neck * neck);
        let down = 2 * (4 * side * 9 * neck * first + side * 9 * first * second);
        2.0 * ((self.layers * block + attention + necks) as f64 * grid as f64 + down as f64)
    }

    /// Parameters.
    pub fn parameters(&self) -> usize {
        let Self { width: w, mlp, neck, channels: [first, second], .. } = *self;
        let block = 4 * w + (w * 3 * w + 3 * w) + (w * w + w) + (w * mlp + mlp) + (mlp * w + w);
        let relative: usize = (0..self.layers).map(|i| 2 * (2 * self.reach(i) - 1) * (w / self.heads)).sum();
        let necks = 2 * (w * neck + 9 * neck * neck + 4 * neck);
        let down = 9 * neck * first + 9 * first * second;
        w * self.patch_len() + w + self.patches() * w + self.layers * block + relative + necks + down + 1
    }
}

/// Sees the encoder's intermediate values (checks against a reference). `()` sees nothing.
pub trait SamProbe {
    /// The features of a view after the neck, line after line, `[patches, channels]`.
    fn neck(&mut self, view: usize, x: &Tensor) {
        let _ = (view, x);
    }

    /// Whether to stop; asked before every block.
    fn is_cancelled(&self) -> bool {
        false
    }
}

impl SamProbe for () {}

/// A loaded encoder.
pub struct Sam {
    spec: SamSpec,
    patch_embedding: Linear,
    positions: Tensor,
    blocks: Vec<Block>,
    neck: Neck,
    neck_of_first: Neck,
    share_of_first: Tensor,
    down: [Convolution; 2],
}

struct Block {
    norm1: LayerNorm,
    qkv: Qkv,
    positions: RelativePositions,
    /// Patches along a side of a window; `None` where everything is attended to.
    window: Option<usize>,
    out: Linear,
    norm2: LayerNorm,
    mlp: Mlp,
}

struct Neck {
    narrow: Linear,
    norm1: LayerNorm,
    convolution: Convolution,
    norm2: LayerNorm,
}

impl Sam {
    /// Reads `patch_embed`, `pos_embed`, `blocks`, `neck`, `neck_hd`, `downsamples` and `hd_alpha_downsamples` at the loader's
    /// place.
    ///
    /// # Errors
    /// A tensor that is missing or misshapen.
    pub fn load(loader: &Loader, spec: SamSpec) -> Result<Self> {
        let width = spec.width;
        let patch = loader.at("patch_embed.proj");
        let kernel = [width, 3, spec.patch_size, spec.patch_size];
        let patch_embedding = Linear::new(patch.weight("weight", &kernel)?, Some(patch.tensor("bias", &[width])?));
        let positions = loader.tensor("pos_embed", &[1, spec.grid(), spec.grid(), width])?;
        let [first, second] = spec.channels;
        Ok(Self {
            patch_embedding,
            positions: positions.reshape((spec.patches(), width))?,
            blocks: (0..spec.layers).map(|i| Block::load(loader, &spec, i)).collect::<Result<_>>()?,
            neck: Neck::load(&loader.at("neck"), &spec)?,
            neck_of_first: Neck::load(&loader.at("neck_hd"), &spec)?,
            share_of_first: loader.tensor("hd_alpha_downsamples", &[1])?,
            down: [
                Convolution::load(loader, "downsamples.0", spec.neck, first, 2)?,
                Convolution::load(loader, "downsamples.1", first, second, 2)?,
            ],
            spec,
        })
    }

    /// The encoder's shape.
    pub fn spec(&self) -> &SamSpec {
        &self.spec
    }

    /// Features `[views, side², channels]`, line after line, of normalised patches `[views, patches, 3 · patch_size²]`, each patch
    /// in the order channel, row, column. `None` where the probe cancelled it.
    ///
    /// # Errors
    /// If the input has another shape.
    pub fn forward(&self, patches: &Tensor, probe: &mut dyn SamProbe) -> Result<Option<Tensor>> {
        let mut features = Vec::new();
        for view in 0..patches.dim(0)? {
            match self.forward_one(view, &patches.get(view)?, probe)? {
                Some(one) => features.push(one),
                None => return Ok(None),
            }
        }
        Ok(Some(Tensor::stack(&features, 0)?))
    }

    fn forward_one(&self, view: usize, patches: &Tensor, probe: &mut dyn SamProbe) -> Result<Option<Tensor>> {
        let grid = self.spec.grid();
        let mut x = self.patch_embedding.forward(patches)?.broadcast_add(&self.positions)?;
        let mut first = None;
        for block in &self.blocks {
            if probe.is_cancelled() {
                return Ok(None);
            }
            x = block.forward(&x, grid, self.spec.heads)?;
            if block.window.is_none() && first.is_none() {
                first = Some(x.clone());
            }
        }
        let x = self.neck.forward(&x, grid)?;
        probe.neck(view, &x);
        let mut features = self.shrink(&x)?;
        if let Some(first) = first {
            let first = self.shrink(&self.neck_of_first.forward(&first, grid)?)?;
            features = (features + first.broadcast_mul(&self.share_of_first)?)?;
        }
        Ok(Some(features))
    }

    /// From the grid of the patches to that of the features.
    fn shrink(&self, x: &Tensor) -> Result<Tensor> {
        let side = 4 * self.spec.side;
        let x = self.down[0].forward(&enlarge(x, self.spec.grid(), side)?, side)?;
        self.down[1].forward(&x, side / 2)
    }
}

impl Block {
    fn load(loader: &Loader, spec: &SamSpec, index: usize) -> Result<Self> {
        let loader = loader.at(format_args!("blocks.{index}"));
        let (width, mlp, reach) = (spec.width, spec.mlp, spec.reach(index));
        let relative = |name: &str| loader.tensor(name, &[2 * reach - 1, width / spec.heads]);
        Ok(Self {
            norm1: loader.layer_norm("norm1", width, EPS)?,
            qkv: Qkv::new(vec![loader.linear("attn.qkv", width, 3 * width, true)?]),
            positions: RelativePositions::new(&relative("attn.rel_pos_h")?, &relative("attn.rel_pos_w")?)?,
            window: (!spec.global.contains(&index)).then_some(spec.window),
            out: loader.linear("attn.proj", width, width, true)?,
            norm2: loader.layer_norm("norm2", width, EPS)?,
            mlp: Mlp::new(
                loader.linear("mlp.lin1", width, mlp, true)?,
                Activation::Gelu,
                loader.linear("mlp.lin2", mlp, width, true)?,
            ),
        })
    }

    /// `x`: `[grid², width]`, and so is the result.
    fn forward(&self, x: &Tensor, grid: usize, heads: usize) -> Result<Tensor> {
        let normed = self.norm1.forward(x)?;
        let attended = match self.window {
            Some(window) => {
                let windows = self.qkv.attend(&cut(&normed, grid, window)?, heads, Some(&self.positions))?;
                join(&windows, grid, window)?
            }
            None => self.qkv.attend(&normed.unsqueeze(0)?, heads, Some(&self.positions))?.squeeze(0)?,
        };
        let x = self.out.forward_then(&attended, None, Some(x))?;
        self.mlp.forward_add(&self.norm2.forward(&x)?, &x)
    }
}

/// Windows `[windows, window², width]` of `[grid², width]`, filled up with zeros at the right and the bottom. These are attended
/// to like all else.
fn cut(x: &Tensor, grid: usize, window: usize) -> Result<Tensor> {
    let (count, width) = (grid.div_ceil(window), x.dim(1)?);
    let pad = count * window - grid;
    let x = x.reshape((grid, grid, width))?.pad_with_zeros(0, 0, pad)?.pad_with_zeros(1, 0, pad)?;
    let x = x.reshape((count, window, count, window, width))?.transpose(1, 2)?.contiguous()?;
    Ok(x.reshape((count * count, window * window, width))?)
}

/// The inverse of [`cut`].
fn join(windows: &Tensor, grid: usize, window: usize) -> Result<Tensor> {
    let (count, width) = (grid.div_ceil(window), windows.dim(2)?);
    let x = windows.reshape((count, count, window, window, width))?.transpose(1, 2)?.contiguous()?;
    let x = x.reshape((count * window, count * window, width))?.narrow(0, 0, grid)?.narrow(1, 0, grid)?;
    Ok(x.contiguous()?.reshape((grid * grid, width))?)
}

impl Neck {
    fn load(loader: &Loader, spec: &SamSpec) -> Result<Self> {
        Ok(Self {
            narrow: Linear::new(loader.weight("0.weight", &[spec.neck, spec.width, 1, 1])?, None),
            norm1: loader.layer_norm("1", spec.neck, EPS)?,
            convolution: Convolution::load(loader, "2", spec.neck, spec.neck, 1)?,
            norm2: loader.layer_norm("3", spec.neck, EPS)?,
        })
    }

    /// `[grid², width]` to `[grid², channels]`.
    fn forward(&self, x: &Tensor, grid: usize) -> Result<Tensor> {
        let x = self.norm1.forward(&self.narrow.forward(x)?)?;
        self.norm2.forward(&self.convolution.forward(&x, grid)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seekvl_nn::{Device, to_vec};

    #[test]
    fn windows_are_cut_and_joined() -> Result<()> {
        for (grid, window) in [(4, 2), (5, 2), (3, 4), (16, 14), (1, 1)] {
            let x = Tensor::arange(1f32, (grid * grid * 2 + 1) as f32, &Device::Cpu)?.reshape((grid * grid, 2))?;
            let windows = cut(&x, grid, window)?;
            let count = grid.div_ceil(window);
            assert_eq!(windows.dims(), [count * count, window * window, 2]);
            assert_eq!(to_vec(&join(&windows, grid, window)?)?, to_vec(&x)?);
        }
        let x = Tensor::arange(1f32, 10f32, &Device::Cpu)?.reshape((9, 1))?;
        let expected = [1., 2., 4., 5., 3., 0., 6., 0., 7., 8., 0., 0., 9., 0., 0., 0.];
        assert_eq!(to_vec(&cut(&x, 3, 2)?)?, expected);
        Ok(())
    }
}
