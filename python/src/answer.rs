//! Answers in the form that the package's dataclasses are made of.

use pyo3::prelude::*;
use seekvl::boxes::{BoundingBox, Reading, Region};
use seekvl::{Answer, ExpertUse, FinishReason, Token};
use seekvl_language::Tokenizer;
use std::ops::Range;
use std::time::Duration;

/// The fields of `seekvl.Answer`.
#[derive(IntoPyObject)]
pub struct RawAnswer {
    text: String,
    raw: String,
    thinking: Option<String>,
    finish_reason: &'static str,
    regions: Vec<RawRegion>,
    tokens: Vec<u32>,
    logprobs: Option<Vec<RawLogProbs>>,
    prompt_tokens: usize,
    image_tokens: Vec<usize>,
    cached_tokens: usize,
    /// Proposed and accepted.
    drafts: (usize, usize),
    image_size: Option<(u32, u32)>,
    /// Images, vision, prefill, decode and all together, in seconds.
    timings: (f64, f64, f64, f64, f64),
    experts: Option<RawExpertUse>,
}

/// The fields of `seekvl.ExpertUse`.
#[derive(IntoPyObject)]
struct RawExpertUse {
    budget: u64,
    hits: u64,
    reads: u64,
    hit_rate: f64,
    bytes_read: u64,
    resident: u64,
    most_resident: u64,
}

impl From<ExpertUse> for RawExpertUse {
    fn from(experts: ExpertUse) -> Self {
        let ExpertUse { budget, hits, reads, hit_rate, bytes_read, resident, most_resident } = experts;
        Self { budget, hits, reads, hit_rate, bytes_read, resident, most_resident }
    }
}

/// The fields of `seekvl.Region`. The span is in characters.
#[derive(IntoPyObject)]
struct RawRegion {
    label: Option<String>,
    span: (usize, usize),
    boxes: Vec<RawBox>,
}

/// The fields of `seekvl.Box`.
#[derive(IntoPyObject)]
struct RawBox {
    relative: Option<[u16; 4]>,
    pixels: Option<[f32; 4]>,
    reading: &'static str,
    repairs: Vec<String>,
    raw: String,
    confidence: Option<f64>,
}

/// The log-probability of the chosen token, and the most probable tokens with theirs.
type RawLogProbs = (f32, Vec<(u32, f32)>);

impl RawAnswer {
    /// In the form of `tokenizer`'s model, over a last image of width and height `image_size`. `decoding` is the part of
    /// the time that images took before the engine had them.
    pub fn new(answer: Answer, image_size: Option<(u32, u32)>, decoding: Duration, tokenizer: &Tokenizer) -> Self {
        let spelled = Spelled::new(&answer, tokenizer);
        let mut at = 0;
        let mut regions = Vec::with_capacity(answer.regions.len());
        for Region { label, span, boxes } in &answer.regions {
            let mut read = |one: &BoundingBox| {
                let place = answer.raw[at..].find(&one.raw).map(|start| at + start..at + start + one.raw.len());
                at = place.as_ref().map_or(at, |place| place.end);
                let confidence = spelled.as_ref().zip(place).and_then(|(spelled, place)| spelled.probability(&place));
                RawBox::new(one, image_size, confidence)
            };
            let boxes = boxes.iter().map(&mut read).collect();
            let characters = |bytes: usize| answer.text[..bytes].chars().count();
            regions.push(RawRegion {
                label: label.clone(),
                span: (characters(span.start), characters(span.end)),
                boxes,
            });
        }
        let timings = answer.timings;
        Self {
            regions,
            image_size,
            finish_reason: finish_reason(answer.finish),
            tokens: answer.tokens.iter().map(|token| token.id).collect(),
            logprobs: answer.tokens.iter().map(logprobs).collect(),
            prompt_tokens: answer.prompt_tokens,
            image_tokens: answer.image_tokens,
            cached_tokens: answer.cached_tokens,
            drafts: (answer.drafts.proposed, answer.drafts.accepted),
            timings: (
                (timings.images + decoding).as_secs_f64(),
                timings.vision.as_secs_f64(),
                timings.prefill.as_secs_f64(),
                timings.decode.as_secs_f64(),
                0.0,
            ),
            experts: answer.experts.map(Into::into),
            text: answer.text,
            thinking: answer.thinking,
            raw: answer.raw,
        }
    }

    /// With the time from the beginning of the work to its end.
    pub fn within(mut self, total: Duration) -> Self {
        self.timings.4 = total.as_secs_f64();
        self
    }
}

impl RawBox {
    fn new(one: &BoundingBox, image_size: Option<(u32, u32)>, confidence: Option<f64>) -> Self {
        let (reading, repairs) = match &one.reading {
            Reading::AsWritten => ("as_written", Vec::new()),
            Reading::Repaired(repairs) => ("repaired", repairs.iter().map(ToString::to_string).collect()),
            Reading::Invalid(_) => ("invalid", vec![one.reading.to_string()]),
        };
        Self {
            relative: one.relative,
            pixels: image_size.and_then(|(width, height)| one.pixels(width, height)),
            reading,
            repairs,
            raw: one.raw.clone(),
            confidence,
        }
    }
}

/// Where each token stands in the raw text, and its log-probability.
struct Spelled(Vec<(Range<usize>, f32)>);

impl Spelled {
    /// `None` for an answer without log-probabilities, or without a box to look up.
    fn new(answer: &Answer, tokenizer: &Tokenizer) -> Option<Self> {
        if answer.regions.iter().all(|region| region.boxes.is_empty()) {
            return None;
        }
        let (mut stream, mut end) = (tokenizer.stream(false), 0);
        let mut place = |token: &Token| {
            let start = end;
            if tokenizer.eos_id() != Some(token.id) {
                end += stream.push(token.id).len();
            }
            Some((start..end, token.logprobs.as_ref()?.chosen))
        };
        answer.tokens.iter().map(&mut place).collect::<Option<_>>().map(Self)
    }

    /// The geometric mean of the probabilities of the tokens that spell `place`.
    fn probability(&self, place: &Range<usize>) -> Option<f64> {
        let overlaps = |token: &&(Range<usize>, f32)| token.0.start < place.end && place.start < token.0.end;
        let logprobs: Vec<f64> = self.0.iter().filter(overlaps).map(|token| f64::from(token.1)).collect();
        (!logprobs.is_empty()).then(|| (logprobs.iter().sum::<f64>() / logprobs.len() as f64).exp())
    }
}

fn logprobs(token: &Token) -> Option<RawLogProbs> {
    let logprobs = token.logprobs.as_ref()?;
    Some((logprobs.chosen, logprobs.top.iter().map(|top| (top.id, top.logprob)).collect()))
}

fn finish_reason(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop => "stop",
        FinishReason::StopString => "stop_string",
        FinishReason::Length => "length",
        FinishReason::Context => "context",
        FinishReason::Repetition => "repetition",
        FinishReason::Cancelled => "cancelled",
    }
}
