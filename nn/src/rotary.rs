//! Rotary position embeddings (Su et al. 2021).

use crate::{Result, host};
use candle_core::{D, Device, Tensor};

/// Which two numbers turn together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// `i` and `i + dim / 2`, as LLaMA's weights have it.
    Halves,
    /// `2i` and `2i + 1`, as the weights of multi-head latent attention have it. Rotated pairs are written as halves
    /// (first all even, then all odd members); queries and keys agree on it, so scores are the same.
    Interleaved,
}

/// Frequencies and their scale.
#[derive(Clone, Debug)]
pub struct Rotary {
    inverse_frequencies: Vec<f32>,
    scale: f32,
    pairs: Pairs,
}

impl Rotary {
    /// `dim / 2` frequencies `theta^(-2i / dim)`, computed in `f32` as the original does.
    pub fn new(dim: usize, theta: f32, pairs: Pairs) -> Self {
        let inverse_frequencies = (0..dim).step_by(2).map(|i| 1.0 / theta.powf(i as f32 / dim as f32)).collect();
        Self { inverse_frequencies, scale: 1.0, pairs }
    }

    /// Other frequencies (YaRN and its kin), and a factor on cosines and sines.
    pub fn with_frequencies(inverse_frequencies: Vec<f32>, scale: f32, pairs: Pairs) -> Self {
        Self { inverse_frequencies, scale, pairs }
    }

    /// Radians that each pair turns by from one position to the next, `dim / 2` of them.
    pub fn frequencies(&self) -> &[f32] {
        &self.inverse_frequencies
    }

    /// Numbers that turn: twice the number of frequencies.
    pub fn dim(&self) -> usize {
        2 * self.inverse_frequencies.len()
    }

    /// Cosines and sines of `positions`, to be shared by all layers of a pass.
    pub fn angles(&self, positions: &[usize]) -> Angles {
        let half = self.inverse_frequencies.len();
        let mut angles = Angles {
            cos: Vec::with_capacity(positions.len() * half),
            sin: Vec::with_capacity(positions.len() * half),
            half,
            pairs: self.pairs,
        };
        for &position in positions {
            for &frequency in &self.inverse_frequencies {
                let (sin, cos) = (position as f32 * frequency).sin_cos();
                angles.cos.push(cos * self.scale);
                angles.sin.push(sin * self.scale);
            }
        }
        angles
    }
}

/// Cosines and sines for the rows of one pass, `[rows, dim / 2]` each.
#[derive(Clone, Debug)]
pub struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
    half: usize,
    pairs: Pairs,
}

impl Angles {
    /// Turns the last `dim` numbers of every head of `x`: `[rows, heads, width]`; those before them stay.
    pub fn rotate(&self, x: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() {
            return self.rotate_device(x);
        }
        let (_, heads, width) = x.dims3()?;
        let (half, keep) = (self.half, width - 2 * self.half);
        host::map_rows(x, width, |x, y| {
            y.copy_from_slice(x);
            for (row, y) in y.chunks_exact_mut(heads * width).enumerate() {
                let (cos, sin) = (&self.cos[row * half..][..half], &self.sin[row * half..][..half]);
                for (head, y) in y.chunks_exact_mut(width).enumerate() {
                    let x = &x[(row * heads + head) * width + keep..][..2 * half];
                    let (low, high) = y[keep..].split_at_mut(half);
                    for i in 0..half {
                        let (a, b) = match self.pairs {
                            Pairs::Halves => (x[i], x[i + half]),
                            Pairs::Interleaved => (x[2 * i], x[2 * i + 1]),
                        };
                        low[i] = a * cos[i] - b * sin[i];
                        high[i] = b * cos[i] + a * sin[i];
                    }
                }
            }
        })
    }

    fn rotate_device(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, heads, width) = x.dims3()?;
        let keep = width - 2 * self.half;
        let table = |values: &[f32]| -> Result<Tensor> {
            let table = Tensor::from_slice(values, (rows, 1, self.half), &Device::Cpu)?;
            Ok(table.to_device(x.device())?.to_dtype(x.dtype())?)
        };
        let (cos, sin) = (table(&self.cos)?, table(&self.sin)?);
        let turning = x.narrow(2, keep, 2 * self.half)?.contiguous()?;
        let (a, b) = match self.pairs {
            Pairs::Halves => (turning.narrow(2, 0, self.half)?, turning.narrow(2, self.half, self.half)?),
            Pairs::Interleaved => {
                let pairs = turning.reshape((rows, heads, self.half, 2))?;
                (pairs.narrow(3, 0, 1)?.squeeze(3)?, pairs.narrow(3, 1, 1)?.squeeze(3)?)
            }
        };
        let low = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let high = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
        Ok(Tensor::cat(&[&x.narrow(2, 0, keep)?, &low, &high], D::Minus1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_paths_agree_and_position_zero_keeps_halves() -> Result<()> {
        let x = Tensor::randn(0f32, 1f32, (3, 2, 10), &Device::Cpu)?;
        for pairs in [Pairs::Halves, Pairs::Interleaved] {
            let angles = Rotary::new(6, 10_000.0, pairs).angles(&[0, 1, 500]);
            let (a, b) = (angles.rotate(&x)?, angles.rotate_device(&x)?);
            assert!((&a - &b)?.abs()?.max_all()?.to_scalar::<f32>()? < 1e-6);
            if pairs == Pairs::Halves {
                assert_eq!(host::to_vec(&a.narrow(0, 0, 1)?)?, host::to_vec(&x.narrow(0, 0, 1)?)?);
            }
        }
        Ok(())
    }
}
