//! Checks this build, on this machine, against what the original implementation computed.
//!
//! A reference directory holds checkpoints in Hugging Face layout, each with `golden.json` and `golden.safetensors`:
//! requests, and the original's values at every stage between the messages and the answer's text. Where `golden.json` says
//! `"model": "nano"`, its directory needs no checkpoint: it is about the model that is part of this program. Beside them there may be
//! `tiling.json`, `preprocess.json` and `templates.json`, which need no weights. `tests/reference/README.md` in this
//! project's repository describes the form. Where a checkpoint's directory has another layout of the same model in a directory
//! `original`, that is a part of its own.
//!
//! The error of a stage is the largest difference of any value as a share of the largest expected magnitude; of tokens,
//! ids and pixels it is the share that differs.

mod checkpoint;
mod golden;
mod set;

use crate::{Error, Result};
use seekvl_language::LatentForm;
use seekvl_nn::{Device, Quantization, WeightType};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// How to check.
#[derive(Clone, Debug)]
pub struct DoctorOptions {
    /// The type that weights are kept in. Other than with f32 (the references' own type), distributions and greedy tokens are
    /// shown and not judged, since a rounded weight may rightly tip them; of the tokens' experts, it may tip a share.
    pub weights: WeightType,
    /// What matrices are rounded to, if they are.
    pub quantization: Option<Quantization>,
    /// Where the model runs.
    pub device: Device,
    /// The form in which latent attention reads prompts; without one, the cheaper.
    pub latent_form: Option<LatentForm>,
}

impl Default for DoctorOptions {
    fn default() -> Self {
        Self { weights: WeightType::AsStored, quantization: None, device: Device::Cpu, latent_form: None }
    }
}

impl DoctorOptions {
    /// In f32, results of two implementations differ by 5e-6 at most. Of rounded weights the bounds are one and a half to two
    /// times what the reference checkpoints measure, whose weights are random: their errors do not average out, and a
    /// router's choices are close. Of a wrong layer, errors are about 1.
    fn bounds(&self) -> Bounds {
        match (self.quantization, self.weights) {
            (None, WeightType::AsStored | WeightType::F32) => Bounds { values: 1e-4, experts: 0.0 },
            (None, WeightType::F16) => Bounds { values: 0.02, experts: 0.05 },
            (None, WeightType::Bf16) => Bounds { values: 0.15, experts: 0.15 },
            (Some(Quantization::Q8_0), _) => Bounds { values: 0.4, experts: 0.4 },
            (Some(Quantization::Q4_0 | Quantization::Q4KM), _) => Bounds { values: 0.75, experts: ANY },
        }
    }

    fn is_exact(&self) -> bool {
        self.quantization.is_none() && matches!(self.weights, WeightType::AsStored | WeightType::F32)
    }
}

struct Bounds {
    /// Of the error of computed values.
    values: f64,
    /// Of the share of a request's tokens whose experts differ in a layer; [`ANY`] where so many do that what follows
    /// is not judged.
    experts: f64,
}

/// A share that all may have.
const ANY: f64 = 1.0;

/// A place between the messages and the text, in the order in which data pass them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stage {
    /// Tile grids by picture size.
    Tiling,
    /// Decoded and tiled pictures.
    Preprocessing,
    /// Conversations to token ids.
    Templates,
    /// Text to ids and back.
    Tokenizer,
    /// The ids of a request's prompt.
    Tokens,
    /// The tile grids of a request's pictures.
    Tiles,
    /// The pixels of all views.
    Pixels,
    /// Normalised pixels.
    PixelValues,
    /// Patches with positions.
    VisionEmbed,
    /// The output of a block of the vision tower.
    VisionBlock(usize),
    /// The vision tower's output.
    Vision,
    /// The channels that the tower for high resolution makes of its features.
    HighNeck,
    /// That tower's output.
    HighVision,
    /// Visual tokens.
    Projector,
    /// What the language model is given.
    InputsEmbeds,
    /// A place in a layer of the language model.
    Layer(usize, LayerPart),
    /// The final norm.
    HiddenNorm,
    /// The logits.
    Logits,
    /// The distribution that a token is drawn from.
    Sampling,
    /// The answer, taking the most probable token each time.
    Greedy,
    /// The answer's text.
    Text,
    /// The answer with a repetition penalty.
    Penalty,
    /// The answer, with the prompt in chunks.
    Chunked,
    /// The answers of a batch.
    Batch,
    /// The experts that the layer for multi-token prediction sends each token to.
    DraftExperts,
    /// The weights of these experts' outputs.
    DraftExpertWeights,
    /// The logits of that layer.
    DraftLogits,
    /// The answer, with tokens drafted by that layer.
    Drafted,
}

