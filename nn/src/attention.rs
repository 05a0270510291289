//! Scaled dot-product attention.

use crate::{Error, Result, host};
use candle_core::{D, DType, Device, Tensor, WithDType};
use half::bf16;
use seekvl_kernels::{Attention, Cpu, GridBias, Rows, q8};
use std::slice::from_ref;

pub use seekvl_kernels::{KEYS, Mask};

/// Softmax attention: `q` `[queries, heads, key_dim]`, `k` `[keys, kv_heads, key_dim]`, `v` `[keys, kv_heads,
/// value_dim]`; result `[queries, heads, value_dim]`. `kv_heads` divides `heads`; query head `h` reads key head
/// `h / (heads / kv_heads)`. Keys and values are in one tensor each, or in several of [`KEYS`] rows of which the last may
/// have fewer.
///
/// On a CPU the rows and the heads of each tensor may lie at any distance (parts of a wider tensor need no copy), and keys and
/// values are `f32`, or as [`CacheType::store`](crate::CacheType::store) makes them: of `bf16` and `u8`, both products are of
/// numbers in `bf16`.
pub fn attention(q: &Tensor, k: &[Tensor], v: &[Tensor], scale: f32, mask: Mask) -> Result<Tensor> {
    if !q.device().is_cpu() {
        return attention_device(q, &Tensor::cat(k, 0)?, &Tensor::cat(v, 0)?, scale, mask, None);
    }
    attention_cpu(q, k, v, scale, mask, None)
}

/// [`attention`] over keys on a grid, line after line, all of which every query sees. To the scaled score of query `q` of head
/// `h` with the key of line `i` and column `j`, `lines[q, h, i] + columns[q, h, j]` is added; both are `[queries, heads, ..]`.
pub fn attention_on_grid(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f32,
    lines: &Tensor,
    columns: &Tensor,
) -> Result<Tensor> {
    let ((queries, heads, down), across) = (lines.dims3()?, columns.dim(2)?);
    let fits = q.dims()[..2] == [queries, heads] && columns.dims() == [queries, heads, across];
    if !fits || k.dim(0)? != down * across || across == 0 {
        let [q, k, v] = [q, k, v].map(|x| x.dims().to_vec());
        return Err(Error::Attention { q, k, v });
    }
    if !q.device().is_cpu() {
        return attention_device(q, k, v, scale, Mask::None, Some((lines, columns)));
    }
    host::with_slice(lines, |lines| {
        host::with_slice(columns, |columns| {
            attention_cpu(q, from_ref(k), from_ref(v), scale, Mask::None, Some(GridBias { lines, columns, across }))
        })
    })??
}

fn attention_cpu(
    q: &Tensor,
    k: &[Tensor],
    v: &[Tensor],
    scale: f32,
    mask: Mask,
    bias: Option<GridBias<'_>>,
) -> Result<Tensor> {
    let (queries, heads, key_dim) = q.dims3()?;
    let ((keys, kv_heads, value_dim), k_dims) = (dims_of(v)?, dims_of(k)?);
    let same_type = k.first().map(Tensor::dtype) == v.first().map(Tensor::dtype);
    if k_dims != (keys, kv_heads, key_dim) || !same_type || kv_heads == 0 || heads % kv_heads != 0 {
        let (k, v) = (vec![k_dims.0, k_dims.1, k_dims.2], vec![keys, kv_heads, value_dim]);
        return Err(Error::Attention { q: q.dims().to_vec(), k, v });
    }
    let a = Attention { queries, keys, heads, kv_heads, key_dim, value_dim, scale, mask, bias };
    let mut out = seekvl_kernels::zeros(queries * heads * value_dim);
    let cpu = Cpu::detect();
    with_rows(q, |q| match k.first().map(Tensor::dtype) {
        Some(DType::BF16) => {
            with_parts(k, |k| with_parts(v, |v| seekvl_kernels::attention_bf16(cpu, &a, q, k, v, &mut out)))
        }
        Some(DType::U8) => {
            with_parts(k, |k| with_parts(v, |v| seekvl_kernels::attention_q8(cpu, &a, q, k, v, &mut out)))
        }
        _ => with_parts(k, |k| with_parts(v, |v| seekvl_kernels::attention(cpu, &a, q, k, v, &mut out))),
    })???;
    Ok(Tensor::from_vec(out, (queries, heads, value_dim), &Device::Cpu)?)
}

