//! Weights of either type, and what products with them are in f64.

#![allow(dead_code, reason = "not every test needs all")]

use super::random;
use half::bf16;
use seekvl_kernels::{Elements, Matrix};

/// A weight in either type.
pub enum Weight {
    F32(Vec<f32>),
    Bf16(Vec<bf16>),
}

impl Weight {
    pub fn new(seed: u64, len: usize, half: bool) -> Self {
        let w = random(seed, len);
        if half { Self::Bf16(w.into_iter().map(bf16::from_f32).collect()) } else { Self::F32(w) }
    }

    pub fn matrix(&self, n: usize, k: usize) -> Matrix<'_> {
        let elements = match self {
            Self::F32(w) => Elements::F32(w),
            Self::Bf16(w) => Elements::Bf16(w),
        };
        Matrix::new(elements, n, k)
    }

    fn get(&self, i: usize) -> f64 {
        match self {
            Self::F32(w) => w[i].into(),
            Self::Bf16(w) => w[i].into(),
        }
    }

    /// What the product sees of an activation.
    fn round(&self, x: f32) -> f64 {
        match self {
            Self::F32(_) => x.into(),
            Self::Bf16(_) => bf16::from_f32(x).into(),
        }
    }

    /// A row of activations times output `output`'s weights, and the bound of a sum of k products in f32, each rounded:
    /// `(k + 2) · 2^-24 · Σ |x w|`, twice as much where product and sum are rounded apart. Instructions for bf16 take
    /// subnormal numbers for 0.
    pub fn product(&self, x: &[f32], output: usize, bias: f32) -> (f64, f64) {
        let (mut sum, mut magnitude) = (f64::from(bias), f64::from(bias).abs());
        let (mut largest, k) = (1.0, x.len());
        for (j, x) in x.iter().enumerate() {
            let weight = self.get(output * k + j);
            sum += self.round(*x) * weight;
            magnitude += (self.round(*x) * weight).abs();
            largest = weight.abs().max(largest);
        }
        (sum, (2.0 * 2f64.powi(-24) * magnitude + 2e-38 * largest) * (k + 2) as f64)
    }
}
