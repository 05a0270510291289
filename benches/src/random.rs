//! Random values that depend on nothing but the seed, the tensor's name and the place in it, so that shards and threads do
//! not change them.

use crate::layout::{Init, TensorSpec};
use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::{Dtype, View};
use std::borrow::Cow;

/// The spread of biases and of norm weights.
const SMALL: f32 = 0.02;

/// The standard deviation of the sum of four uniform 16-bit numbers, and its mean.
const SUM_DEVIATION: f32 = 37_837.2;
const SUM_MEAN: f32 = 131_070.0;

/// A tensor whose values are made when they are written, so that no more than one is in memory.
pub(crate) struct RandomTensor<'a> {
    pub spec: &'a TensorSpec,
    pub dtype: Dtype,
    pub seed: u64,
}

impl View for RandomTensor<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.spec.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self.dtype {
            Dtype::BF16 => self.encode(|value| bf16::from_f32(value).to_le_bytes()),
            Dtype::F16 => self.encode(|value| f16::from_f32(value).to_le_bytes()),
            _ => self.encode(f32::to_le_bytes),
        }
        .into()
    }

    fn data_len(&self) -> usize {
        self.spec.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}

impl RandomTensor<'_> {
    fn encode<const N: usize>(&self, encode: impl Fn(f32) -> [u8; N] + Sync) -> Vec<u8> {
        let (mean, deviation) = match self.spec.init {
            Init::Weight { fan_in } => (0.0, (fan_in as f32).sqrt().recip()),
            Init::Bias => (0.0, SMALL),
            Init::Gain => (1.0, SMALL),
        };
        let stream = self.seed ^ fnv1a(&self.spec.name);
        let mut bytes = vec![0; self.data_len()];
        let (values, _) = bytes.as_chunks_mut::<N>();
        values.par_iter_mut().enumerate().for_each(|(index, value)| {
            *value = encode(mean + deviation * normal(stream, index as u64));
        });
        bytes
    }
}

/// The `index`-th nearly normal number of a stream: mean 0, deviation 1, within ±3.5.
fn normal(stream: u64, index: u64) -> f32 {
    let bits = splitmix64(stream.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let sum: u32 = [bits, bits >> 16, bits >> 32, bits >> 48].iter().map(|part| u32::from(*part as u16)).sum();
    (sum as f32 - SUM_MEAN) / SUM_DEVIATION
}

/// The output function of SplitMix64 (Steele, Lea and Flood, 2014).
fn splitmix64(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The 64-bit Fowler–Noll–Vo hash.
fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_normal_and_differ_between_streams() {
        let values: Vec<f32> = (0..100_000).map(|index| normal(7, index)).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
        assert_ne!(normal(7, 0), normal(8, 0));
    }
}
