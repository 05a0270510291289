//! From patch features to visual tokens, and their order in the language model's sequence.
#![forbid(unsafe_code)]

mod layout;

pub use layout::{ImageLayout, ViewOrder};

use seekvl_nn::{Activation, Linear, Loader, Result, Tensor};

/// The shape of a projector (`downsample_mlp_gelu` in the original).
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
    /// Patches joined along each side.
    pub downsample: usize,
}

impl ProjectorSpec {
    /// Visual tokens along a side of a view of `patches` patches along a side.
    pub fn tokens_per_side(&self, patches: usize) -> usize {
        patches.div_ceil(self.downsample)
    }

    /// Parameters of the MLP and the two learned rows.
    pub fn parameters(&self) -> usize {
        let layer = |inputs: usize, outputs: usize| (inputs + 1) * outputs;
        layer(self.input_dim * self.downsample * self.downsample, self.hidden_dim)
            + self.depth.saturating_sub(2) * layer(self.hidden_dim, self.hidden_dim)
            + layer(self.hidden_dim, self.output_dim)
            + 2 * self.output_dim
    }
}

/// A loaded projector with the two learned rows that separate visual tokens.
pub struct Projector {
    spec: ProjectorSpec,
    layers: Vec<Linear>,
    newline: Tensor,
    separator: Tensor,
}

impl Projector {
    /// Reads `projector.layers`, `image_newline` and `view_seperator` (so spelled) at the loader's place.
    ///
    /// # Errors
    /// A tensor that is missing or misshapen.
    pub fn load(loader: &Loader, spec: ProjectorSpec) -> Result<Self> {
        let place = loader.at("projector.layers");
        let layer = |i: usize| {
            let inputs = if i == 0 { spec.input_dim * spec.downsample * spec.downsample } else { spec.hidden_dim };
            let outputs = if i + 1 == spec.depth { spec.output_dim } else { spec.hidden_dim };
            // Activations sit between the linear layers and are numbered too.
            place.linear(&(2 * i).to_string(), inputs, outputs, true)
        };
        Ok(Self {
            spec,
            layers: (0..spec.depth).map(layer).collect::<Result<_>>()?,
            newline: loader.tensor("image_newline", &[spec.output_dim])?,
            separator: loader.tensor("view_seperator", &[spec.output_dim])?,
        })
    }

    /// Visual tokens `[views, side², output_dim]` of patch features `[views, patches, input_dim]`, patches a square.
    ///
    /// # Errors
    /// If the input has another shape.
    pub fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let mut x = self.join(features)?;
        for (i, layer) in self.layers.iter().enumerate() {
            if i > 0 {
                x = Activation::Gelu.apply(x)?;
            }
            x = layer.forward(&x)?;
        }
        Ok(x)
    }

    /// `downsample`² neighbouring patches become one, channel-major (index `c · 4 + dy · 2 + dx`, as `torch.unfold` has
    /// it); an uneven grid is padded with zeros at the right and the bottom.
    fn join(&self, features: &Tensor) -> Result<Tensor> {
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
        layout.arrange(views, grid, &self.newline, &self.separator)
    }

    /// The projector's shape.
    pub fn spec(&self) -> &ProjectorSpec {
        &self.spec
    }
}
