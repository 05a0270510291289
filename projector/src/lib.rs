//! From patch features to visual tokens, and their order in the language model's sequence.
#![forbid(unsafe_code)]

mod layout;

pub use layout::{ImageLayout, Separators, ViewOrder};

use seekvl_nn::{Activation, D, Linear, Loader, Result, Tensor, TensorError};

/// The shape of a projector: `downsample_mlp_gelu` in DeepSeek-VL2's original, `mlp_gelu` and
/// `low_high_hybrid_split_mlp_gelu` in DeepSeek-VL's (`projector.py`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProjectorSpec {
    /// Width of the patch features.
    pub input_dim: usize,
    /// Width inside the MLP.
    pub hidden_dim: usize,
    /// Width of the language model.
    pub output_dim: usize,
    /// Number of linear layers, at least two.
    pub depth: usize,
    /// Patches joined along each side; 1 for none.
    pub downsample: usize,
    /// Whether there are the features of two encoders: each has a first layer of its own, with half of the outputs.
    pub is_split: bool,
    /// Whether there are learned rows that separate visual tokens.
    pub has_separators: bool,
}

impl ProjectorSpec {
    /// Visual tokens along a side of a view of `patches` patches along a side.
    pub fn tokens_per_side(&self, patches: usize) -> usize {
        patches.div_ceil(self.downsample)
    }

    /// Numbers that a joined patch has.
    pub fn joined_dim(&self) -> usize {
        self.input_dim * self.downsample * self.downsample
    }

    /// Parameters of the MLP and the learned rows.
    pub fn parameters(&self) -> usize {
        let layer = |inputs: usize, outputs: usize| (inputs + 1) * outputs;
        // Two layers of half the outputs have as many.
        layer(self.joined_dim(), self.hidden_dim)
            + self.depth.saturating_sub(2) * layer(self.hidden_dim, self.hidden_dim)
            + layer(self.hidden_dim, self.output_dim)
            + if self.has_separators { 2 * self.output_dim } else { 0 }
    }
}

/// A loaded projector, with the learned rows that separate visual tokens where there are some.
pub struct Projector {
    spec: ProjectorSpec,
    first: First,
    rest: Vec<Linear>,
    separators: Option<Separators>,
}

/// The first layer.
enum First {
    One(Linear),
    Split { high: Linear, low: Linear },
}

impl Projector {
    /// Reads `projector.layers` and, where the spec has them, `projector.high_up_proj` and `projector.low_up_proj`,
    /// `image_newline` and `view_seperator` (so spelled) at the loader's place.
    ///
    /// # Errors
    /// A tensor that is missing or misshapen.
    pub fn load(loader: &Loader, spec: ProjectorSpec) -> Result<Self> {
        let place = loader.at("projector");
        // Activations sit between the linear layers and are numbered too; in place of the first layer there is none where it
        // is split.
        let layer = |i: usize| {
            let inputs = if i == 0 { spec.joined_dim() } else { spec.hidden_dim };
            let outputs = if i + 1 == spec.depth { spec.output_dim } else { spec.hidden_dim };
            place.linear(&format!("layers.{}", 2 * i - usize::from(spec.is_split)), inputs, outputs, true)
        };
        let half = |name: &str| place.linear(name, spec.joined_dim(), spec.hidden_dim / 2, true);
        let row = |name: &str| loader.tensor(name, &[spec.output_dim]);
        Ok(Self {
            first: if spec.is_split {
                First::Split { high: half("high_up_proj")?, low: half("low_up_proj")? }
            } else {
                First::One(layer(0)?)
            },
            rest: (1..spec.depth).map(layer).collect::<Result<_>>()?,
            separators: if spec.has_separators {
                Some(Separators { newline: row("image_newline")?, view: row("view_seperator")? })
            } else {
                None
            },
            spec,
        })
    }

    /// Visual tokens `[views, side², output_dim]` of patch features `[views, patches, input_dim]`, patches a square; of those
    /// of two encoders, where the spec says so. `high` is the one that sees more pixels.
    ///
    /// # Errors
    /// If the input has another shape, or features are missing.
    pub fn forward(&self, features: &Tensor, high: Option<&Tensor>) -> Result<Tensor> {
        let joined = self.join(features)?;
        let mut x = match (&self.first, high) {
            (First::One(layer), _) => layer.forward(&joined)?,
            (First::Split { high: layer, low }, Some(high)) => {
                Tensor::cat(&[layer.forward(&self.join(high)?)?, low.forward(&joined)?], D::Minus1)?
            }
            (First::Split { .. }, None) => {
                return Err(TensorError::Msg("features of one encoder for two".into()).into());
            }
        };
        for layer in &self.rest {
            x = layer.forward(&Activation::Gelu.apply(x)?)?;
        }
        Ok(x)
    }

    /// `downsample`² neighbouring patches become one, channel-major (index `c · 4 + dy · 2 + dx`, as `torch.unfold` has
    /// it); an uneven grid is padded with zeros at the right and the bottom.
    fn join(&self, features: &Tensor) -> Result<Tensor> {
        if self.spec.downsample == 1 {
            return Ok(features.clone());
        }
        let (views, patches, width) = features.dims3()?;
        let (grid, by) = (patches.isqrt(), self.spec.downsample);
        let side = self.spec.tokens_per_side(grid);
        let pad = side * by - grid;
        let x = features.reshape((views, grid, grid, width))?;
        let x = x.pad_with_zeros(1, 0, pad)?.pad_with_zeros(2, 0, pad)?;
        let x = x.reshape(&[views, side, by, side, by, width][..])?.permute([0, 1, 3, 5, 2, 4])?;
        Ok(x.contiguous()?.reshape((views, side * side, width * by * by))?)
    }

    /// The rows of one image in the sequence, `[layout.slots(cols, rows), output_dim]`.
    ///
    /// # Errors
    /// If `views` are not those of such a grid.
    pub fn arrange(&self, views: &Tensor, grid: (usize, usize), layout: &ImageLayout) -> Result<Tensor> {
        layout.arrange(views, grid, self.separators.as_ref())
    }

    /// The projector's shape.
    pub fn spec(&self) -> &ProjectorSpec {
        &self.spec
    }
}
