//! The types of elements that files hold.

use safetensors::Dtype;
use seekvl_kernels::quantized::Format;
use seekvl_kernels::quantized::blocks::BlockKind;
use std::fmt;

/// Type of a stored tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredDtype {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// bfloat16.
    BF16,
    /// Floats of 8 bits, 4 of them exponent.
    F8E4M3,
    /// Blocks of quantised weights, along rows.
    Blocks(BlockKind),
    /// One that is not read.
    Other(Dtype),
}

impl StoredDtype {
    /// Bytes of a row of `cols` elements, if they are a whole number. None for a type that is not read.
    pub(crate) fn row_bytes(self, cols: usize) -> Option<usize> {
        match self {
            Self::F32 => cols.checked_mul(4),
            Self::F16 | Self::BF16 => cols.checked_mul(2),
            Self::F8E4M3 => Some(cols),
            Self::Blocks(kind) => kind.row_bytes(cols),
            Self::Other(_) => None,
        }
    }
}

impl From<Dtype> for StoredDtype {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F32 => Self::F32,
            Dtype::F16 => Self::F16,
            Dtype::BF16 => Self::BF16,
            Dtype::F8_E4M3 => Self::F8E4M3,
            other => Self::Other(other),
        }
    }
}

/// The name that the type has in files of its format.
impl fmt::Display for StoredDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::F8E4M3 => "F8_E4M3",
            Self::Blocks(BlockKind::Q5_0) => "Q5_0",
            Self::Blocks(BlockKind::Q5_1) => "Q5_1",
            Self::Blocks(BlockKind::Packed(format)) => match format {
                Format::Q8_0 => "Q8_0",
                Format::Q4_0 => "Q4_0",
                Format::Q4K => "Q4_K",
                Format::Q5K => "Q5_K",
                Format::Q6K => "Q6_K",
                other => return write!(f, "{other:?}"),
            },
            Self::Other(dtype) => return write!(f, "{dtype:?}"),
        })
    }
}
