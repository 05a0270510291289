//! The types of elements that files hold.

use crate::mapped::Aligned;
use candle_core::CpuStorage;
use candle_core::quantized::GgmlDType;
use safetensors::Dtype;
use seekvl_kernels::quantized::Format;
use std::borrow::Cow;
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
    Blocks(Format),
    /// Blocks that there are no products for: they are widened when they are read.
    Widened(Widened),
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
            Self::Blocks(format) => format.row_bytes(cols),
            Self::Widened(blocks) => blocks.row_bytes(cols),
            Self::Other(_) => None,
        }
    }
}

/// GGUF's block formats that are not computed with. What their numbers are is candle's to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Widened {
    /// 4 bits with a scale and a minimum for each 32.
    Q4_1,
    /// 2 bits with two levels of scales and minima.
    Q2K,
    /// 3 bits with two levels of scales.
    Q3K,
}

impl Widened {
    fn kind(self) -> GgmlDType {
        match self {
            Self::Q4_1 => GgmlDType::Q4_1,
            Self::Q2K => GgmlDType::Q2K,
            Self::Q3K => GgmlDType::Q3K,
        }
    }

    fn row_bytes(self, cols: usize) -> Option<usize> {
        let (values, bytes) = (self.kind().block_size(), self.kind().type_size());
        cols.is_multiple_of(values).then(|| cols / values)?.checked_mul(bytes)
    }

    /// The numbers of whole blocks. What are none becomes NaN.
    pub(crate) fn dequantize(self, bytes: &[u8], values: &mut [f32]) {
        // Candle wants its blocks' alignment, which those of a file in memory need not have.
        let mut copy = Aligned::zeros(bytes.len());
        copy.bytes().copy_from_slice(bytes);
        match self.kind().from_data(Cow::Borrowed(copy.as_ref())).dequantize(values.len()) {
            Ok(CpuStorage::F32(numbers)) => values.copy_from_slice(&numbers),
            _ => values.fill(f32::NAN),
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
            Self::Blocks(format) => match format {
                Format::Q8_0 => "Q8_0",
                Format::Q4_0 => "Q4_0",
                Format::Q5_0 => "Q5_0",
                Format::Q5_1 => "Q5_1",
                Format::Q4K => "Q4_K",
                Format::Q5K => "Q5_K",
                Format::Q6K => "Q6_K",
                other => return write!(f, "{other:?}"),
            },
            Self::Widened(Widened::Q4_1) => "Q4_1",
            Self::Widened(Widened::Q2K) => "Q2_K",
            Self::Widened(Widened::Q3K) => "Q3_K",
            Self::Other(dtype) => return write!(f, "{dtype:?}"),
        })
    }
}
