//! What attention is made of: packing, and the product of a block with a panel.
//!
//! All products are sums over one index, taken in its order in one accumulator for each result. So a result does not
//! depend, bit for bit, on what other results are computed along with it.

use crate::simd::{Element, STRANDS, Simd};
use std::array::from_fn;

/// Rows of the left factor that are packed together: a multiple of every [`Simd::ROWS`] and [`Simd::LANES`].
pub(crate) const BLOCK: usize = 48;

/// Columns of a panel, the right factor: two vectors.
pub(crate) const fn panel<S: Simd>() -> usize {
    2 * S::LANES
}

/// Units in `len` elements.
pub(crate) const fn units<E: Element>(len: usize) -> usize {
    len.div_ceil(E::PER_UNIT)
}

/// Packs `rows` rows of `len` elements that begin `stride` elements from each other in `src`, transposed:
/// `dst[u * width + r]` is unit `u` of row `r`, and 0 for `r` in `rows..width`.
#[inline(always)]
pub(crate) fn pack<S: Simd, E: Element>(
    s: S,
    src: &[E],
    stride: usize,
    rows: usize,
    len: usize,
    dst: &mut [f32],
    width: usize,
) {
    let whole = rows / S::LANES * S::LANES;
    let step = S::LANES * E::PER_UNIT;
    for r in (0..whole).step_by(S::LANES) {
        let src = &src[r * stride..];
        for k in (0..=len.saturating_sub(step)).step_by(step).take(len / step) {
            s.transpose(&src[k..], stride, &mut dst[k / E::PER_UNIT * width + r..], width, STRANDS * width);
        }
        scatter(src, stride, S::LANES, len / step * step, len, &mut dst[r..], width);
    }
    if whole < rows {
        scatter(&src[whole * stride..], stride, rows - whole, 0, len, &mut dst[whole..], width);
    }
    if rows < width {
        for line in dst.chunks_exact_mut(width).take(units::<E>(len)) {
            line[rows..].fill(0.0);
        }
    }
}

/// [`pack`] from element `from` on, unit by unit.
fn scatter<E: Element>(src: &[E], stride: usize, rows: usize, from: usize, len: usize, dst: &mut [f32], width: usize) {
    for r in 0..rows {
        let row = &src[r * stride..][..len];
        for (u, unit) in row[from..].chunks(E::PER_UNIT).enumerate() {
            dst[(from / E::PER_UNIT + u) * width + r] = E::unit(unit);
        }
    }
}

/// `c[r, j] += sum_u x[u, r] · w[u, j]` for `rows` rows and the first `columns` of one panel, units of elements of type `E`: `x`
/// is packed `x_width` wide, `w` is a packed panel, row `r` of `c` begins at `r * c_stride` and has room for all of the panel.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "two matrices, their widths and a result")]
pub(crate) fn multiply<S: Simd, E: Element>(
    s: S,
    x: &[f32],
    x_width: usize,
    rows: usize,
    w: &[f32],
    columns: usize,
    c: &mut [f32],
    c_stride: usize,
) {
    if w.is_empty() {
        return;
    }
    match columns <= S::LANES {
        true => vectors::<S, E, 1>(s, x, x_width, rows, w, c, c_stride),
        false => vectors::<S, E, 2>(s, x, x_width, rows, w, c, c_stride),
    }
}

/// [`multiply`] for `V` vectors of columns.
#[inline(always)]
fn vectors<S: Simd, E: Element, const V: usize>(
    s: S,
    x: &[f32],
    x_width: usize,
    rows: usize,
    w: &[f32],
    c: &mut [f32],
    c_stride: usize,
) {
    let mut r = 0;
    while r < rows {
        let (x, c) = (&x[r..], &mut c[r * c_stride..]);
        r += match rows - r {
            12.. if S::ROWS >= 12 => tile::<S, E, 12, V>(s, x, x_width, w, c, c_stride),
            6.. if S::ROWS >= 6 => tile::<S, E, 6, V>(s, x, x_width, w, c, c_stride),
            4.. => tile::<S, E, 4, V>(s, x, x_width, w, c, c_stride),
            2.. => tile::<S, E, 2, V>(s, x, x_width, w, c, c_stride),
            _ => tile::<S, E, 1, V>(s, x, x_width, w, c, c_stride),
        }
    }
}

/// [`vectors`] for `R` rows, all of whose results are in registers. Returns `R`.
#[inline(always)]
fn tile<S: Simd, E: Element, const R: usize, const V: usize>(
    s: S,
    x: &[f32],
    x_width: usize,
    w: &[f32],
    c: &mut [f32],
    c_stride: usize,
) -> usize {
    let mut sums = [[s.splat(0.0); V]; R];
    for (r, sum) in sums.iter_mut().enumerate() {
        let c = &c[r * c_stride..][..panel::<S>()];
        *sum = from_fn(|v| s.load(&c[v * S::LANES..]));
    }
    for (u, w) in w.chunks_exact(panel::<S>()).enumerate() {
        let x = &x[u * x_width..][..R];
        let w: [S::V; V] = from_fn(|v| s.load(&w[v * S::LANES..]));
        for (sum, x) in sums.iter_mut().zip(x) {
            let x = s.splat(*x);
            for (sum, w) in sum.iter_mut().zip(w) {
                *sum = s.dot_units::<E>(x, w, *sum);
            }
        }
    }
    for (r, sum) in sums.iter().enumerate() {
        let c = &mut c[r * c_stride..][..panel::<S>()];
        sum.iter().enumerate().for_each(|(v, sum)| s.store(*sum, &mut c[v * S::LANES..]));
    }
    R
}
