//! What a product is made of: weights, rows of activations made ready for them, and where the results go.

use crate::math;
use crate::parallel::Shared;
use crate::simd::{Element, Kernel, Simd};
use crate::tile::units;

/// An element-wise function of a product's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// GELU by its tanh approximation; 0 at -∞.
    GeluTanh,
    /// Exact GELU, `x · Φ(x)`; 0 at -∞.
    Gelu,
}

/// What happens to the sums of a product on their way out: `residual + activation(sum + bias)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// `[n]`.
    pub bias: Option<&'a [f32]>,
    /// Applied to the sum with its bias.
    pub activation: Option<Activation>,
    /// `[m, n]`.
    pub residual: Option<&'a [f32]>,
}

impl Activation {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::V) -> S::V {
        match self {
            Self::GeluTanh => math::gelu_tanh(s, x),
            Self::Gelu => math::gelu_erf(s, x),
        }
    }
}

/// `y = residual + activation(y)`, for products that have no place for it.
pub(crate) struct Finish<'a> {
    pub y: &'a mut [f32],
    pub activation: Option<Activation>,
    /// As long as `y`.
    pub residual: Option<&'a [f32]>,
}

impl Kernel for Finish<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (i, y) in self.y.chunks_mut(S::LANES).enumerate() {
            let mut x = s.load_part(y, 0.0);
            if let Some(activation) = self.activation {
                x = activation.apply(s, x);
            }
            if let Some(residual) = self.residual {
                x = s.add(s.load_part(&residual[i * S::LANES..][..y.len()], 0.0), x);
            }
            s.store_part(x, y);
        }
    }
}

/// Row-major weights `[n, k]`.
#[derive(Clone, Copy)]
pub(super) enum Typed<'a, E> {
    /// `x · wᵀ`.
    Plain(&'a [E]),
    /// `silu(x · gateᵀ) · (x · upᵀ)`.
    Gated { gate: &'a [E], up: &'a [E] },
}

impl<'a, E> Typed<'a, E> {
    /// Outputs of a panel of two vectors' width. In a gated panel one vector is of gates and one of their partners.
    pub const fn panel<S: Simd>(&self) -> usize {
        match self {
            Self::Plain(_) => 2 * S::LANES,
            Self::Gated { .. } => S::LANES,
        }
    }

    /// The rows of vector `half` (0 or 1) of the panel of outputs from `first` on, and how many there are.
    pub fn half<S: Simd>(&self, half: usize, first: usize, n: usize, k: usize) -> (&'a [E], usize) {
        let (rows, first) = match self {
            Self::Plain(w) => (*w, n.min(first + half * S::LANES)),
            Self::Gated { gate, up } => ([*gate, *up][half], first),
        };
        (&rows[first * k..], S::LANES.min(n - first))
    }
}

/// The results of a product.
pub(super) struct Output<'a> {
    /// `[m, n]`.
    pub y: &'a Shared<'a>,
    pub n: usize,
    pub then: Epilogue<'a>,
}

impl Output<'_> {
    /// Finishes the sums of row `row` from output `first` on.
    ///
    /// # Safety
    /// No other task is at these outputs.
    #[inline(always)]
    pub unsafe fn put<S: Simd>(&self, s: S, row: usize, first: usize, mut sums: S::V) {
        let count = S::LANES.min(self.n - first);
        let at = row * self.n + first..row * self.n + first + count;
        if let Some(bias) = self.then.bias {
            sums = s.add(sums, s.load_part(&bias[first..first + count], 0.0));
        }
        if let Some(activation) = self.then.activation {
            sums = activation.apply(s, sums);
        }
        if let Some(residual) = self.then.residual {
            sums = s.add(s.load_part(&residual[at.clone()], 0.0), sums);
        }
        // SAFETY: as the caller promises.
        s.store_part(sums, unsafe { self.y.part(at) });
    }
}

/// Units of a row of `k` elements, filled up to whole vectors.
pub(super) const fn padded<S: Simd, E: Element>(k: usize) -> usize {
    units::<E>(k).next_multiple_of(S::LANES)
}
