//! How fast a model is on this machine, stage by stage, beside what the machine can do at most.
//!
//! Inputs are made up: what a stage takes depends on sizes, not on what a picture shows.

mod picture;

use crate::conversation::{Image, Message};
use crate::eyes::Eyes;
use crate::{Error, Model, Options, Result, TilingOptions};
use seekvl_language::{Cache, Cancel, Span};
use seekvl_nn::{Arithmetic, Cpu, Limits, Tensor};
use seekvl_vision::{TileGrid, Tiles};
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// What is measured. An empty list leaves a stage out.
#[derive(Clone, Debug)]
pub struct Cases {
    /// Whether a photograph is decoded and cut into tiles.
    pub preprocessing: bool,
    /// The photograph; one of 3000×2000 pixels is made up if not given.
    pub picture: Option<Image>,
    /// Numbers of tiles that go through vision tower and projector.
    pub tiles: Vec<usize>,
    /// Lengths of prompts.
    pub prompts: Vec<usize>,
    /// Tokens that stand before an answer whose tokens are measured.
    pub contexts: Vec<usize>,
    /// Tokens of such an answer.
    pub answer: usize,
    /// Whether a question about a picture is answered, from its pixels to 64 tokens.
    pub end_to_end: bool,
    /// How often each is done; the median counts.
    pub runs: usize,
}

impl Default for Cases {
    fn default() -> Self {
        Self {
            preprocessing: true,
            picture: None,
            tiles: vec![1],
            prompts: vec![512],
            contexts: vec![0, 512],
            answer: 32,
            end_to_end: true,
            runs: 3,
        }
    }
}

/// What was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What the machine can do at most.
    pub machine: Machine,
    /// From an image file to normalised patches.
    pub preprocess: Option<Preprocess>,
    /// Vision tower and projector.
    pub vision: Vec<Vision>,
    /// Reading a prompt.
    pub prefill: Vec<Prefill>,
    /// Writing an answer.
    pub decode: Vec<Decode>,
    /// A question about a picture.
    pub end_to_end: Option<EndToEnd>,
    /// Bytes of memory that the process held at most, loading included; nothing where the system does not say.
    pub peak_bytes: Option<u64>,
}

/// What the machine can do at most, with as many threads as the model uses: see [`Limits`].
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Machine {
    /// Threads.
    pub threads: usize,
    /// 10⁹ bytes of memory read in a second.
    pub read_gb_s: f64,
    /// 10⁹ operations in a second on `f32`.
    pub f32_gflop_s: f64,
    /// On `bf16`.
    pub bf16_gflop_s: f64,
    /// On integers of 8 bits.
    pub int8_gop_s: f64,
}

/// Preprocessing of one photograph.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Preprocess {
    /// Its views.
    pub views: usize,
    /// For all.
    pub seconds: f64,
}

/// Some tiles through vision tower and projector.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Vision {
    /// How many.
    pub tiles: usize,
    /// For all.
    pub seconds: f64,
    /// For each.
    pub seconds_per_tile: f64,
    /// Of the machine's rate of multiplications in the weights' arithmetic.
    pub share_of_limit: f64,
}

/// One prompt.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Prefill {
    /// Its length.
    pub tokens: usize,
    /// Until the logits of the next token.
    pub seconds: f64,
    /// Tokens read in a second.
    pub tokens_per_second: f64,
    /// Of the machine's rate of multiplications in the weights' arithmetic.
    pub share_of_limit: f64,
}

/// One answer.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Decode {
    /// Tokens before it.
    pub context: usize,
    /// Tokens written in a second.
    pub tokens_per_second: f64,
    /// Of the rate at which the machine could read the weights.
    pub share_of_limit: f64,
}

/// A question about a picture of 1536×1024 pixels.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct EndToEnd {
    /// Tokens of the prompt, those of the picture included.
    pub prompt_tokens: usize,
    /// Tokens of the answer.
    pub answer_tokens: usize,
    /// For all of it.
    pub seconds: f64,
    /// Of these, until the first token.
    pub first_token_seconds: f64,
}

/// Tokens of the answer in [`EndToEnd`].
const ANSWER: usize = 64;