/// A place in a layer of the language model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LayerPart {
    /// The experts that it sends each token to.
    Experts,
    /// The weights of these experts' outputs.
    ExpertWeights,
    /// Its output.
    Output,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Stage::Tiling => "tiling",
            Stage::Preprocessing => "preprocessing",
            Stage::Templates => "templates",
            Stage::Tokenizer => "tokenizer",
            Stage::Tokens => "tokens",
            Stage::Tiles => "tiles",
            Stage::Pixels => "pixels",
            Stage::PixelValues => "pixel values",
            Stage::VisionEmbed => "vision embed",
            Stage::VisionBlock(i) => return write!(f, "vision block {i}"),
            Stage::Vision => "vision",
            Stage::HighNeck => "high-resolution neck",
            Stage::HighVision => "high-resolution vision",
            Stage::Projector => "projector",
            Stage::InputsEmbeds => "input embeddings",
            Stage::Layer(i, LayerPart::Experts) => return write!(f, "layer {i} experts"),
            Stage::Layer(i, LayerPart::ExpertWeights) => return write!(f, "layer {i} expert weights"),
            Stage::Layer(i, LayerPart::Output) => return write!(f, "layer {i} output"),
            Stage::HiddenNorm => "final norm",
            Stage::Logits => "logits",
            Stage::Sampling => "sampling",
            Stage::Greedy => "greedy tokens",
            Stage::Text => "text",
            Stage::Penalty => "repetition penalty",
            Stage::DraftExperts => "draft experts",
            Stage::DraftExpertWeights => "draft expert weights",
            Stage::DraftLogits => "draft logits",
            Stage::Drafted => "drafted tokens",
            Stage::Chunked => "chunked prefill",
            Stage::Batch => "batch",
        };
        f.write_str(name)
    }
}

impl Serialize for Stage {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// All checks of one stage.
#[derive(Clone, Debug, Serialize)]
pub struct StageReport {
    /// The stage.
    pub stage: Stage,
    /// How often it was checked.
    pub checks: usize,
    /// The largest error of those that are judged; where none is, of all.
    pub error: f64,
    /// The largest that passes; `None` where the stage is shown and not judged.
    pub bound: Option<f64>,
    /// Whether all checks passed.
    pub passed: bool,
    /// The request with this error, and what differs there, where something does.
    pub note: Option<String>,
}

impl StageReport {
    /// Whether it says more: a failure more than a success, that more than what is not judged, and then the larger error.
    fn is_worse_than(&self, other: &Self) -> bool {
        let rank = |report: &Self| (!report.passed, report.bound.is_some());
        rank(self).cmp(&rank(other)).then(self.error.total_cmp(&other.error)).is_gt()
    }
}

/// The stages of one part of a reference: a checkpoint, or the files beside the checkpoints.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PartReport {
    /// The checkpoint's directory, or `.` for the files beside them.
    pub name: String,
    /// In the order of [`Stage`].
    pub stages: Vec<StageReport>,
    /// Why it was not checked, if it was not.
    pub skipped: Option<String>,
}

