//! `seekvl plan`.

use crate::args::PlanArgs;
use crate::exit::{Exit, Failure, Result};
use crate::output::{Format, Output};
use crate::picture;
use crate::progress::Bars;
use crate::settings::Settings;
use crate::table::{number, pair, table, titled};
use indicatif::{BinaryBytes, HumanCount};
use seekvl::plan::{Plan, WeightBytes};
use seekvl::{Conversation, Message, Processor};
use serde::Serialize;
use std::io;

/// What `--json` says.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    /// The files, in the order of the plan's `images`.
    files: &'a [String],
    #[serde(flatten)]
    plan: &'a Plan,
    /// Whether the prompt fits the context.
    fits: bool,
    /// Tokens of the answer that there is room for.
    room: usize,
}

pub fn run(args: PlanArgs) -> Result<Exit> {
    let settings = Settings::new(args.shared)?;
    picture::check_stdin(&args.images)?;
    let (mut files, mut images, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
    for path in &args.images {
        let (image, size) = picture::measure(path, &settings.decode).map_err(|failure| {
            let hint = if path.exists() { "" } else { " (a question goes after --question)" };
            Failure::new(failure.exit, anyhow::anyhow!("{failure}{hint}"))
        })?;
        files.push(path.display().to_string());
        images.push(image);
        sizes.push(size);
    }
    let conversation = Conversation { system: settings.system.clone(), ..Conversation::new() };
    let conversation = conversation.with(Message::question(args.question, images));

    let model = settings.model.resolve(&mut Bars::new(settings.output.quiet))?;
    let mut processor = Processor::read(&model)?;
    if let Some(window) = settings.model.context_window {
        processor = processor.with_context_window(window)?;
    }
    if let Some(kind) = settings.model.cache_type {
        processor = processor.with_cache_type(kind);
    }
    let mut weights = match model.shards.is_empty() {
        true => WeightBytes::assumed(processor.spec(), settings.model.weights, settings.model.quantization),
        false => WeightBytes::of(&model.checkpoint()?, settings.model.weights, settings.model.quantization),
    };
    if let Some(budget) = settings.model.expert_budget {
        weights = weights.with_expert_budget(processor.spec(), budget);
    }
    let plan = Plan::with_sizes(&processor, &conversation, &sizes, &settings.options, weights)?;

    let mut output = settings.output.open();
    match output.format {
        Format::Json => {
            let (fits, room) = (plan.fits(), plan.room());
            output.json(&Report { model: &settings.model.name, files: &files, plan: &plan, fits, room })?;
        }
        Format::Text => print(&mut output, &files, &plan)?,
    }
    Ok(if plan.fits() { Exit::Done } else { Exit::DoesNotFit })
}

fn print(output: &mut Output, files: &[String], plan: &Plan) -> io::Result<()> {
    if !files.is_empty() {
        let mut images = titled(["image", "size", "tiles", "tokens"]);
        for (file, image) in files.iter().zip(&plan.images) {
            images.add_row([
                file.into(),
                number(format_args!("{} x {}", image.width, image.height)),
                match image.grid().tiles() {
                    0 => number("none"),
                    _ => number(format_args!("{} x {}", image.cols, image.rows)),
                },
                number(HumanCount(image.tokens as u64)),
            ]);
        }
        output.line(format_args!("{}\n", images.trim_fmt()))?;
    }
    let count = |tokens: usize| HumanCount(tokens as u64);
    let (prompt, of_images) = (count(plan.prompt_tokens), count(plan.image_tokens));
    let context = count(plan.context);
    let verdict = match plan.fits() {
        true => format!("fits, with room for an answer of {} tokens", count(plan.room())),
        false => "the prompt does not fit".into(),
    };
    let memory = &plan.memory;
    let (mapped, held) = (BinaryBytes(memory.weights.mapped), BinaryBytes(memory.weights.held));
    let mut totals = table();
    totals.add_row(pair("prompt", format_args!("{prompt} tokens, {of_images} of them for images")));
    totals.add_row(pair("context", format_args!("{context} tokens: {verdict}")));
    totals.add_row(pair("peak memory", format_args!("{}, about", BinaryBytes(memory.peak))));
    totals.add_row(pair("  weights", format_args!("{mapped} mapped from files, {held} held")));
    let (cache, each) = (BinaryBytes(memory.cache), BinaryBytes(plan.cache_bytes_per_token as u64));
    totals.add_row(pair("  cache", format_args!("{cache} in {}, {each} a token", plan.cache_type)));
    totals.add_row(pair("  vision", BinaryBytes(memory.vision)));
    totals.add_row(pair("  language", BinaryBytes(memory.language)));
    output.line(totals.trim_fmt())
}
