//! What is kept from one answer for the next.

use crate::answer::Answer;
use crate::model::Stream;
use seekvl_language::{Cache, Token};
use seekvl_nn::Tensor;
use seekvl_vision::Tiles;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// What earlier answers of a model have left: pictures as the language model is given them, found again by their content, and the
/// cache of the last conversation, of which the next turn reads only what is new.
///
/// Answers are the same with it as without, bit for bit; but for latent attention, which may read what is new in another
/// [form](seekvl_language::LatentForm) than it reads the whole in, with other roundings. It belongs to the caller, who gives it to [`Model::stream_with`] and
/// gets it filled by [`Stream::finish_into`]; with another model it starts anew.
///
/// [`Model::stream_with`]: crate::Model::stream_with
#[derive(Debug)]
pub struct Recall {
    model: Option<ModelId>,
    pub(crate) pictures: Pictures,
    turn: Option<Turn>,
}

impl Recall {
    /// Bytes of pictures that are kept unless told otherwise: some forty pictures of ten views, for DeepSeek-VL2-Tiny.
    pub const PICTURES: usize = 256 << 20;

    /// Keeps at most `bytes` of pictures, the last used first. The cache of the last conversation is kept in any case.
    pub fn new(bytes: usize) -> Self {
        Self { model: None, pictures: Pictures::new(bytes), turn: None }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::new(self.pictures.limit);
    }

    /// Bytes that are kept, of pictures and of the cache.
    pub fn bytes(&self) -> usize {
        self.pictures.bytes + self.turn.as_ref().map_or(0, |turn| turn.cache.bytes())
    }

    /// Forgets what other models have left.
    pub(crate) fn begin(&mut self, model: ModelId) {
        if self.model.replace(model) != Some(model) {
            self.clear();
            self.model = Some(model);
        }
    }

    /// The cache of the last conversation, cut to what begins like `prompt`.
    pub(crate) fn take(&mut self, prompt: &Asking) -> Option<Cache> {
        let mut turn = self.turn.take()?;
        // At least one position has to be read, for its logits.
        let common = turn.asking.common(prompt).min(prompt.ids.len() - 1).min(turn.cache.len());
        turn.cache.truncate(common);
        (!turn.cache.is_empty()).then_some(turn.cache)
    }

    /// Keeps the cache of an answer.
    pub(crate) fn keep(&mut self, model: ModelId, mut asking: Asking, tokens: &[Token], cache: Cache) {
        if self.model == Some(model) {
            asking.ids.extend(tokens.iter().map(|token| token.id));
            self.turn = Some(Turn { asking, cache });
        }
    }
}

impl Default for Recall {
    fn default() -> Self {
        Self::new(Self::PICTURES)
    }
}

impl Stream<'_> {
    /// As [`Stream::finish`], and keeps what the next turn of the conversation can use.
    ///
    /// # Panics
    /// Never.
    pub fn finish_into(self, recall: &mut Recall) -> Answer {
        self.end(Some(recall))
    }
}

/// Tells models from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ModelId(u64);

impl ModelId {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A digest of a picture's views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content([u8; 32]);

impl Content {
    pub fn of(tiles: &Tiles) -> Self {
        let grid = tiles.grid();
        let mut digest = Sha256::new();
        for number in [grid.cols, grid.rows, tiles.size()] {
            digest.update(number.to_le_bytes());
        }
        digest.update(tiles.as_bytes());
        Self(digest.finalize().into())
    }
}

/// What a model was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asking {
    pub ids: Vec<u32>,
    /// Where pictures stand in it, and which.
    pub pictures: Vec<(Range<usize>, Content)>,
}

impl Asking {
    /// At how many positions, from the first on, both have the same.
    fn common(&self, other: &Self) -> usize {
        let ids = self.ids.iter().zip(&other.ids).take_while(|(a, b)| a == b).count();
        let apart = |a: &Self, b: &Self| {
            let differs = a.pictures.iter().filter(|picture| !b.pictures.contains(picture));
            differs.map(|(slots, _)| slots.start).min().unwrap_or(usize::MAX)
        };
        ids.min(apart(self, other)).min(apart(other, self))
    }
}

#[derive(Debug)]
struct Turn {
    /// The prompt, and the answer after it.
    asking: Asking,
    cache: Cache,
}

/// Encoded pictures, the last used at the end.
#[derive(Debug)]
pub(crate) struct Pictures {
    limit: usize,
    bytes: usize,
    rows: VecDeque<(Content, Tensor)>,
}

impl Pictures {
    pub fn new(limit: usize) -> Self {
        Self { limit, bytes: 0, rows: VecDeque::new() }
    }

    /// The rows of a picture, `[slots, hidden]`, if they are kept.
    pub fn get(&mut self, content: Content) -> Option<Tensor> {
        let at = self.rows.iter().position(|(other, _)| *other == content)?;
        let found = self.rows.remove(at)?;
        let rows = found.1.clone();
        self.rows.push_back(found);
        Some(rows)
    }

    /// Keeps the rows of a picture, and lets go of others in their place.
    pub fn keep(&mut self, content: Content, rows: &Tensor) {
        self.bytes += bytes(rows);
        self.rows.push_back((content, rows.clone()));
        while self.bytes > self.limit {
            let Some((_, rows)) = self.rows.pop_front() else { break };
            self.bytes -= bytes(&rows);
        }
    }
}

fn bytes(rows: &Tensor) -> usize {
    rows.elem_count() * rows.dtype().size_in_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use seekvl_nn::{DType, Device};

    fn content(byte: u8) -> Content {
        Content([byte; 32])
    }

    #[test]
    fn the_least_used_pictures_are_let_go() -> Result<(), seekvl_nn::TensorError> {
        let rows = Tensor::zeros((2, 5), DType::F32, &Device::Cpu)?;
        let mut pictures = Pictures::new(100);
        pictures.keep(content(1), &rows);
        pictures.keep(content(2), &rows);
        assert!(pictures.get(content(1)).is_some());
        pictures.keep(content(3), &rows);
        let kept: Vec<bool> = (1..4).map(|byte| pictures.get(content(byte)).is_some()).collect();
        assert_eq!((kept, pictures.bytes), (vec![true, false, true], 80));
        let mut none = Pictures::new(0);
        none.keep(content(1), &rows);
        assert_eq!((none.rows.len(), none.bytes), (0, 0));
        Ok(())
    }

    #[test]
    fn prompts_are_the_same_up_to_another_picture() {
        let asking = |ids: &[u32], pictures: &[(Range<usize>, u8)]| Asking {
            ids: ids.to_vec(),
            pictures: pictures.iter().map(|(slots, byte)| (slots.clone(), content(*byte))).collect(),
        };
        let first = asking(&[1, 9, 9, 9, 2, 3], &[(1..4, 7)]);
        assert_eq!(first.common(&asking(&[1, 9, 9, 9, 2, 4, 5], &[(1..4, 7)])), 5);
        assert_eq!(first.common(&asking(&[1, 9, 9, 9, 2, 4, 5], &[(1..4, 8)])), 1);
        assert_eq!(first.common(&asking(&[1, 9, 9, 9, 2, 3], &[])), 1);
        assert_eq!(first.common(&asking(&[1, 9, 9, 9, 9, 3], &[(1..5, 7)])), 1);
        assert_eq!(first.common(&asking(&[1, 9, 9, 9, 2, 3, 9], &[(1..4, 7), (6..7, 1)])), 6);
        assert_eq!(asking(&[], &[]).common(&first), 0);
    }
}
