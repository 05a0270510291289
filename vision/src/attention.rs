//! Self-attention of the towers.

use seekvl_nn::{Arithmetic, Linear, Mask, RelativePositions, Result, Tensor, attention, round_rows};

/// Queries, keys and values by one matrix, or by one each where a checkpoint has them apart.
pub(crate) struct Qkv(Vec<Linear>);

impl Qkv {
    pub fn new(parts: Vec<Linear>) -> Self {
        Self(parts)
    }

    /// `[.., width]` to `[.., 3 · width]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if let [one] = &self.0[..] {
            return one.forward(x);
        }
        let parts = self.0.iter().map(|part| part.forward(x)).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&parts, seekvl_nn::D::Minus1)?)
    }

    /// What the heads make of sequences `[sequences, places, width]`, each by itself, side by side: of the same shape. Places are
    /// on a grid where there are relative positions.
    pub fn attend(&self, x: &Tensor, heads: usize, positions: Option<&RelativePositions>) -> Result<Tensor> {
        let (sequences, places, width) = x.dims3()?;
        let scale = ((width / heads) as f32).powf(-0.5);
        let qkv = self.forward(x)?.reshape((sequences, places, 3 * heads, width / heads))?;
        let is_rounded = self.0.iter().any(|part| part.weight().arithmetic() != Arithmetic::F32);
        let one = |sequence: usize| {
            let qkv = qkv.narrow(0, sequence, 1)?.squeeze(0)?;
            let mut keys_values = qkv.narrow(1, heads, 2 * heads)?;
            if is_rounded {
                keys_values = round_rows(&keys_values)?;
            }
            let (q, k, v) =
                (qkv.narrow(1, 0, heads)?, keys_values.narrow(1, 0, heads)?, keys_values.narrow(1, heads, heads)?);
            match positions {
                Some(positions) => positions.attention(&q, &k, &v, scale),
                None => attention(&q, &[k], &[v], scale, Mask::None),
            }
        };
        let attended = match sequences {
            1 => one(0)?,
            _ => Tensor::stack(&(0..sequences).map(one).collect::<Result<Vec<_>>>()?, 0)?,
        };
        Ok(attended.reshape((sequences, places, width))?)
    }
}
