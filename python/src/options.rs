//! How an answer is made, from keyword arguments that Python has named already.

use crate::error::{Doing, OptionError, exception};
use pyo3::prelude::*;
use seekvl::{Cropping, GenerationOptions, RepetitionGuard, Resolution, Sampling, TilingOptions};

/// Checked options of an answer.
#[pyclass(frozen, module = "seekvl._core")]
#[derive(Clone)]
pub struct Options {
    /// Without decoding, which each image has on its own, and without cancelling.
    pub inner: seekvl::Options,
}

#[pymethods]
impl Options {
    #[new]
    #[pyo3(signature = (
        *, max_new_tokens, temperature, top_k, top_p, min_p, repetition_penalty, no_repeat_ngram_size, seed, stop,
        logprobs, repetition_guard, markup_guard, ignore_eos, prefill_chunk_size, thinking_budget, draft, crop, max_tiles,
        candidate_resolutions,
    ))]
    #[allow(clippy::too_many_arguments, reason = "they are keyword arguments")]
    fn new(
        py: Python<'_>,
        max_new_tokens: usize,
        temperature: f32,
        top_k: usize,
        top_p: f32,
        min_p: f32,
        repetition_penalty: f32,
        no_repeat_ngram_size: usize,
        seed: u64,
        stop: Vec<String>,
        logprobs: Option<usize>,
        repetition_guard: Option<(usize, usize, usize)>,
        markup_guard: bool,
        ignore_eos: bool,
        prefill_chunk_size: usize,
        thinking_budget: Option<usize>,
        draft: bool,
        crop: Option<bool>,
        max_tiles: Option<u32>,
        candidate_resolutions: Option<Vec<(u32, u32)>>,
    ) -> PyResult<Self> {
        let checked = || -> seekvl::Result<_> {
            let sampling = Sampling::greedy()
                .temperature(temperature)
                .and_then(|sampling| sampling.top_p(top_p))
                .and_then(|sampling| sampling.min_p(min_p))
                .and_then(|sampling| sampling.repetition_penalty(repetition_penalty))?;
            let guard = |(period, repeats, tokens)| RepetitionGuard::new(period, repeats, tokens);
            Ok((sampling, repetition_guard.map(guard).transpose()?))
        };
        let (sampling, repetition_guard) = checked().map_err(|error| exception(py, &error, Doing::Answering))?;
        if stop.iter().any(String::is_empty) {
            return Err(OptionError::new_err("stop holds an empty string, which would end every answer"));
        }
        let generation = GenerationOptions {
            max_new_tokens,
            sampling: sampling.top_k(top_k).no_repeat_ngram(no_repeat_ngram_size).seed(seed),
            stop,
            top_logprobs: logprobs,
            repetition_guard,
            markup_guard,
            ignore_eos,
            ..GenerationOptions::default()
        };
        let resolution = |(width, height)| Resolution { width, height };
        let tiling = TilingOptions {
            cropping: crop.map_or(Cropping::Auto, |crop| if crop { Cropping::On } else { Cropping::Off }),
            max_tiles,
            candidates: candidate_resolutions.map(|all| all.into_iter().map(resolution).collect()),
        };
        let inner = seekvl::Options {
            generation,
            tiling,
            prefill_chunk: prefill_chunk_size,
            thinking_budget,
            draft,
            ..seekvl::Options::default()
        };
        Ok(Self { inner })
    }
}
