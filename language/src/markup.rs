//! Grounding markup that is well formed as it is written.
//!
//! DeepSeek-VL2 points at things with `<|ref|>the dog<|/ref|><|det|>[[12, 30, 455, 999]]<|/det|>` (DeepSeek-VL2 paper,
//! section "Grounded conversation"). A token that would break that form is never chosen: the most probable of those that
//! keep it is. Where the model keeps to it by itself, as it nearly always does, nothing changes.

mod list;

use crate::Tokenizer;
use list::List;

/// The tags.
#[derive(Clone, Copy, Debug)]
struct Tags {
    ref_open: u32,
    ref_close: u32,
    det_open: u32,
    det_close: u32,
}

/// The tokens of a vocabulary that count inside of tags. To find them takes a look at each token.
#[derive(Clone, Debug, Default)]
pub(crate) struct MarkupTokens {
    /// Special ones.
    special: Vec<u32>,
    /// Those made of nothing but the characters of a list of boxes, with these.
    list: Vec<(u32, Vec<u8>)>,
}

impl MarkupTokens {
    pub fn of(tokenizer: &Tokenizer) -> Self {
        let mut tokens = Self::default();
        for id in (0..).take(tokenizer.vocab_size()) {
            let mut bytes = Vec::new();
            tokenizer.append_bytes(id, false, &mut bytes);
            if !bytes.is_empty() && bytes.iter().all(|&byte| List::knows(byte)) {
                tokens.list.push((id, bytes));
            } else if tokenizer.is_special(id) {
                tokens.special.push(id);
            }
        }
        tokens
    }
}

/// Where in the markup an answer is.
#[derive(Clone, Debug)]
enum Place {
    Text,
    /// Inside `<|ref|>`; whether there is something in it yet.
    Label {
        begun: bool,
    },
    /// After `<|/ref|>`.
    AfterLabel,
    /// Inside `<|det|>`.
    Boxes(List),
}

/// Follows an answer, and says which tokens may come next.
#[derive(Clone, Debug)]
pub(crate) struct MarkupGuard<'t> {
    tokenizer: &'t Tokenizer,
    tags: Tags,
    place: Place,
}

impl<'t> MarkupGuard<'t> {
    /// None where the vocabulary has no markup.
    pub fn new(tokenizer: &'t Tokenizer) -> Option<Self> {
        let tag = |name| tokenizer.token_id(name);
        let (ref_open, ref_close) = (tag("<|ref|>")?, tag("<|/ref|>")?);
        let (det_open, det_close) = (tag("<|det|>")?, tag("<|/det|>")?);
        let tags = Tags { ref_open, ref_close, det_open, det_close };
        Some(Self { tokenizer, tags, place: Place::Text })
    }

    /// Gives negative infinity to what may not come next. Where that would be everything, it does nothing.
    pub fn restrict(&self, scores: &mut [f32]) {
        let Tags { ref_close, det_open, det_close, .. } = self.tags;
        match &self.place {
            Place::Text => ban(scores, [ref_close, det_close]),
            Place::Label { begun } => {
                let special = self.tokenizer.markup().special.iter().copied().filter(|id| *id != ref_close);
                let empty = (!begun).then_some(ref_close);
                ban(scores, special.chain(self.tokenizer.ends()).chain(empty));
            }
            Place::AfterLabel => keep(scores, [det_open]),
            Place::Boxes(boxes) if boxes.is_complete() => keep(scores, [det_close]),
            Place::Boxes(boxes) => {
                let fitting = self.tokenizer.markup().list.iter().filter(|(_, bytes)| boxes.after(bytes).is_some());
                keep(scores, fitting.map(|(id, _)| *id));
            }
        }
    }

    /// Takes the token that was chosen.
    pub fn push(&mut self, id: u32) {
        let Tags { ref_open, ref_close, det_open, det_close } = self.tags;
        self.place = match &self.place {
            _ if id == ref_open => Place::Label { begun: false },
            _ if id == ref_close => Place::AfterLabel,
            _ if id == det_open => Place::Boxes(List::default()),
            _ if id == det_close => Place::Text,
            Place::Label { .. } => Place::Label { begun: true },
            // What does not fit was forced: markup ends there.
            Place::Boxes(boxes) => {
                let list = &self.tokenizer.markup().list;
                let bytes = list.binary_search_by_key(&id, |(id, _)| *id).map(|at| &list[at].1);
                bytes.ok().and_then(|bytes| boxes.after(bytes)).map_or(Place::Text, Place::Boxes)
            }
            Place::Text | Place::AfterLabel => Place::Text,
        };
    }
}

