//! `generation_config.json`: how a checkpoint wants its answers generated.

use crate::Result;
use seekvl_language::{Sampling, TokenIds};
use serde::Deserialize;

/// The keys that matter here; all may be missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct GenerationConfig {
    eos_token_id: Option<TokenIds>,
    do_sample: Option<bool>,
    temperature: Option<f32>,
    top_k: Option<usize>,
    top_p: Option<f32>,
    repetition_penalty: Option<f32>,
}

impl GenerationConfig {
    /// The ids that end an answer, if it names some.
    pub fn end_ids(&self) -> Option<Vec<u32>> {
        self.eos_token_id.as_ref().map(TokenIds::to_vec)
    }

    /// The sampling that it suggests. Where nothing says that it samples, it is greedy.
    pub fn sampling(&self) -> Result<Sampling> {
        let greedy = Sampling::greedy().repetition_penalty(self.repetition_penalty.unwrap_or(1.0))?;
        if self.do_sample != Some(true) {
            return Ok(greedy);
        }
        let sampling = greedy.temperature(self.temperature.unwrap_or(1.0))?.top_p(self.top_p.unwrap_or(1.0))?;
        Ok(sampling.top_k(self.top_k.unwrap_or(0)))
    }
}
