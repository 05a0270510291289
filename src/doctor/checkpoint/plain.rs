//! Requests of language models alone: a text, and how the model goes on.

use super::{DecoderCheck, Doctor, Request, Sampling, Span, Stage};
use crate::Result;
use crate::processor::Prepared;
use seekvl_language::TokenSequence;
use seekvl_nn::{Tensor, to_vec};

/// Tokens of the prompt in a chunk, where the reference has none.
const CHUNK: usize = 7;

impl Doctor<'_> {
    pub(super) fn plain(&mut self, name: &str, request: &Request, text: &str) -> Result<()> {
        let prompt = self.model.processor().raw_prompt(text)?;
        let prepared = Prepared { prompt, tiles: Vec::new() };
        self.tokens(name, request, &prepared, 0)?;
        let sequence = TokenSequence::new(prepared.prompt.ids);
        let hidden = self.language(name, &sequence)?.0;
        self.greedy(name, request, sequence.clone())?;
        let none = Vec::new();
        let expected = request.greedy_ids.first().unwrap_or(&none);
        let ids = self.generate(vec![sequence.clone()], Sampling::greedy(), CHUNK)?.concat();
        self.notebook.chosen(Stage::Chunked, name, &ids, expected);
        self.drafts(name, sequence, &hidden, expected)
    }

    /// Multi-token prediction: what it drafts, and that answers are the same with it.
    fn drafts(&mut self, name: &str, sequence: TokenSequence, hidden: &Tensor, expected: &[u32]) -> Result<()> {
        let Some(mtp) = self.model.mtp() else { return Ok(()) };
        if let Some((golden, _)) = self.tensors.floats(&format!("{name}.mtp_logits"))? {
            let rows = sequence.len() - 1;
            let before = hidden.narrow(0, 0, rows).map_err(seekvl_nn::Error::from)?;
            let positions: Vec<usize> = (1..=rows).collect();
            let mut cache = mtp.new_cache();
            let mut spans = [Span { rows, cache: &mut cache, form: self.form(rows) }];
            let mut probe = DecoderCheck { doctor: self, name, is_draft: true, failure: None };
            let states = mtp.forward(&before, &sequence.ids()[1..], &positions, &mut spans, &mut probe)?;
            if let Some(failure) = probe.failure {
                return Err(failure);
            }
            let logits = to_vec(&mtp.logits(&states)?)?;
            let got = &logits[logits.len().saturating_sub(golden.len())..];
            self.notebook.values(Stage::DraftLogits, name, got, &golden);
        }
        let ids = self.generate_drafting(vec![sequence], Sampling::greedy(), 0, Some(mtp))?.concat();
        self.notebook.chosen(Stage::Drafted, name, &ids, expected);
        Ok(())
    }
}
