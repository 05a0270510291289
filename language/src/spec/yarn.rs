//! YaRN: rotary frequencies for a context longer than the one that a model was first trained for.

/// How far frequencies are stretched (Peng et al. 2023, "YaRN", with DeepSeek-V2's two `mscale`s).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct YarnSpec {
    /// Stretched over original context.
    pub factor: f64,
    /// Positions of the original context.
    pub original_positions: usize,
    /// Turns within the original context from which on a frequency is kept.
    pub beta_fast: f64,
    /// Turns within the original context up to which a frequency is divided by `factor`.
    pub beta_slow: f64,
    /// Strength of the factor on cosines and sines.
    pub mscale: f64,
    /// Strength of the factor on the softmax scale, which cosines and sines are divided by.
    pub mscale_all_dim: f64,
}

impl YarnSpec {
    /// The `dim / 2` frequencies: `theta^(-2i / dim)` for those that turn often within the original context, that over
    /// `factor` for those that turn seldom, and a linear mixture between. In `f32`, as the original computes them.
    pub(crate) fn frequencies(&self, dim: usize, theta: f64) -> Vec<f32> {
        let (low, high) = self.ramp(dim, theta);
        let frequency = |i: usize| {
            let power = (theta as f32).powf((2 * i) as f32 / dim as f32);
            let kept = 1.0 - ((i as f32 - low) / (high - low)).clamp(0.0, 1.0);
            1.0 / (self.factor as f32 * power) * (1.0 - kept) + 1.0 / power * kept
        };
        (0..dim / 2).map(frequency).collect()
    }

    /// The indices of the first frequency that is not kept and of the first that is stretched in full.
    fn ramp(&self, dim: usize, theta: f64) -> (f32, f32) {
        let index = |turns: f64| {
            let wavelength = self.original_positions as f64 / (turns * std::f64::consts::TAU);
            dim as f64 * wavelength.ln() / (2.0 * theta.ln())
        };
        let low = index(self.beta_fast).floor().max(0.0) as f32;
        let high = index(self.beta_slow).ceil().min(dim as f64 - 1.0) as f32;
        (low, if low == high { high + 0.001 } else { high })
    }

    /// Factor on cosines and sines.
    pub(crate) fn rotary_scale(&self) -> f32 {
        (self.attention_factor(self.mscale) / self.attention_factor(self.mscale_all_dim)) as f32
    }

    /// Factor on the softmax scale of latent attention.
    pub(crate) fn softmax_scale(&self) -> f64 {
        self.attention_factor(self.mscale_all_dim).powi(2)
    }

    fn attention_factor(&self, mscale: f64) -> f64 {
        if self.factor <= 1.0 { 1.0 } else { 0.1 * mscale * self.factor.ln() + 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_frequencies_are_kept_and_slow_ones_stretched() {
        let yarn = YarnSpec {
            factor: 40.0,
            original_positions: 4096,
            beta_fast: 32.0,
            beta_slow: 1.0,
            mscale: 0.707,
            mscale_all_dim: 0.707,
        };
        // DeepSeek-V2's frequencies 0..=10 turn over 32 times in 4096 positions, 23.. less than once.
        let frequencies = yarn.frequencies(64, 10_000.0);
        let shares = frequencies.iter().enumerate().map(|(i, f)| f * 1e4f32.powf(i as f32 / 32.0));
        for (i, share) in shares.enumerate() {
            match i {
                ..=10 => assert!((share - 1.0).abs() < 1e-6, "{i}"),
                11..23 => assert!(share < 1.0 && share > 0.025, "{i}"),
                _ => assert!((40.0 * share - 1.0).abs() < 1e-5, "{i}"),
            }
        }
        assert!(frequencies.is_sorted_by(|a, b| a > b));
        assert_eq!(yarn.rotary_scale(), 1.0);
        assert!((yarn.softmax_scale() - (0.0707 * 40f64.ln() + 1.0).powi(2)).abs() < 1e-12);
    }
}
