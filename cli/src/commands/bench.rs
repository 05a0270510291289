//! `seekvl bench`.

use crate::args::{BenchArgs, StageArg};
use crate::exit::{Exit, Failure, Result};
use crate::output::Format;
use crate::progress::Bars;
use crate::session::load;
use crate::settings::{ModelSettings, OutputSettings};
use crate::table::{number, table, titled};
use comfy_table::Table;
use indicatif::BinaryBytes;
use seekvl::Image;
use seekvl::bench::{Cases, Report, bench};
use seekvl::plan::WeightBytes;
use serde::Serialize;
use std::time::Instant;

/// What `--json` says.
#[derive(Serialize)]
struct Json<'a> {
    model: &'a str,
    load: Load,
    #[serde(flatten)]
    report: &'a Report,
}

#[derive(Serialize)]
struct Load {
    seconds: f64,
    /// Of the weights as they are kept.
    weights_bytes: u64,
}

pub fn run(args: BenchArgs) -> Result<Exit> {
    let cases = cases(&args);
    let output = OutputSettings::from(args.output);
    let settings = ModelSettings::named(args.model, args.load)?;
    let mut bars = Bars::new(output.quiet);
    let files = settings.resolve(&mut bars)?;
    let started = Instant::now();
    let model = load(&settings, &mut bars)?;
    let load = Load {
        seconds: started.elapsed().as_secs_f64(),
        weights_bytes: WeightBytes::of(&files.checkpoint()?, settings.weights, settings.quantization).total(),
    };
    let report = bench(&model, &cases, |stage| bars.spin(format!("measuring {stage}")));
    bars.clear();
    let report = report.map_err(|error| match error {
        seekvl::Error::Vision(_) => Failure::new(Exit::BadImage, error),
        error => error.into(),
    })?;
    let mut output = output.open();
    let json = Json { model: &settings.name, load, report: &report };
    match output.format {
        Format::Json => output.json(&json)?,
        Format::Text => {
            output.line(format_args!("{}\n", limits(&json).trim_fmt()))?;
            output.line(stages(&json).trim_fmt())?;
        }
    }
    Ok(Exit::Done)
}

fn cases(args: &BenchArgs) -> Cases {
    let has = |stage| args.only.is_empty() || args.only.contains(&stage);
    let sizes = |stage, sizes: &[u32]| sizes.iter().filter(|_| has(stage)).map(|&size| size as usize).collect();
    Cases {
        preprocessing: has(StageArg::Preprocess),
        picture: args.picture.clone().map(Image::from),
        tiles: args.tiles.iter().filter(|_| has(StageArg::Vision)).map(|&tiles| tiles.into()).collect(),
        prompts: sizes(StageArg::Prefill, &args.prompt_tokens),
        contexts: sizes(StageArg::Decode, &args.context),
        answer: args.answer_tokens.into(),
        end_to_end: has(StageArg::EndToEnd),
        runs: args.runs.into(),
    }
}

fn limits(json: &Json<'_>) -> Table {
    let machine = &json.report.machine;
    let mut limits = table();
    let mut add = |name: &str, value: f64, unit: &str| {
        limits.add_row([name.into(), number(format_args!("{value:.0}")), unit.into()]);
    };
    add("this machine, threads", machine.threads as f64, "");
    add("  memory", machine.read_gb_s, "GB/s");
    add("  f32", machine.f32_gflop_s, "GFLOP/s");
    add("  bf16", machine.bf16_gflop_s, "GFLOP/s");
    add("  int8", machine.int8_gop_s, "GOP/s");
    limits
}

fn stages(json: &Json<'_>) -> Table {
    let Json { load, report, .. } = json;
    let mut stages = titled(["stage", "time", "rate", "of the limit"]);
    let mut add = |stage: String, seconds: Option<f64>, rate: String, share: Option<f64>| {
        let seconds = seconds.map(|seconds| format!("{seconds:.3} s")).unwrap_or_default();
        let share = share.map(|share| format!("{:.0} %", 100.0 * share)).unwrap_or_default();
        stages.add_row([stage.into(), number(seconds), number(rate), number(share)]);
    };
    let weights = format!("weights of {}", BinaryBytes(load.weights_bytes));
    add("load".into(), Some(load.seconds), weights, None);
    if let Some(one) = &report.preprocess {
        add(format!("3000 x 2000 JPEG to {} views", one.views), Some(one.seconds), String::new(), None);
    }
    for one in &report.vision {
        let rate = format!("{:.3} s a tile", one.seconds_per_tile);
        add(format!("vision, tiles: {}", one.tiles), Some(one.seconds), rate, Some(one.share_of_limit));
    }
    for one in &report.prefill {
        let rate = format!("{:.1} tokens/s", one.tokens_per_second);
        add(format!("prefill of {}", one.tokens), Some(one.seconds), rate, Some(one.share_of_limit));
    }
    for one in &report.decode {
        let rate = format!("{:.1} tokens/s", one.tokens_per_second);
        add(format!("decode after {}", one.context), None, rate, Some(one.share_of_limit));
    }
    if let Some(one) = &report.end_to_end {
        let rate = format!("first token after {:.3} s", one.first_token_seconds);
        let stage = format!("1536 x 1024 picture, {} + {} tokens", one.prompt_tokens, one.answer_tokens);
        add(stage, Some(one.seconds), rate, None);
    }
    if let Some(peak) = &report.peak_bytes {
        add("peak memory".into(), None, BinaryBytes(*peak).to_string(), None);
    }
    stages
}
