//! What `--json` says about an answer. This is an interface: keys may be added, not changed.

use crate::exit::Failure;
use crate::picture::Picture;
use seekvl::boxes::{BoundingBox, Region};
use seekvl::{Answer, Drafts, ExpertUse, FinishReason, LogProb, Options, Timings};
use serde::Serialize;
use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

#[derive(Serialize)]
pub struct Report<'a> {
    /// The hub id or the directory, as given.
    model: &'a str,
    /// The files, as given.
    images: Vec<&'a str>,
    text: &'a str,
    /// What a model that does thought before it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
    /// The text with the markup of boxes.
    raw: &'a str,
    tokens: Vec<u32>,
    finish_reason: FinishReason,
    prompt_tokens: usize,
    /// Of the prompt's tokens, those of each image.
    image_tokens: &'a [usize],
    /// Of the prompt's tokens, those that were read for an earlier answer of the same run.
    cached_tokens: usize,
    regions: Vec<RegionReport<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<TokenReport<'a>>>,
    /// With `--drafts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    drafts: Option<Drafts>,
    /// With `--expert-budget`.
    #[serde(skip_serializing_if = "Option::is_none")]
    experts: Option<ExpertUse>,
    timings: TimingsReport,
}

/// Seconds for each stage.
#[derive(Serialize)]
struct TimingsReport {
    /// Loading the model, once for all answers of a run.
    load: f64,
    #[serde(flatten)]
    answer: Timings,
}

/// What `--json` says in place of one answer of several.
#[derive(Serialize)]
pub struct FailureReport<'a> {
    /// The files, as given.
    pub images: Vec<Cow<'a, str>>,
    /// What went wrong.
    pub error: String,
}

impl<'a> FailureReport<'a> {
    pub fn new(pictures: &'a [Picture], failure: &Failure) -> Self {
        let images = pictures.iter().map(|picture| picture.name.as_str().into()).collect();
        Self { images, error: failure.to_string() }
    }

    pub fn of_file(path: &'a Path, failure: &Failure) -> Self {
        Self { images: vec![path.to_string_lossy()], error: failure.to_string() }
    }
}

#[derive(Serialize)]
struct RegionReport<'a> {
    label: Option<&'a str>,
    /// Where the label stands in `text`, in bytes.
    span: Range<usize>,
    boxes: Vec<BoxReport<'a>>,
}

#[derive(Serialize)]
struct BoxReport<'a> {
    #[serde(flatten)]
    bounding_box: &'a BoundingBox,
    /// Left, top, right and bottom in the last image, which is the one that the original draws on.
    pixels: Option<[f32; 4]>,
}

#[derive(Serialize)]
struct TokenReport<'a> {
    id: u32,
    logprob: f32,
    top: &'a [LogProb],
}

impl<'a> Report<'a> {
    pub fn new(
        model: &'a str,
        loading: Duration,
        options: &Options,
        pictures: &'a [Picture],
        answer: &'a Answer,
    ) -> Self {
        Self {
            model,
            images: pictures.iter().map(|picture| picture.name.as_str()).collect(),
            text: &answer.text,
            thinking: answer.thinking.as_deref(),
            raw: &answer.raw,
            tokens: answer.tokens.iter().map(|token| token.id).collect(),
            finish_reason: answer.finish,
            prompt_tokens: answer.prompt_tokens,
            image_tokens: &answer.image_tokens,
            cached_tokens: answer.cached_tokens,
            regions: answer.regions.iter().map(|region| RegionReport::new(region, pictures.last())).collect(),
            logprobs: logprobs(answer),
            drafts: options.draft.then_some(answer.drafts),
            experts: answer.experts,
            timings: TimingsReport { load: loading.as_secs_f64(), answer: answer.timings },
        }
    }
}

impl<'a> RegionReport<'a> {
    fn new(region: &'a Region, picture: Option<&Picture>) -> Self {
        let pixels = |one: &BoundingBox| one.pixels(picture?.pixels.width(), picture?.pixels.height());
        let report = |one| BoxReport { bounding_box: one, pixels: pixels(one) };
        Self {
            label: region.label.as_deref(),
            span: region.span.clone(),
            boxes: region.boxes.iter().map(report).collect(),
        }
    }
}

/// Of all tokens, or nothing if they were not asked for.
fn logprobs(answer: &Answer) -> Option<Vec<TokenReport<'_>>> {
    let tokens = answer.tokens.iter().map(|token| {
        let logprobs = token.logprobs.as_ref()?;
        Some(TokenReport { id: token.id, logprob: logprobs.chosen, top: &logprobs.top })
    });
    tokens.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use seekvl::boxes::Grounded;
    use seekvl::{PixelLayout, Rgb};
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn boxes_are_given_in_both_units() {
        let pixels = Rgb::from_raw(20, 10, PixelLayout::L8, vec![0; 200]).unwrap();
        let picture = Picture { name: "a.png".into(), pixels: Arc::new(pixels), decoding: Duration::ZERO };
        let answer = Grounded::parse("<|ref|>cup<|/ref|><|det|>[[0, 0, 999, 999], [1]]<|/det|>");
        let report = RegionReport::new(&answer.regions[0], Some(&picture));
        let expected = json!({
            "label": "cup",
            "span": { "start": 0, "end": 3 },
            "boxes": [
                { "relative": [0, 0, 999, 999], "pixels": [0.0, 0.0, 20.0, 10.0],
                  "reading": "as_written", "raw": "[0, 0, 999, 999]" },
                { "relative": null, "pixels": null,
                  "reading": { "invalid": { "count": 1 } }, "raw": "[1]" },
            ],
        });
        assert_eq!(serde_json::to_value(report).unwrap(), expected);
    }
}