/// What came of a check.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The parts, checkpoints in the order of their names.
    pub parts: Vec<PartReport>,
}

impl Report {
    /// Whether every stage that was checked passed.
    pub fn passed(&self) -> bool {
        self.first_failure().is_none()
    }

    /// The first stage that diverges, with the name of its part.
    pub fn first_failure(&self) -> Option<(&str, &StageReport)> {
        let stages = self.parts.iter().flat_map(|part| part.stages.iter().map(|stage| (part.name.as_str(), stage)));
        stages.into_iter().find(|(_, stage)| !stage.passed)
    }
}

/// Checks a reference directory: one checkpoint with its golden files, or a directory of such checkpoints. Checkpoints of
/// systems that this version does not run are named as skipped.
///
/// # Errors
/// [`Error::NoReference`] if there is nothing to check; a file that is damaged; a checkpoint that does not load.
pub fn run(dir: &Path, options: &DoctorOptions) -> Result<Report> {
    let mut parts = Vec::new();
    if dir.join(golden::JSON).is_file() {
        parts.extend(checkpoint::check(dir, options)?);
    } else {
        parts.extend(set::check(dir)?);
        for checkpoint in checkpoints(dir)? {
            if checkpoint::is_known(&checkpoint)? {
                parts.extend(checkpoint::check(&checkpoint, options)?);
            } else {
                let skipped = Some("a system that this version does not run".into());
                parts.push(PartReport { name: name(&checkpoint), skipped, ..PartReport::default() });
            }
        }
    }
    if parts.iter().all(|part| part.stages.is_empty()) {
        return Err(Error::NoReference { dir: dir.into() });
    }
    Ok(Report { parts })
}

