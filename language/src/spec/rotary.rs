//! The rotary embedding: its frequencies, and how they are stretched to a longer context.

use super::{Llama3Spec, YarnSpec, required};
use crate::{Error, LanguageConfig, Result, RopeScaling};
use seekvl_nn::{Pairs, Rotary};
use std::sync::Arc;

/// The rotary embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct RotarySpec {
    /// Numbers of each head that turn.
    pub dim: usize,
    /// Base of the frequencies.
    pub theta: f64,
    /// Which numbers turn together.
    pub pairs: Pairs,
    /// How the frequencies are stretched to a longer context, if they are.
    pub scaling: Option<RotaryScaling>,
}

/// How rotary frequencies are stretched to a longer context.
#[derive(Clone, Debug, PartialEq)]
pub enum RotaryScaling {
    /// All are divided by this.
    Linear(f64),
    /// As DeepSeek-V2 has it.
    Yarn(YarnSpec),
    /// As Llama 3.1 has it.
    Llama3(Llama3Spec),
    /// Each is divided by a number of its own.
    Factors(Arc<[f32]>),
}

impl RotarySpec {
    pub(crate) fn build(&self) -> Rotary {
        let plain = || Rotary::new(self.dim, self.theta as f32, self.pairs);
        let with = |frequencies, scale| Rotary::with_frequencies(frequencies, scale, self.pairs);
        match &self.scaling {
            None => plain(),
            Some(RotaryScaling::Linear(factor)) => {
                let factor = *factor as f32;
                let stretched = plain().frequencies().iter().map(|frequency| frequency / factor).collect();
                with(stretched, 1.0)
            }
            Some(RotaryScaling::Yarn(yarn)) => with(yarn.frequencies(self.dim, self.theta), yarn.rotary_scale()),
            Some(RotaryScaling::Llama3(llama)) => {
                with(plain().frequencies().iter().map(|&frequency| llama.stretch(frequency)).collect(), 1.0)
            }
            Some(RotaryScaling::Factors(factors)) => {
                with(plain().frequencies().iter().zip(&**factors).map(|(frequency, by)| frequency / by).collect(), 1.0)
            }
        }
    }

    /// What each frequency is divided by, where that is all that is done to them and it is not the same for all.
    pub fn factors(&self) -> Option<Vec<f32>> {
        if !matches!(self.scaling, Some(RotaryScaling::Llama3(_) | RotaryScaling::Factors(_))) {
            return None;
        }
        let plain = Rotary::new(self.dim, self.theta as f32, self.pairs);
        let stretched = self.build();
        Some(
            plain
                .frequencies()
                .iter()
                .zip(stretched.frequencies())
                .map(|(plain, stretched)| plain / stretched)
                .collect(),
        )
    }

    /// Factor on the softmax scale of latent attention.
    pub(crate) fn softmax_scale(&self) -> f64 {
        match &self.scaling {
            Some(RotaryScaling::Yarn(yarn)) => yarn.softmax_scale(),
            _ => 1.0,
        }
    }

    /// That of grouped attention with heads of width `dim`.
    pub(super) fn grouped(raw: &LanguageConfig, dim: usize) -> Result<Self> {
        let scaling = scaling(raw).map(|scaling| match scaling.method() {
            Some("linear") => Ok(RotaryScaling::Linear(scaling.factor.unwrap_or(1.0))),
            Some("llama3") => llama3(raw, scaling).map(RotaryScaling::Llama3),
            Some("factors") => Ok(RotaryScaling::Factors(scaling.factors.clone().unwrap_or_default().into())),
            other => Err(unknown(other, "with grouped attention, only linear and llama3 are supported")),
        });
        let pairs = if raw.rope_interleave { Pairs::Interleaved } else { Pairs::Halves };
        Ok(Self { dim, theta: theta(raw), pairs, scaling: scaling.transpose()? })
    }

    /// That of latent attention.
    pub(super) fn latent(raw: &LanguageConfig) -> Result<Self> {
        let scaling = scaling(raw).map(|scaling| match scaling.method() {
            Some("yarn") => Ok(RotaryScaling::Yarn(yarn(scaling))),
            other => Err(unknown(other, "with latent attention, only yarn is supported")),
        });
        let pairs = Pairs::Interleaved;
        Ok(Self { dim: raw.qk_rope_head_dim, theta: theta(raw), pairs, scaling: scaling.transpose()? })
    }
}

