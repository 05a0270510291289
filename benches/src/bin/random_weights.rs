//! Writes a checkpoint of random weights in the real shape of a DeepSeek model, or of one that R1 was distilled into.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use safetensors::Dtype;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const PROCESSOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/processor_config.json");
const TOKENIZER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/reference/vl2-tiny-like");

/// Writes a checkpoint of random weights in the real shape of DeepSeek-VL2, -V2, -V3, -LLM or a model that R1 was distilled into.
///
/// It loads and runs like the published checkpoint and takes the same time and memory; what it answers is noise. The
/// published vocabulary is not in this repository, so the tokenizer is the small one of a test checkpoint: most of the
/// tokens that the model can choose have no text.
#[derive(Parser)]
struct Arguments {
    /// The config.json to follow, e.g. benches/configs/deepseek-vl2-tiny.json.
    #[arg(long)]
    config: PathBuf,
    /// The processor_config.json to write; candidate resolutions and patch size come from --config.
    #[arg(long, default_value = PROCESSOR, hide_default_value = true)]
    processor: PathBuf,
    /// The folder to copy the tokenizer from [default: tests/reference/vl2-tiny-like].
    #[arg(long, default_value = TOKENIZER, hide_default_value = true)]
    tokenizer: PathBuf,
    /// How many layers of the language model to write, the last ones [default: all].
    #[arg(long)]
    layers: Option<usize>,
    /// The type of the weights.
    #[arg(long, value_enum, default_value_t = WeightType::Bf16)]
    dtype: WeightType,
    /// How many files the weights are spread over.
    #[arg(long, default_value_t = 1)]
    shards: usize,
    /// The same seed gives the same weights, whatever the number of shards and threads.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder to write; it must be new or empty.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum WeightType {
    F32,
    F16,
    Bf16,
}

impl From<WeightType> for Dtype {
    fn from(dtype: WeightType) -> Self {
        match dtype {
            WeightType::F32 => Self::F32,
            WeightType::F16 => Self::F16,
            WeightType::Bf16 => Self::BF16,
        }
    }
}

#[allow(clippy::print_stdout, reason = "a program's output")]
fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut config = read_json(&arguments.config)?;
    if let Some(layers) = arguments.layers {
        config = seekvl_benches::last_layers(&config, layers);
    }
    let written = seekvl_benches::write(
        &config,
        &read_json(&arguments.processor)?,
        &arguments.tokenizer,
        arguments.dtype.into(),
        arguments.shards,
        arguments.seed,
        &arguments.out,
    )?;
    println!(
        "{}: {} tensors, {:.2} billion parameters, {:.2} GB",
        arguments.out.display(),
        written.tensors,
        written.parameters as f64 / 1e9,
        written.bytes as f64 / 1e9
    );
    Ok(())
}

fn read_json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}
