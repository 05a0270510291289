//! How an answer is made.

use crate::{Error, Result};
use seekvl_language::{Cancel, GenerationOptions};
use seekvl_vision::{Cropping, DecodeOptions, Resolution, TilingSpec};

/// Everything that a caller may choose about one answer.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the answer's tokens are chosen and when it ends.
    pub generation: GenerationOptions,
    /// How pictures become tiles.
    pub tiling: TilingOptions,
    /// How image files become pixels.
    pub decode: DecodeOptions,
    /// Positions of prompts that go through the language model at once (the original's incremental prefilling). It
    /// bounds memory and says how soon a cancelled prompt stops, and changes no result. 0 is no limit.
    pub prefill_chunk: usize,
    /// The most tokens that a model thinks (DeepSeek-R1) before it is made to answer. No limit but that of the whole answer if
    /// not given.
    pub thinking_budget: Option<usize>,
    /// Lets the model's layer for multi-token prediction, if it has one (DeepSeek-V3), draft tokens that the model then
    /// verifies. Answers are the same.
    pub draft: bool,
    /// Ends the work from elsewhere.
    pub cancel: Cancel,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            generation: GenerationOptions::default(),
            tiling: TilingOptions::default(),
            decode: DecodeOptions::default(),
            prefill_chunk: 512,
            thinking_budget: None,
            draft: false,
            cancel: Cancel::default(),
        }
    }
}

/// How pictures become tiles, where it shall not be as the model's configuration has it.
#[derive(Clone, Debug, Default)]
pub struct TilingOptions {
    /// Whether pictures are cut into tiles. By default the original's rule: with at most two of them.
    pub cropping: Cropping,
    /// The most local tiles of a picture; as many as the configuration allows if not given.
    pub max_tiles: Option<u32>,
    /// The sizes that a picture may be fitted to, in place of the configuration's.
    pub candidates: Option<Vec<Resolution>>,
}

impl TilingOptions {
    /// A model's tiling with these options.
    pub(crate) fn apply(&self, spec: &TilingSpec) -> Result<TilingSpec> {
        let mut spec = spec.clone();
        if let Some(candidates) = &self.candidates {
            spec = spec.with_candidates(candidates.clone()).map_err(Error::from)?;
        }
        if let Some(max_tiles) = self.max_tiles {
            spec = spec.with_max_tiles(max_tiles)?;
        }
        Ok(spec)
    }
}