fn scaling(raw: &LanguageConfig) -> Option<&RopeScaling> {
    let scaling = raw.rope_parameters.as_ref().or(raw.rope_scaling.as_ref());
    // `rope_parameters` always has a method, `rope_scaling` is left out where there is none.
    scaling.filter(|scaling| scaling.method() != Some("default"))
}

fn theta(raw: &LanguageConfig) -> f64 {
    raw.rope_parameters.as_ref().and_then(|parameters| parameters.rope_theta).unwrap_or(raw.rope_theta)
}

fn yarn(raw: &RopeScaling) -> YarnSpec {
    YarnSpec {
        factor: raw.factor.unwrap_or(1.0),
        original_positions: raw.original_max_position_embeddings.unwrap_or(4096),
        beta_fast: raw.beta_fast.unwrap_or(32.0),
        beta_slow: raw.beta_slow.unwrap_or(1.0),
        mscale: raw.mscale.unwrap_or(1.0),
        mscale_all_dim: raw.mscale_all_dim.unwrap_or(0.0),
    }
}

fn llama3(config: &LanguageConfig, raw: &RopeScaling) -> Result<Llama3Spec> {
    let by = "rope_scaling of type llama3";
    Ok(Llama3Spec {
        factor: required("rope_scaling.factor", raw.factor, by)?,
        original_positions: raw.original_max_position_embeddings.unwrap_or(config.max_position_embeddings),
        low_freq_factor: required("rope_scaling.low_freq_factor", raw.low_freq_factor, by)?,
        high_freq_factor: required("rope_scaling.high_freq_factor", raw.high_freq_factor, by)?,
    })
}

fn unknown(method: Option<&str>, reason: &str) -> Error {
    Error::config("rope_scaling.type", method.unwrap_or("missing"), reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use seekvl_nn::{Device, Tensor, to_vec};

    /// DeepSeek-V2's.
    const YARN: YarnSpec = YarnSpec {
        factor: 40.0,
        original_positions: 4096,
        beta_fast: 32.0,
        beta_slow: 1.0,
        mscale: 0.707,
        mscale_all_dim: 0.707,
    };

    /// The frequency of pair `i` of `dim / 2`, all in `f64`, by the paper's equations.
    fn frequency(i: usize, dim: f64, theta: f64) -> f64 {
        let plain = theta.powf(-2.0 * i as f64 / dim);
        // The pair that turns so many times within the original context.
        let pair = |turns: f64| {
            dim * (YARN.original_positions as f64 / (turns * std::f64::consts::TAU)).ln() / (2.0 * theta.ln())
        };
        let (low, high) = (pair(YARN.beta_fast).floor(), pair(YARN.beta_slow).ceil());
        let stretched = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
        plain / YARN.factor * stretched + plain * (1.0 - stretched)
    }

    /// Positions far beyond the context are as exact as the first. The original multiplies position and frequency in `f32`,
    /// and so is the angle here; against the formula in `f64` it may be off by the roundings of both, which grow with it.
    #[test]
    fn yarn_is_exact_at_every_position() {
        let (dim, theta) = (64, 10_000.0);
        let scaling = Some(RotaryScaling::Yarn(YARN));
        let rotary = RotarySpec { dim, theta, pairs: Pairs::Interleaved, scaling }.build();
        let positions: Vec<usize> =
            (0..4200).chain((4200..163_840).step_by(97)).chain([65_535, 131_071, 131_072, 163_839, 1 << 24]).collect();
        let ones: Vec<f32> = (0..positions.len() * dim).map(|i| if i % 2 == 0 { 1.0 } else { 0.0 }).collect();
        let ones = Tensor::from_vec(ones, (positions.len(), 1, dim), &Device::Cpu).unwrap();
        let turned = to_vec(&rotary.angles(&positions).rotate(&ones).unwrap()).unwrap();
        for (&position, turned) in positions.iter().zip(turned.chunks(dim)) {
            for i in 0..dim / 2 {
                let (cos, sin) = (f64::from(turned[i]), f64::from(turned[dim / 2 + i]));
                let angle = f64::from(position as f32 * rotary.frequencies()[i]);
                let off = (cos - angle.cos()).abs().max((sin - angle.sin()).abs());
                assert!(off < 1e-7, "position {position}, pair {i}: {off:e}");
                let exact = position as f64 * frequency(i, dim as f64, theta);
                let off = (cos - exact.cos()).abs().max((sin - exact.sin()).abs());
                let bound = 1e-7 + exact * 4.0 * f64::from(f32::EPSILON);
                assert!(off < bound, "position {position}, pair {i}: {off:e} from the formula, {bound:e} allowed");
            }
        }
    }
}