/// Keys or values `[rows, heads, dim]` as [`attention`] takes them at its fastest: rounded to `bf16` on a CPU; on another
/// device as they are.
pub fn round_rows(x: &Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return Ok(x.clone());
    }
    let (count, heads, dim) = x.dims3()?;
    let mut rounded = vec![bf16::ZERO; count * heads * dim];
    let dense = dim == 1 || x.stride()[2] == 1;
    let x = if dense && (heads == 1 || x.stride()[1] == dim) { x.clone() } else { x.contiguous()? };
    with_rows(&x, |x| seekvl_kernels::round_rows(Cpu::detect(), x.data, x.stride, heads * dim, &mut rounded))?;
    Ok(Tensor::from_vec(rounded, (count, heads, dim), &Device::Cpu)?)
}

/// The rows, heads and numbers of a head of tensors that are laid end to end; no heads, if they do not agree.
fn dims_of(parts: &[Tensor]) -> Result<(usize, usize, usize)> {
    let dims = parts.iter().map(Tensor::dims3).collect::<Result<Vec<_>, _>>()?;
    let rows = dims.iter().map(|dims| dims.0).sum();
    let (_, heads, dim) = dims.first().copied().unwrap_or_default();
    let dtype = parts.first().map(Tensor::dtype);
    let same = dims.iter().all(|dims| (dims.1, dims.2) == (heads, dim));
    let same = same && parts.iter().all(|part| Some(part.dtype()) == dtype);
    let width = if dtype == Some(DType::U8) { q8::width(dim) } else { dim };
    Ok((rows, if same { heads } else { 0 }, width))
}

