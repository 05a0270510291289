//! Convolutions and resizing of features on a square grid.

use seekvl_nn::{Linear, Loader, Result, Tensor};

/// A convolution of 3 × 3 places with a border of zeros, without bias.
pub(super) struct Convolution {
    /// Over the channels of nine places, channel by channel.
    weight: Linear,
    stride: usize,
}

impl Convolution {
    /// `NAME.weight` `[outputs, inputs, 3, 3]`.
    pub fn load(loader: &Loader, name: &str, inputs: usize, outputs: usize, stride: usize) -> Result<Self> {
        let weight = loader.weight(&format!("{name}.weight"), &[outputs, inputs, 3, 3])?;
        Ok(Self { weight: Linear::new(weight, None), stride })
    }

    /// `[side², inputs]`, line after line, to `[ceil(side / stride)², outputs]`.
    pub fn forward(&self, x: &Tensor, side: usize) -> Result<Tensor> {
        let (out, inputs) = (side.div_ceil(self.stride), x.dim(1)?);
        // The row after the last is the border.
        let place = |center: usize, step: usize| (center * self.stride + step).checked_sub(1).filter(|at| *at < side);
        let index = |y: Option<usize>, x: Option<usize>| y.zip(x).map_or(side * side, |(y, x)| y * side + x) as u32;
        let mut places = Vec::with_capacity(9 * out * out);
        for (y, x) in (0..out).flat_map(|y| (0..out).map(move |x| (y, x))) {
            let nine = (0..3).flat_map(|dy| (0..3).map(move |dx| (dy, dx)));
            places.extend(nine.map(|(dy, dx)| index(place(y, dy), place(x, dx))));
        }
        let places = Tensor::from_vec(places, 9 * out * out, x.device())?;
        let gathered = x.pad_with_zeros(0, 0, 1)?.index_select(&places, 0)?;
        let by_channel = gathered.reshape((out * out, 9, inputs))?.transpose(1, 2)?.contiguous()?;
        self.weight.forward(&by_channel.reshape((out * out, 9 * inputs))?)
    }
}

/// `[from², channels]` to `[to², channels]`, line after line: bilinear, with corners where pixels' corners are (PyTorch's
/// `interpolate` without `align_corners`).
pub(super) fn enlarge(x: &Tensor, from: usize, to: usize) -> Result<Tensor> {
    let channels = x.dim(1)?;
    let position = |i: usize| ((i as f32 + 0.5) * (from as f32 / to as f32) - 0.5).max(0.0);
    let (mut low, mut high, mut share) = (Vec::new(), Vec::new(), Vec::new());
    for position in (0..to).map(position) {
        let first = (position as usize).min(from - 1);
        low.push(first as u32);
        high.push((first + 1).min(from - 1) as u32);
        share.push(position - first as f32);
    }
    let rest = share.iter().map(|share| 1.0 - share).collect();
    let index = |places| Tensor::from_vec(places, to, x.device());
    let (low, high) = (index(low)?, index(high)?);
    let along = |x: &Tensor, axis: usize| -> Result<Tensor> {
        let shape = if axis == 0 { (to, 1, 1) } else { (1, to, 1) };
        let part = |places: &Tensor, share: &Vec<f32>| -> Result<Tensor> {
            let share = Tensor::from_vec(share.clone(), shape, x.device())?.to_dtype(x.dtype())?;
            Ok(x.index_select(places, axis)?.broadcast_mul(&share)?)
        };
        Ok((part(&low, &rest)? + part(&high, &share)?)?)
    };
    let lines = along(&x.reshape((from, from, channels))?, 0)?;
    Ok(along(&lines, 1)?.reshape((to * to, channels))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use seekvl_nn::{Device, Weight, to_vec};

    #[test]
    fn convolutions_equal_their_definition() -> Result<()> {
        let (side, inputs, outputs) = (5usize, 3, 2);
        let random = |rows, cols| Tensor::randn(0f32, 1f32, (rows, cols), &Device::Cpu);
        let (x, weight) = (random(side * side, inputs)?, random(outputs, inputs * 9)?);
        let (xs, ws) = (x.to_vec2::<f32>()?, weight.to_vec2::<f32>()?);
        for (stride, out) in [(1, 5), (2, 3)] {
            let weight = Linear::new(Weight::from_f32(to_vec(&weight)?, outputs, inputs * 9), None);
            let got = Convolution { weight, stride }.forward(&x, side)?.to_vec2::<f32>()?;
            assert_eq!(got.len(), out * out);
            for (at, got) in got.iter().enumerate() {
                for (o, got) in got.iter().enumerate() {
                    let mut expected = 0.0;
                    for (c, tap) in (0..inputs).flat_map(|c| (0..9).map(move |tap| (c, tap))) {
                        let (y, x) = (at / out * stride + tap / 3, at % out * stride + tap % 3);
                        if (1..=side).contains(&y) && (1..=side).contains(&x) {
                            expected += xs[(y - 1) * side + x - 1][c] * ws[o][c * 9 + tap];
                        }
                    }
                    assert!((got - expected).abs() < 1e-4, "{stride} {at} {o}: {got} {expected}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn enlarging_keeps_a_ramp_but_for_its_ends() -> Result<()> {
        let x = Tensor::arange(0f32, 16f32, &Device::Cpu)?.reshape((16, 1))?;
        let enlarged = to_vec(&enlarge(&x, 4, 6)?)?;
        let along = |i: usize| ((i as f32 + 0.5) * 4.0 / 6.0 - 0.5).clamp(0.0, 3.0);
        for (i, got) in enlarged.iter().enumerate() {
            let expected = 4.0 * along(i / 6) + along(i % 6);
            assert!((got - expected).abs() < 1e-5, "{i}: {got} {expected}");
        }
        assert_eq!(to_vec(&enlarge(&x, 4, 4)?)?, to_vec(&x)?);
        Ok(())
    }
}
