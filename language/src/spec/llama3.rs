//! Llama 3.1's rotary frequencies for a context longer than the one that it was first trained for.

use std::f32::consts::TAU;

/// How far frequencies are stretched, by how often they turn within the original context (`apply_scaling` of Llama 3.1's
/// `model.py`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Llama3Spec {
    /// What slow frequencies are divided by.
    pub factor: f64,
    /// Positions of the original context.
    pub original_positions: usize,
    /// Turns within the original context below which a frequency is stretched in full.
    pub low_freq_factor: f64,
    /// Turns within the original context above which a frequency is kept.
    pub high_freq_factor: f64,
}

impl Llama3Spec {
    /// A frequency, in radians a position, stretched; between the two limits a linear mixture by its number of turns. In
    /// `f32`, as the original computes it.
    pub(crate) fn stretch(&self, frequency: f32) -> f32 {
        let (low, high) = (self.low_freq_factor as f32, self.high_freq_factor as f32);
        let turns = self.original_positions as f32 / (TAU / frequency);
        let stretched = frequency / self.factor as f32;
        if turns > high {
            frequency
        } else if turns < low {
            stretched
        } else {
            let kept = (turns - low) / (high - low);
            (1.0 - kept) * stretched + kept * frequency
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition by wavelengths, in doubles.
    fn by_wavelength(dim: usize, theta: f64, i: usize) -> f64 {
        let (factor, low, high, context) = (8.0, 1.0, 4.0, 8192.0);
        let wavelength = std::f64::consts::TAU * theta.powf(2.0 * i as f64 / dim as f64);
        let frequency = std::f64::consts::TAU / wavelength;
        if wavelength < context / high {
            return frequency;
        }
        if wavelength > context / low {
            return frequency / factor;
        }
        let smooth = (context / wavelength - low) / (high - low);
        frequency * ((1.0 - smooth) / factor + smooth)
    }

    #[test]
    fn frequencies_are_those_of_the_definition() {
        // R1-Distill-Llama-8B.
        let (dim, theta) = (128, 500_000.0);
        let llama = Llama3Spec { factor: 8.0, original_positions: 8192, low_freq_factor: 1.0, high_freq_factor: 4.0 };
        let (mut kept, mut mixed, mut stretched) = (0, 0, 0);
        for i in 0..dim / 2 {
            let frequency = 1.0 / (theta as f32).powf(2.0 * i as f32 / dim as f32);
            let (got, expected) = (f64::from(llama.stretch(frequency)), by_wavelength(dim, theta, i));
            assert!((got / expected - 1.0).abs() < 3e-6, "{i}: {got} {expected}");
            match got / f64::from(frequency) {
                1.0 => kept += 1,
                share if (share - 0.125).abs() < 1e-6 => stretched += 1,
                _ => mixed += 1,
            }
        }
        assert_eq!((kept, mixed, stretched), (29, 6, 29));
    }
}
