//! What the language model is given.

use crate::{Decoder, Error, Result};
use seekvl_nn::Tensor;
use std::ops::Range;

/// Token ids, and rows of embeddings that stand in for some of them.
#[derive(Clone, Debug)]
pub struct TokenSequence {
    ids: Vec<u32>,
    /// In order, without overlap.
    inserts: Vec<Insert>,
}

/// Embeddings that stand in for tokens.
#[derive(Clone, Debug)]
pub struct Insert {
    start: usize,
    rows: Tensor,
}

impl Insert {
    /// The positions that it covers.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.rows.dims()[0]
    }

    /// `[positions, hidden]`.
    pub fn rows(&self) -> &Tensor {
        &self.rows
    }
}

impl TokenSequence {
    /// Of ids only.
    pub fn new(ids: Vec<u32>) -> Self {
        Self { ids, inserts: Vec::new() }
    }

    /// Puts `rows` `[n, hidden]` (`f32` on a CPU) in place of the embeddings of the ids from `start`. The ids stay:
    /// penalties see them.
    ///
    /// # Errors
    /// If the rows are no matrix, reach past the end, or overlap with others.
    pub fn insert(&mut self, start: usize, rows: Tensor) -> Result<()> {
        let &[count, _] = rows.dims() else {
            return Err(Error::InsertShape { shape: rows.dims().to_vec() });
        };
        let end = start.saturating_add(count);
        if end > self.ids.len() {
            return Err(Error::InsertRange { start, end, len: self.ids.len() });
        }
        if let Some(other) = self.inserts.iter().map(Insert::range).find(|other| start < other.end && other.start < end)
        {
            return Err(Error::InsertOverlap { start, end, other });
        }
        if count > 0 {
            let index = self.inserts.partition_point(|insert| insert.start < start);
            self.inserts.insert(index, Insert { start, rows });
        }
        Ok(())
    }

    /// Every id, those that embeddings stand in for too.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Number of positions.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are no positions.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The inserts, in order.
    pub fn inserts(&self) -> &[Insert] {
        &self.inserts
    }

    /// What the first layer is given at the positions of `range`, which must not be empty: `[range, hidden]`.
    ///
    /// # Errors
    /// An id outside the vocabulary, or rows of another width than the decoder's.
    pub fn embeddings(&self, decoder: &Decoder, range: Range<usize>) -> Result<Tensor> {
        let mut parts = Vec::new();
        let mut at = range.start;
        for insert in &self.inserts {
            let covered = insert.range();
            let (start, end) = (covered.start.max(range.start), covered.end.min(range.end));
            if start >= end {
                continue;
            }
            if at < start {
                parts.push(decoder.embed(&self.ids[at..start])?);
            }
            parts.push(insert.rows.narrow(0, start - covered.start, end - start)?);
            at = end;
        }
        if at < range.end {
            parts.push(decoder.embed(&self.ids[at..range.end])?);
        }
        Ok(Tensor::cat(&parts, 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seekvl_nn::{DType, Device};

    fn rows(count: usize) -> Tensor {
        Tensor::zeros((count, 4), DType::F32, &Device::Cpu).unwrap()
    }

    #[test]
    fn inserts_are_checked_and_sorted() {
        let mut sequence = TokenSequence::new((0..10).collect());
        sequence.insert(6, rows(3)).unwrap();
        sequence.insert(1, rows(2)).unwrap();
        sequence.insert(3, rows(3)).unwrap();
        sequence.insert(10, rows(0)).unwrap();
        assert_eq!(sequence.inserts().iter().map(Insert::range).collect::<Vec<_>>(), [1..3, 3..6, 6..9]);
        assert!(
            matches!(sequence.insert(0, rows(2)), Err(Error::InsertOverlap { start: 0, end: 2, other }) if other == (1..3))
        );
        assert!(matches!(sequence.insert(9, rows(2)), Err(Error::InsertRange { end: 11, len: 10, .. })));
        assert!(matches!(sequence.insert(usize::MAX, rows(2)), Err(Error::InsertRange { .. })));
        let cube = Tensor::zeros((1, 1, 4), DType::F32, &Device::Cpu).unwrap();
        assert!(matches!(sequence.insert(0, cube), Err(Error::InsertShape { .. })));
    }
}