fn ban(scores: &mut [f32], ids: impl IntoIterator<Item = u32>) {
    let mut banned = Vec::new();
    for id in ids {
        if let Some(score) = scores.get_mut(id as usize) {
            banned.push((id, std::mem::replace(score, f32::NEG_INFINITY)));
        }
    }
    if scores.iter().all(|score| *score == f32::NEG_INFINITY) {
        // Back to front, since an id may have been named twice.
        banned.into_iter().rev().for_each(|(id, score)| scores[id as usize] = score);
    }
}

fn keep(scores: &mut [f32], ids: impl IntoIterator<Item = u32>) {
    let at = |id: u32| scores.get(id as usize).map(|score| (id, *score));
    let kept: Vec<(u32, f32)> = ids.into_iter().filter_map(at).collect();
    if kept.iter().any(|(_, score)| *score > f32::NEG_INFINITY) {
        scores.fill(f32::NEG_INFINITY);
        for (id, score) in kept {
            scores[id as usize] = score;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sampler, Sampling};
    use proptest::prelude::*;
    use std::path::Path;
    use std::sync::LazyLock;

    static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/reference/vl2-tiny-like");
        Tokenizer::from_dir(Path::new(path)).unwrap()
    });

    /// What is wrong with the markup of a complete answer.
    fn fault(answer: &str) -> Option<String> {
        let mut rest = answer;
        while let Some(at) = rest.find("<|ref|>").into_iter().chain(rest.find("<|det|>")).min() {
            let (text, tagged) = rest.split_at(at);
            if text.contains("<|/") {
                return Some(text.into());
            }
            if let Some(after) = tagged.strip_prefix("<|ref|>") {
                let (label, after) = after.split_once("<|/ref|>")?;
                if label.is_empty() || label.contains("<|") || !after.starts_with("<|det|>") {
                    return Some(tagged.into());
                }
                rest = after;
            } else {
                let (list, after) = tagged.strip_prefix("<|det|>")?.split_once("<|/det|>")?;
                let boxes: Vec<[u16; 4]> = serde_json::from_str(list).unwrap_or_default();
                let has_area = |[x1, y1, x2, y2]: &[u16; 4]| x1 < x2 && y1 < y2 && *x2.max(y2) <= 999;
                if boxes.is_empty() || !boxes.iter().all(has_area) {
                    return Some(list.into());
                }
                rest = after;
            }
        }
        rest.contains("<|/").then(|| rest.into())
    }

    /// An answer of a model that says anything, most of all tags, up to its end.
    fn babble(seed: u64, guarded: bool) -> String {
        let mut guard = MarkupGuard::new(&TOKENIZER).unwrap();
        let sampling = Sampling::greedy().temperature(1.0).unwrap().seed(seed);
        let mut sampler = Sampler::new(sampling, &[0]);
        let mut logits = vec![0.0f32; TOKENIZER.vocab_size()];
        let tags = ["<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>"];
        let tags = tags.iter().map(|tag| TOKENIZER.token_id(tag).unwrap());
        tags.chain(TOKENIZER.ends()).for_each(|id| logits[id as usize] = 4.5);
        let mut ids = Vec::new();
        while ids.last().is_none_or(|&id| !TOKENIZER.is_end(id)) {
            let id = sampler
                .next_of(&logits, |scores| {
                    if guarded {
                        guard.restrict(scores)
                    }
                })
                .unwrap();
            guard.push(id);
            ids.push(id);
        }
        TOKENIZER.decode(&ids, false)
    }

    proptest! {
        #[test]
        fn whatever_a_model_says_its_markup_is_well_formed(seed: u64) {
            let answer = babble(seed, true);
            prop_assert_eq!(fault(&answer), None, "{}", answer);
        }
    }

    #[test]
    fn without_the_guard_it_is_not() {
        assert!((0..20).any(|seed| fault(&babble(seed, false)).is_some()));
        assert!((0..20).any(|seed| babble(seed, true).contains("]]<|/det|>")));
    }

    #[test]
    fn where_nothing_is_left_nothing_is_restricted() {
        let mut guard = MarkupGuard::new(&TOKENIZER).unwrap();
        guard.push(TOKENIZER.token_id("<|det|>").unwrap());
        // A model whose vocabulary ends before the brackets.
        let mut scores = [1.0, 2.0];
        guard.restrict(&mut scores);
        assert_eq!(scores, [1.0, 2.0]);
    }
}
