//! Flags that several commands share.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum, value_parser};
use seekvl::Resolution;

const MODEL: &str = "Model";
const IMAGES: &str = "Images";
const GENERATION: &str = "Generation";
const OUTPUT: &str = "Output";

/// Where a model's files come from.
#[derive(Debug, Args)]
pub struct SourceArgs {
    /// Branch, tag or commit of a model on the hub.
    #[arg(long, value_name = "REVISION", help_heading = MODEL)]
    pub revision: Option<String>,
    /// Use only files that are on this machine already.
    #[arg(long, help_heading = MODEL)]
    pub offline: bool,
}

/// Which model, and how it is kept.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// nano (part of this program), hub id, such as deepseek-ai/deepseek-vl2-tiny, directory, or GGUF file [default: nano].
    ///
    /// A directory called nano is meant by ./nano.
    #[arg(short, long, value_name = "ID_OR_DIR", help_heading = MODEL)]
    pub model: Option<String>,
    #[command(flatten)]
    pub load: LoadArgs,
}

/// How a model is kept.
#[derive(Debug, Args)]
pub struct LoadArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// Type that weights are kept in.
    #[arg(long, value_enum, default_value_t, help_heading = MODEL)]
    pub dtype: DtypeArg,
    /// Round matrices to so many bits while they are loaded: less memory and faster, a little less exact.
    #[arg(long, value_enum, help_heading = MODEL)]
    pub quantization: Option<QuantizationArg>,
    /// Where the model runs.
    #[arg(long, value_enum, default_value_t, help_heading = MODEL)]
    pub device: DeviceArg,
    /// Leave experts in their files, but for so many bytes of those used last: 4GB, 512MiB.
    ///
    /// For models that are larger than memory. Answers are the same, as soon as the disk has them.
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = MODEL)]
    pub expert_budget: Option<u64>,
    /// Let every token attend to the last N only, so that text may be longer than the model's context.
    ///
    /// What is further back is forgotten. Without it, a prompt that does not fit is an error, and an answer ends where
    /// the context is full.
    #[arg(long, value_name = "N", help_heading = MODEL)]
    pub context_window: Option<usize>,
    /// What keys and values of the tokens so far are kept as [default: f32 beside weights of f32, else bf16].
    #[arg(long, value_enum, value_name = "TYPE", help_heading = MODEL)]
    pub cache_type: Option<CacheTypeArg>,
    /// Threads that compute [default: as many as the system grants]. Answers do not depend on it.
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..), help_heading = MODEL)]
    pub threads: Option<u16>,
}

/// Type of the weights in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DtypeArg {
    /// As they are stored, as far as the device can compute with that.
    #[default]
    Auto,
    /// 32-bit floats.
    F32,
    /// Brain floats: half the memory.
    Bf16,
}

/// Types of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum CacheTypeArg {
    /// 32-bit floats.
    F32,
    /// Brain floats: half the memory.
    Bf16,
    /// 8 bits and scales: about half of that again, a little less exact.
    #[value(name = "q8_0")]
    Q8_0,
}

/// Mixtures of formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum QuantizationArg {
    /// 8 bits.
    #[value(name = "q8_0")]
    Q8_0,
    /// 4 bits in the language model, 8 in the vision tower.
    #[value(name = "q4_0")]
    Q4_0,
    /// 4 bits, 6 where it matters, 8 in the vision tower.
    #[value(name = "q4_k_m")]
    Q4KM,
}

/// Types of the matrices in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum FileTypeArg {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// Brain floats.
    Bf16,
    /// 8 bits.
    #[value(name = "q8_0")]
    Q8_0,
    /// 4 bits; the output layer 6 bits.
    #[value(name = "q4_0")]
    Q4_0,
    /// 4 bits with minima, 6 where it matters more.
    #[value(name = "q4_k_m")]
    Q4KM,
}

/// Where a model runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DeviceArg {
    /// The processor.
    #[default]
    Cpu,
    /// The first NVIDIA GPU, in a program built with the feature cuda.
    Cuda,
    /// Apple's GPU, in a program built with the feature metal.
    Metal,
}

/// How latent attention multiplies with its cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LatentFormArg {
    /// Queries are taken down to the latents.
    Absorbed,
    /// Latents are taken up to keys and values.
    Expanded,
}