/// Runs `f` over the rows of a CPU tensor `[rows, heads, dim]`, copied only where a head's numbers do not follow each other.
fn with_rows<T: WithDType, R>(x: &Tensor, f: impl FnOnce(Rows<'_, T>) -> R) -> Result<R> {
    with_parts(from_ref(x), |parts| f(Rows { ..parts[0] }))
}

/// [`with_rows`] of several tensors.
fn with_parts<T: WithDType, R>(parts: &[Tensor], f: impl FnOnce(&[Rows<'_, T>]) -> R) -> Result<R> {
    let dense = |x: &Tensor| -> Result<Tensor> {
        let is_dense = x.dims3()?.2 == 1 || x.stride()[2] == 1;
        Ok(if is_dense { x.clone() } else { x.contiguous()? })
    };
    let parts: Vec<Tensor> = parts.iter().map(dense).collect::<Result<_>>()?;
    let stored: Vec<_> = parts.iter().map(Tensor::storage_and_layout).collect();
    let rows = stored.iter().map(|(storage, layout)| {
        let data = &host::cpu(storage)?.as_slice::<T>()?[layout.start_offset()..];
        Ok(Rows { data, stride: layout.stride()[0], head_stride: layout.stride()[1] })
    });
    Ok(f(&rows.collect::<Result<Vec<_>>>()?))
}

fn attention_device(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f32,
    mask: Mask,
    bias: Option<(&Tensor, &Tensor)>,
) -> Result<Tensor> {
    let (queries, heads, _) = q.dims3()?;
    let (keys, kv_heads, _) = k.dims3()?;
    let group = heads / kv_heads;
    let by_head = |x: &Tensor| -> Result<Tensor> {
        let x = x.transpose(0, 1)?.contiguous()?;
        let (_, rows, dim) = x.dims3()?;
        Ok(x.unsqueeze(1)?.broadcast_as((kv_heads, group, rows, dim))?.reshape((heads, rows, dim))?)
    };
    let q = q.transpose(0, 1)?.contiguous()?;
    let mut scores =
        (q.matmul(&by_head(k)?.transpose(1, 2)?.contiguous()?)? * f64::from(scale))?.to_dtype(DType::F32)?;
    let window = match mask {
        Mask::None => None,
        Mask::Causal { first } => Some((first, usize::MAX)),
        Mask::Window { first, size } => Some((first, size)),
    };
    if let Some((first, size)) = window {
        let is_hidden = move |i: usize, j: usize| j > first + i || first + i - j >= size;
        let hidden: Vec<f32> = (0..queries)
            .flat_map(|i| (0..keys).map(move |j| if is_hidden(i, j) { f32::NEG_INFINITY } else { 0.0 }))
            .collect();
        scores = scores.broadcast_add(&Tensor::from_vec(hidden, (1, queries, keys), q.device())?)?;
    }
    if let Some((lines, columns)) = bias {
        let by_head = |x: &Tensor, at: usize| x.to_dtype(DType::F32)?.transpose(0, 1)?.contiguous()?.unsqueeze(at);
        let bias = by_head(lines, 3)?.broadcast_add(&by_head(columns, 2)?)?;
        scores = (scores + bias.reshape((heads, queries, keys))?)?;
    }
    let weights = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?.to_dtype(v.dtype())?;
    Ok(weights.matmul(&by_head(v)?)?.transpose(0, 1)?.contiguous()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CacheType;

    #[test]
    fn both_paths_agree() -> Result<()> {
        let cpu = &Device::Cpu;
        let fused = Tensor::randn(0f32, 1f32, (9, 3 * 4 * 6), cpu)?;
        let part = |i: usize| fused.narrow(1, i * 24, 24)?.reshape((9, 4, 6));
        let strided = |i: usize| -> Result<Tensor> { Ok(fused.reshape((9, 12, 6))?.narrow(1, i * 4, 4)?) };
        for mask in [Mask::None, Mask::Causal { first: 0 }, Mask::Window { first: 0, size: 4 }] {
            let a = attention(&strided(0)?, &[strided(1)?], &[strided(2)?], 0.4, mask)?;
            let b = attention_device(&part(0)?, &part(1)?, &part(2)?, 0.4, mask, None)?;
            assert!((a - b)?.abs()?.max_all()?.to_scalar::<f32>()? < 1e-5);
        }
        let q = Tensor::randn(0f32, 1f32, (3, 4, 6), cpu)?;
        let (k, v) = (Tensor::randn(0f32, 1f32, (8, 2, 6), cpu)?, Tensor::randn(0f32, 1f32, (8, 2, 5), cpu)?);
        let mask = Mask::Causal { first: 5 };
        let difference =
            (attention(&q, from_ref(&k), from_ref(&v), 0.5, mask)? - attention_device(&q, &k, &v, 0.5, mask, None)?)?;
        assert!(difference.abs()?.max_all()?.to_scalar::<f32>()? < 1e-5);
        Ok(())
    }

    #[test]
    fn both_paths_agree_on_a_grid() -> Result<()> {
        let x = |rows: usize, dim: usize| Tensor::randn(0f32, 1f32, (rows, 2, dim), &Device::Cpu);
        let (q, k, v, lines, columns) = (x(5, 6)?, x(12, 6)?, x(12, 6)?, x(5, 3)?, x(5, 4)?);
        let a = attention_on_grid(&q, &k, &v, 0.4, &lines, &columns)?;
        let b = attention_device(&q, &k, &v, 0.4, Mask::None, Some((&lines, &columns)))?;
        assert!((&a - b)?.abs()?.max_all()?.to_scalar::<f32>()? < 1e-5);
        let plain = attention(&q, from_ref(&k), from_ref(&v), 0.4, Mask::None)?;
        assert!((a - plain)?.abs()?.max_all()?.to_scalar::<f32>()? > 1e-2);
        assert!(matches!(attention_on_grid(&q, &k, &v, 0.4, &lines, &lines), Err(Error::Attention { .. })));
        Ok(())
    }

    /// Each product's operands are off by at most a half unit in the 8th binary digit, or by 1/253 of the largest beside them.
    #[test]
    fn rounded_keys_and_values_are_close() -> Result<()> {
        let cpu = &Device::Cpu;
        let x = |heads: usize| Tensor::randn(0f32, 1f32, (150, heads, 24), cpu);
        let (q, k, v) = (x(4)?, x(2)?, x(2)?);
        for mask in [Mask::None, Mask::Causal { first: 0 }] {
            let exact = attention(&q, from_ref(&k), from_ref(&v), 0.2, mask)?;
            let off = |kind: CacheType| -> Result<f32> {
                let rounded = attention(&q, &[kind.store(&k)?], &[kind.store(&v)?], 0.2, mask)?;
                Ok((&exact - rounded)?.abs()?.max_all()?.to_scalar::<f32>()?)
            };
            assert_eq!(off(CacheType::F32)?, 0.0);
            for (kind, bound) in [(CacheType::Bf16, 0.03), (CacheType::Q8_0, 0.05)] {
                let off = off(kind)?;
                assert!(off > 0.0 && off < bound, "{kind}: {off}");
            }
            let mixed = attention(&q, &[CacheType::Q8_0.store(&k)?], from_ref(&v), 0.2, mask);
            assert!(matches!(mixed, Err(Error::Attention { .. })));
        }
        Ok(())
    }
}