/// Measures `model` and the machine. `tell` hears what is measured next.
///
/// # Errors
/// Prompts and contexts that do not fit the model, numbers that are 0, and whatever the model trips over.
pub fn bench(model: &Model, cases: &Cases, mut tell: impl FnMut(&str)) -> Result<Report> {
    let cases = Cases { runs: cases.runs.max(1), answer: cases.answer.max(1), ..cases.clone() };
    let mut report = measure(model, &cases, &mut tell)?;
    report.peak_bytes = peak_bytes();
    // Last, since it takes memory of its own. Shares were rates until now.
    tell("the machine");
    let limits = Limits::measure(Cpu::detect());
    report.machine = Machine::new(&limits);
    if let Some(eyes) = model.eyes() {
        report.vision.iter_mut().for_each(|one| one.share_of_limit /= rate(&limits, eyes.arithmetic()));
    }
    report.prefill.iter_mut().for_each(|one| one.share_of_limit /= rate(&limits, model.decoder().arithmetic()));
    report.decode.iter_mut().for_each(|one| one.share_of_limit /= limits.read);
    Ok(report)
}

/// The stages, with rates for shares: operations or, of [`Decode`], bytes in a second.
fn measure(model: &Model, cases: &Cases, tell: &mut impl FnMut(&str)) -> Result<Report> {
    let mut report = Report::default();
    if let Some(eyes) = model.eyes() {
        if cases.preprocessing {
            tell("preprocessing");
            report.preprocess = Some(preprocess(model, eyes, cases)?);
        }
        for &tiles in &cases.tiles {
            tell("vision");
            report.vision.push(vision(model, eyes, tiles, cases)?);
        }
    }
    for &tokens in &cases.prompts {
        tell("prefill");
        report.prefill.push(prefill(model, tokens, cases)?);
    }
    for &context in &cases.contexts {
        tell("decode");
        report.decode.push(decode(model, context, cases)?);
    }
    if cases.end_to_end && model.eyes().is_some() {
        tell("end to end");
        report.end_to_end = Some(end_to_end(model, cases)?);
    }
    Ok(report)
}

/// Bytes of memory that the process held at most, as Linux says.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

impl Machine {
    fn new(limits: &Limits) -> Self {
        let Limits { read, f32, bf16, int8 } = *limits;
        let [read_gb_s, f32_gflop_s, bf16_gflop_s, int8_gop_s] = [read, f32, bf16, int8].map(|rate| rate / 1e9);
        Self { threads: seekvl_nn::threads(), read_gb_s, f32_gflop_s, bf16_gflop_s, int8_gop_s }
    }
}

/// The median of the seconds that `work` takes, after a time that does not count.
fn median(runs: usize, mut work: impl FnMut() -> Result<f64>) -> Result<f64> {
    work()?;
    let mut times = (0..runs).map(|_| work()).collect::<Result<Vec<f64>>>()?;
    times.sort_by(f64::total_cmp);
    Ok((times[(runs - 1) / 2] + times[runs / 2]) / 2.0)
}

/// As [`median`], of all that `work` does.
fn time<T>(runs: usize, mut work: impl FnMut() -> Result<T>) -> Result<f64> {
    median(runs, || {
        let start = Instant::now();
        work()?;
        Ok(start.elapsed().as_secs_f64())
    })
}

fn rate(limits: &Limits, arithmetic: Arithmetic) -> f64 {
    match arithmetic {
        Arithmetic::F32 => limits.f32,
        Arithmetic::Bf16 => limits.bf16,
        Arithmetic::Int8 => limits.int8,
    }
}

fn preprocess(model: &Model, eyes: &Eyes, cases: &Cases) -> Result<Preprocess> {
    let picture = match &cases.picture {
        Some(picture) => picture.clone(),
        None => Image::Bytes(picture::jpeg(3000, 2000)?.into()),
    };
    let message = Message::question("", [picture]).into();
    let mut views = 0;
    let seconds = time(cases.runs, || {
        let Options { tiling, decode, .. } = Options::default();
        let prepared = model.processor().prepare(&message, &tiling, &decode)?;
        let tiles = &prepared.tiles[0];
        views = tiles.len();
        eyes.patches(tiles.size(), &tiles.views().collect::<Vec<_>>())
    })?;
    Ok(Preprocess { views, seconds })
}