/// How images are read and cut into tiles.
#[derive(Debug, Args)]
pub struct ImageArgs {
    /// Whether images are cut into tiles besides the view of the whole.
    #[arg(long, value_enum, default_value_t, help_heading = IMAGES)]
    pub crop: CropArg,
    /// The most tiles of an image: fewer are faster and see less.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    #[arg(help_heading = IMAGES)]
    pub max_tiles: Option<u32>,
    /// A size in pixels that images may be fitted to, in place of the model's. May be given several
    /// times; the first is one tile, and the others are whole numbers of tiles.
    #[arg(long, value_name = "WxH", value_parser = resolution, help_heading = IMAGES)]
    pub candidate: Vec<Resolution>,
    /// Take pixels as they are stored, as the original implementation does.
    ///
    /// The orientation that a camera noted is ignored, transparency dropped, 16-bit grey clipped.
    #[arg(long, help_heading = IMAGES)]
    pub as_stored: bool,
    /// The largest image file, in bytes [default: 268435456].
    #[arg(long, value_name = "N", help_heading = IMAGES)]
    pub max_image_bytes: Option<u64>,
    /// The most pixels of an image [default: 178956970].
    #[arg(long, value_name = "N", help_heading = IMAGES)]
    pub max_image_pixels: Option<u64>,
}

/// A number of bytes, with a unit or without.
fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 7] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("KB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("", 1),
    ];
    let with = |(unit, size): (&str, u64)| {
        let number: f64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        // As a `u64`, what is negative or too large comes out as the nearest that is not.
        (number.is_finite() && number >= 0.0).then_some((number * size as f64) as u64)
    };
    UNITS.into_iter().find_map(with).ok_or_else(|| "not a number of bytes, such as 4GB or 512MiB".into())
}

fn resolution(text: &str) -> Result<Resolution, String> {
    let sides = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides
        .map(|(width, height): (u32, u32)| Resolution::from((width, height)))
        .ok_or_else(|| "not WIDTHxHEIGHT, such as 768x384".into())
}

/// Whether images are cut into tiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CropArg {
    /// As the original: with at most two images in the conversation.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// How an answer is generated. Without a temperature, the most probable token is always taken.
#[derive(Debug, Args)]
pub struct GenerationArgs {
    /// The most tokens of an answer.
    #[arg(long, value_name = "N", help_heading = GENERATION)]
    pub max_tokens: Option<usize>,
    /// Draw tokens at random, the more boldly the higher; 0 always takes the most probable [default: 0].
    #[arg(long, value_name = "T", allow_negative_numbers = true, help_heading = GENERATION)]
    pub temperature: Option<f32>,
    /// Draw only from the N most probable tokens.
    #[arg(long, value_name = "N", requires = "temperature", help_heading = GENERATION)]
    pub top_k: Option<usize>,
    /// Draw only from the most probable tokens that have P of the probability together.
    #[arg(long, value_name = "P", requires = "temperature", help_heading = GENERATION)]
    pub top_p: Option<f32>,
    /// Draw only from tokens that are P times as probable as the most probable.
    #[arg(long, value_name = "P", requires = "temperature", help_heading = GENERATION)]
    pub min_p: Option<f32>,
    /// Make tokens that were there already less probable; 1 is no penalty.
    #[arg(long, value_name = "X", help_heading = GENERATION)]
    pub repetition_penalty: Option<f32>,
    /// Never say N tokens in a row that were said before.
    #[arg(long, value_name = "N", help_heading = GENERATION)]
    pub no_repeat_ngram: Option<usize>,
    /// Where random numbers start: the same seed gives the same answer [default: 0].
    #[arg(long, value_name = "N", help_heading = GENERATION)]
    pub seed: Option<u64>,
    /// End the answer before this text. May be given several times.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    #[arg(help_heading = GENERATION)]
    pub stop: Vec<String>,
    /// Report log-probabilities with --json: of the chosen token, and of the N most probable.
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    #[arg(requires = "json", help_heading = GENERATION)]
    pub logprobs: Option<usize>,
    /// The most tokens that a model thinks before it is made to answer (DeepSeek-R1).
    #[arg(long, value_name = "N", help_heading = GENERATION)]
    pub thinking_budget: Option<usize>,
    /// Let the model's layer for multi-token prediction, if it has one (DeepSeek-V3), draft tokens that the model
    /// then verifies: the answer is the same.
    #[arg(long, help_heading = GENERATION)]
    pub drafts: bool,
    /// Let an answer go round in circles until the limit, instead of ending it there.
    #[arg(long, help_heading = GENERATION)]
    pub no_repetition_guard: bool,
    /// Leave grounding markup as the model writes it, well formed or not.
    #[arg(long, help_heading = GENERATION)]
    pub no_markup_guard: bool,
    /// Read the prompt in pieces of N tokens: fewer take less memory, and the answer is the same.
    ///
    /// 0 reads it in one piece [default: 512].
    #[arg(long, value_name = "N", help_heading = GENERATION)]
    pub prefill_chunk: Option<usize>,
}

/// What is printed.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// Print JSON.
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
    /// Print no progress and no warnings.
    #[arg(short, long, help_heading = OUTPUT)]
    pub quiet: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units() {
        let cases =
            [("0", 0), ("17", 17), ("4GB", 4_000_000_000), ("1.5 MiB", 3 << 19), ("2KB", 2000), ("1GiB", 1 << 30)];
        for (text, expected) in cases {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "GB", "-1", "4 apples", "NaN", "inf"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
