//! Writing a GGUF file, one tensor after the other.

use super::read::{ALIGNMENT, DEFAULT_ALIGNMENT, MAGIC};
use super::value::write_string;
use super::{KINDS, Value};
use crate::StoredDtype;
use std::io::{self, Write};

/// A tensor that is to be written.
#[derive(Clone, Debug)]
pub struct GgufEntry {
    /// Its name.
    pub name: String,
    /// Its type.
    pub dtype: StoredDtype,
    /// Its row-major shape, of 1 to 4 sides.
    pub shape: Vec<usize>,
}

impl GgufEntry {
    /// Bytes of its data, if its rows can be of its type.
    pub fn bytes(&self) -> Option<usize> {
        let (cols, rest) = self.shape.split_last()?;
        rest.iter().try_fold(self.dtype.row_bytes(*cols)?, |bytes, side| bytes.checked_mul(*side))
    }
}

/// A file whose header is written, and whose tensors' data follow in their order.
pub struct GgufWriter<W> {
    out: W,
    /// Bytes of each tensor that is still to be written, the next one last.
    rest: Vec<usize>,
    /// Bytes written of the next one.
    written: usize,
}

impl<W: Write> GgufWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// A tensor of a type that GGUF does not have or whose rows are no whole blocks, and those of `out`.
    pub fn new(mut out: W, metadata: &[(String, Value)], tensors: &[GgufEntry]) -> io::Result<Self> {
        let mut header = Vec::new();
        header.extend(MAGIC);
        header.extend(3u32.to_le_bytes());
        header.extend((tensors.len() as u64).to_le_bytes());
        header.extend((metadata.len() as u64).to_le_bytes());
        for (key, value) in metadata {
            debug_assert_ne!(key, ALIGNMENT, "the default is written");
            write_string(key, &mut header)?;
            value.write(&mut header)?;
        }
        let (mut offset, mut rest) = (0usize, Vec::new());
        for tensor in tensors {
            let unfit = || io::Error::other(format!("no {} tensor of shape {:?}", tensor.dtype, tensor.shape));
            let bytes = tensor.bytes().ok_or_else(unfit)?;
            let (code, _) = KINDS.iter().find(|(_, dtype)| *dtype == tensor.dtype).ok_or_else(unfit)?;
            write_string(&tensor.name, &mut header)?;
            header.extend((tensor.shape.len() as u32).to_le_bytes());
            tensor.shape.iter().rev().for_each(|side| header.extend((*side as u64).to_le_bytes()));
            header.extend(code.to_le_bytes());
            header.extend((offset as u64).to_le_bytes());
            offset = offset.checked_add(bytes.next_multiple_of(DEFAULT_ALIGNMENT)).ok_or_else(unfit)?;
            rest.push(bytes);
        }
        rest.reverse();
        header.resize(header.len().next_multiple_of(DEFAULT_ALIGNMENT), 0);
        out.write_all(&header)?;
        Ok(Self { out, rest, written: 0 })
    }

    /// Writes more of the next tensor's data, and goes on to the one after it where that was the last.
    ///
    /// # Errors
    /// More data than it has, and those of the output.
    pub fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.written += data.len();
        let Some(&bytes) = self.rest.last().filter(|bytes| self.written <= **bytes) else {
            return Err(io::Error::other("more data than the tensor has"));
        };
        self.out.write_all(data)?;
        if self.written == bytes {
            self.out.write_all(&[0; DEFAULT_ALIGNMENT][..bytes.next_multiple_of(DEFAULT_ALIGNMENT) - bytes])?;
            self.rest.pop();
            self.written = 0;
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Tensors without their data, and those of the output.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.rest.is_empty() {
            return Err(io::Error::other("a tensor lacks data"));
        }
        self.out.flush()?;
        Ok(self.out)
    }
}
