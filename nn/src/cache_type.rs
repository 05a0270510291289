//! What keys and values are kept as.

use crate::{Arithmetic, Result, host, round_rows};
use candle_core::{DType, Device, Tensor};
use seekvl_kernels::{Cpu, q8};
use std::fmt::{self, Display};
use std::str::FromStr;

/// What a cache keeps keys and values as, on a CPU; on another device they are kept as they are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CacheType {
    /// 32-bit floats: as they are computed.
    #[default]
    F32,
    /// Brain floats.
    Bf16,
    /// 8 bits, and a scale of 16 for each 32 numbers of a row, as [`q8`] packs them: 8.5 bits a number.
    Q8_0,
}

impl CacheType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::Q8_0];

    /// The one that takes nothing from products like these: it rounds as they do, or not at all.
    pub fn of(arithmetic: Arithmetic) -> Self {
        match arithmetic {
            Arithmetic::F32 => Self::F32,
            Arithmetic::Bf16 | Arithmetic::Int8 => Self::Bf16,
        }
    }

    /// Elements that [`CacheType::store`] makes of a row of `width` numbers.
    pub fn elements(self, width: usize) -> usize {
        match self {
            Self::F32 | Self::Bf16 => width,
            Self::Q8_0 => q8::bytes(width),
        }
    }

    /// Bytes of a row of `width` numbers.
    pub fn bytes(self, width: usize) -> usize {
        let element = match self {
            Self::F32 => size_of::<f32>(),
            Self::Bf16 => 2,
            Self::Q8_0 => 1,
        };
        element * self.elements(width)
    }

    /// Rows of keys or values `[rows, heads, width]`, `f32`, as they are kept: `[rows, heads, elements]` in `f32`, `bf16` or
    /// `u8`. Any of them is what [`attention`](crate::attention()) takes, and so is the front of each head's row, of as many
    /// elements as [`CacheType::elements`] says. On another device than a CPU they are as they were.
    pub fn store(self, rows: &Tensor) -> Result<Tensor> {
        match self {
            _ if !rows.device().is_cpu() => Ok(rows.clone()),
            Self::F32 => Ok(rows.clone()),
            Self::Bf16 => round_rows(rows),
            Self::Q8_0 => {
                let (count, heads, width) = rows.dims3()?;
                let mut packed = vec![0; count * heads * q8::bytes(width)];
                host::with_slice(rows, |x| q8::pack_rows(Cpu::detect(), width, x, &mut packed))?;
                Ok(Tensor::from_vec(packed, (count, heads, q8::bytes(width)), &Device::Cpu)?)
            }
        }
    }

    /// The numbers of rows that were stored, `f32` on a CPU.
    pub fn restore(stored: &Tensor) -> Result<Tensor> {
        match stored.dtype() {
            _ if !stored.device().is_cpu() => Ok(stored.clone()),
            DType::U8 => {
                let (count, heads, bytes) = stored.dims3()?;
                let width = q8::width(bytes);
                let mut rows = seekvl_kernels::zeros(count * heads * width);
                host::with_slice(stored, |x| q8::unpack_rows(Cpu::detect(), width, x, &mut rows))?;
                Ok(Tensor::from_vec(rows, (count, heads, width), &Device::Cpu)?)
            }
            _ => Ok(stored.to_dtype(DType::F32)?),
        }
    }
}

impl Display for CacheType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
        })
    }
}

/// Words that name no [`CacheType`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no type of a cache is called {0:?}; there are f32, bf16 and q8_0")]
pub struct UnknownCacheType(String);

impl FromStr for CacheType {
    type Err = UnknownCacheType;

    fn from_str(name: &str) -> Result<Self, UnknownCacheType> {
        let named = Self::ALL.into_iter().find(|kind| kind.to_string().eq_ignore_ascii_case(name));
        named.ok_or_else(|| UnknownCacheType(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for kind in CacheType::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let error = "q4_0".parse::<CacheType>().map_err(|error| error.to_string());
        assert_eq!(error, Err("no type of a cache is called \"q4_0\"; there are f32, bf16 and q8_0".into()));
    }

    #[test]
    fn rows_come_back_as_near_as_their_type_lets_them() -> Result<()> {
        let fused = Tensor::randn(0f32, 1f32, (7, 5, 140), &Device::Cpu)?;
        let rows = fused.narrow(1, 1, 3)?.narrow(2, 20, 100)?;
        for (kind, bytes, bound) in
            [(CacheType::F32, 400, 0.0), (CacheType::Bf16, 200, 0.01), (CacheType::Q8_0, 108, 0.02)]
        {
            let stored = kind.store(&rows)?;
            assert_eq!(stored.dims(), [7, 3, kind.elements(100)]);
            assert_eq!(stored.dtype().size_in_bytes() * kind.elements(100), bytes);
            assert_eq!(kind.bytes(100), bytes);
            let off = (CacheType::restore(&stored)? - &rows)?.abs()?.max_all()?.to_scalar::<f32>()?;
            assert!(off <= bound && (off > 0.0) == (bound > 0.0), "{kind}: {off}");
        }
        Ok(())
    }
}