fn checkpoints(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::Read { path: dir.into(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.join(golden::JSON).is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn name(dir: &Path) -> String {
    dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into_owned()
}

/// Gathers the checks of one part.
struct Notebook {
    bounds: Bounds,
    is_exact: bool,
    /// Whether this request may have gone another way than the reference.
    is_lost: bool,
    stages: BTreeMap<Stage, StageReport>,
}

impl Notebook {
    fn new(options: &DoctorOptions) -> Self {
        Self { bounds: options.bounds(), is_exact: options.is_exact(), is_lost: false, stages: BTreeMap::new() }
    }

    fn into_report(self, name: String) -> PartReport {
        PartReport { name, stages: self.stages.into_values().collect(), skipped: None }
    }

    /// Computed values against expected ones.
    fn values(&mut self, stage: Stage, request: &str, got: &[f32], expected: &[f32]) {
        let error = if got.len() == expected.len() { relative_error(got, expected) } else { f64::INFINITY };
        let note = || format!("{request}: {} values, {} expected", got.len(), expected.len());
        let note = if got.len() == expected.len() { request.to_owned() } else { note() };
        self.add(stage, error, (!self.is_lost).then_some(self.bounds.values), note);
    }

    /// Probabilities, which are as far off as choices may be where weights are rounded.
    fn probabilities(&mut self, stage: Stage, request: &str, got: &[f32], expected: &[f32]) {
        let was_lost = std::mem::replace(&mut self.is_lost, !self.is_exact);
        self.values(stage, request, got, expected);
        self.is_lost = was_lost;
    }

    /// Another request: nothing has gone another way yet.
    fn begin(&mut self) {
        self.is_lost = false;
    }

    /// The reference does not say which way this request goes from here on.
    fn lose_the_way(&mut self) {
        self.is_lost = !self.is_exact;
    }

    /// Some tokens had to be sent to the reference's experts.
    fn correct_the_way(&mut self) {
        self.is_lost |= self.bounds.experts == ANY;
    }

    /// Things that are the same or not, whatever the type of the weights.
    fn same<T: PartialEq>(&mut self, stage: Stage, request: &str, got: &[T], expected: &[T]) {
        self.add(stage, share_of_differences(got, expected), Some(0.0), difference(request, got, expected));
    }

    /// As [`Notebook::same`], for choices that rounded weights may tip.
    fn chosen<T: PartialEq>(&mut self, stage: Stage, request: &str, got: &[T], expected: &[T]) {
        let bound = self.is_exact.then_some(0.0);
        self.add(stage, share_of_differences(got, expected), bound, difference(request, got, expected));
    }

    /// The experts of each token.
    fn experts(&mut self, stage: Stage, request: &str, got: &[&[u32]], expected: &[&[u32]]) {
        let bound = (!self.is_lost).then_some(self.bounds.experts);
        self.add(stage, share_of_differences(got, expected), bound, difference(request, got, expected));
    }

    fn add(&mut self, stage: Stage, error: f64, bound: Option<f64>, note: String) {
        // A comparison that is false for NaN too.
        let passed = bound.is_none_or(|bound| error <= bound);
        let note = (error != 0.0).then_some(note);
        let checks = self.stages.get(&stage).map_or(0, |report| report.checks) + 1;
        let new = StageReport { stage, checks, error, bound, passed, note };
        let report = self.stages.entry(stage).or_insert_with(|| new.clone());
        if new.is_worse_than(report) {
            *report = new;
        }
        report.checks = checks;
    }
}

fn relative_error(got: &[f32], expected: &[f32]) -> f64 {
    let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    let mut worst = 0f32;
    for (got, expected) in got.iter().zip(expected) {
        let difference = (got - expected).abs();
        if difference.is_nan() {
            return f64::NAN;
        }
        worst = worst.max(difference);
    }
    if worst == 0.0 { 0.0 } else { f64::from(worst) / f64::from(largest) }
}

fn share_of_differences<T: PartialEq>(got: &[T], expected: &[T]) -> f64 {
    let length = got.len().max(expected.len());
    let same = got.iter().zip(expected).filter(|(got, expected)| got == expected).count();
    if length == 0 { 0.0 } else { (length - same) as f64 / length as f64 }
}

fn difference<T: PartialEq>(request: &str, got: &[T], expected: &[T]) -> String {
    let first = got.iter().zip(expected).position(|(got, expected)| got != expected);
    let first = first.unwrap_or_else(|| got.len().min(expected.len()));
    format!("{request}: from place {first} of {}", expected.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nan_a_missing_value_and_a_large_error_do_not_pass() {
        let options = DoctorOptions::default();
        let failing: [(&[f32], &[f32]); 4] =
            [(&[f32::NAN], &[1.]), (&[1.], &[1., 2.]), (&[1.1], &[1.]), (&[1.], &[0.])];
        for (got, expected) in failing {
            let mut notebook = Notebook::new(&options);
            notebook.values(Stage::Vision, "request", &[1.], &[1.]);
            notebook.values(Stage::Vision, "request", got, expected);
            let report = Report { parts: vec![notebook.into_report("part".into())] };
            assert!(!report.passed(), "{got:?} {expected:?}");
        }
        let mut notebook = Notebook::new(&options);
        notebook.values(Stage::Vision, "request", &[1.00001, -5.], &[1., -5.]);
        assert!(Report { parts: vec![notebook.into_report("part".into())] }.passed());
    }

    #[test]
    fn the_first_stage_on_the_way_is_named_whichever_was_checked_first() {
        let mut notebook = Notebook::new(&DoctorOptions::default());
        notebook.same(Stage::Greedy, "a", &[1, 2], &[1, 3]);
        notebook.same(Stage::Tokens, "b", &[1, 2, 3], &[1, 2]);
        notebook.same(Stage::Tokenizer, "b", &[1], &[1]);
        let report = Report { parts: vec![notebook.into_report("part".into())] };
        let (_, stage) = report.first_failure().unwrap();
        assert_eq!((stage.stage, stage.note.as_deref()), (Stage::Tokens, Some("b: from place 2 of 2")));
    }
}