fn vision(model: &Model, eyes: &Eyes, tiles: usize, cases: &Cases) -> Result<Vision> {
    if tiles == 0 {
        return Err(Error::NothingToMeasure("no tiles"));
    }
    let size = eyes.tile_size();
    // Equal views go through the tower once, and a grid of one tile is its global view once more. Where pictures are taken as a
    // whole there is no grid, and each tile is a picture.
    let whole = model.processor().grids(&[(size, size)], &TilingOptions::default())? == [TileGrid::NONE];
    let grid = if whole { TileGrid::NONE } else { TileGrid { cols: (tiles - 1).max(1) as u32, rows: 1 } };
    let pictures = if whole { tiles } else { 1 };
    let view = (size * size * 3) as usize;
    // The view of the only tile is that of the whole.
    let pixels = if tiles == 1 {
        picture::noise(view).repeat(1 + grid.tiles())
    } else {
        picture::noise((1 + grid.tiles()) * view)
    };
    let views = Tiles::from_views(grid, size, pixels).ok_or(Error::NothingToMeasure("no tiles"))?;
    let seconds = time(cases.runs, || (0..pictures).try_for_each(|_| eyes.see(&views, &Cancel::default()).map(drop)))?;
    let spec = model.processor().spec();
    let operations = spec.eyes.as_ref().map_or(0.0, |eyes| eyes.operations_per_view()) * tiles as f64;
    let share_of_limit = operations / seconds;
    Ok(Vision { tiles, seconds, seconds_per_tile: seconds / tiles as f64, share_of_limit })
}

/// Any tokens.
fn tokens(model: &Model, count: usize) -> Vec<u32> {
    let vocab = model.decoder().spec().vocab_size as u64;
    (0..count as u64).map(|i| (i * 7919 % vocab) as u32).collect()
}

/// Reads tokens into a cache, and computes the logits that follow the last.
fn read(model: &Model, ids: &[u32], cache: &mut Cache) -> Result<Tensor> {
    let decoder = model.decoder();
    let form = decoder.spec().attention.cheaper_form(ids.len(), cache.len());
    let mut last = None;
    for ids in ids.chunks(Options::default().prefill_chunk) {
        let span = Span { rows: ids.len(), cache: &mut *cache, form };
        last = Some(decoder.forward(&decoder.embed(ids)?, &mut [span], &mut ())?);
    }
    let last = last.ok_or(Error::NothingToMeasure("a prompt of no tokens"))?;
    Ok(decoder.logits(&last.narrow(0, last.dims()[0] - 1, 1).map_err(seekvl_nn::Error::from)?)?)
}

fn prefill(model: &Model, count: usize, cases: &Cases) -> Result<Prefill> {
    let ids = tokens(model, count);
    let seconds = time(cases.runs, || read(model, &ids, &mut model.decoder().new_cache()))?;
    let spec = model.decoder().spec();
    let output = (spec.vocab_size * spec.hidden_size) as f64;
    let operations = 2.0 * ((spec.parameters().active as f64 - output) * count as f64 + output);
    let share_of_limit = operations / seconds;
    Ok(Prefill { tokens: count, seconds, tokens_per_second: count as f64 / seconds, share_of_limit })
}

fn decode(model: &Model, context: usize, cases: &Cases) -> Result<Decode> {
    let mut cache = model.decoder().new_cache();
    let before = tokens(model, context);
    if context > 0 {
        read(model, &before, &mut cache)?;
    }
    let ids = tokens(model, cases.answer);
    let seconds = median(cases.runs, || {
        cache.truncate(context);
        let start = Instant::now();
        for id in &ids {
            read(model, std::slice::from_ref(id), &mut cache)?;
        }
        Ok(start.elapsed().as_secs_f64())
    })?;
    let tokens_per_second = cases.answer as f64 / seconds;
    let share_of_limit = tokens_per_second * model.decoder().bytes_per_token() as f64;
    Ok(Decode { context, tokens_per_second, share_of_limit })
}

fn end_to_end(model: &Model, cases: &Cases) -> Result<EndToEnd> {
    let question = "What does the sign above the second door on the left say, and which colour is it?";
    let message = Message::question(question, [Image::Pixels(Arc::new(picture::photograph(1536, 1024)?))]).into();
    let mut options = Options::default();
    options.generation.max_new_tokens = ANSWER;
    options.generation.ignore_eos = true;
    options.generation.repetition_guard = None;
    options.generation.markup_guard = false;
    let (mut prompt_tokens, mut firsts) = (0, Vec::new());
    let seconds = time(cases.runs, || {
        let answer = model.generate(&message, &options)?;
        prompt_tokens = answer.prompt_tokens;
        let timings = answer.timings;
        firsts.push((timings.images + timings.vision + timings.prefill).as_secs_f64());
        Ok(())
    })?;
    // The first does not count.
    let mut firsts = firsts.split_off(1);
    firsts.sort_by(f64::total_cmp);
    Ok(EndToEnd { prompt_tokens, answer_tokens: ANSWER, seconds, first_token_seconds: firsts[firsts.len() / 2] })
}
