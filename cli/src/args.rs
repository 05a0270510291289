//! The command line as it is typed. [`crate::settings`] makes typed settings of it.

mod groups;

pub use groups::{
    CacheTypeArg, CropArg, DeviceArg, DtypeArg, FileTypeArg, GenerationArgs, ImageArgs, LatentFormArg, LoadArgs,
    ModelArgs, OutputArgs, QuantizationArg, SourceArgs,
};

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use clap_complete::Shell;
use std::ffi::OsString;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Examples:
  seekvl ask receipt.png \"What is the total?\"
  seekvl ask photo.jpg \"What is this?\" --model deepseek-ai/deepseek-vl2-tiny
  seekvl plan photo.jpg --model deepseek-ai/deepseek-vl2-tiny   what it would take
  seekvl help ask                                               more about a command";

const AFTER_LONG_HELP: &str = "\
Without --model, nano answers: a tiny model that is part of this program, trained on synthetic
pictures. Another MODEL is the id of a repository on the Hugging Face hub, which is downloaded once
into the standard cache (HF_HOME and HF_TOKEN are respected), a directory in the same layout, or a
GGUF file.

Answers go to standard output, everything else to standard error. A terminal sees an answer as it
is generated; a pipe or a file gets it when it is complete. Ctrl-C ends an answer early and keeps
what there is of it; a second one ends the program.

Examples:
  seekvl ask receipt.png \"What is the total?\"
  seekvl ask photo.jpg \"What is this?\" --model deepseek-ai/deepseek-vl2-tiny
  seekvl ocr page-*.png --model ./my-model --json > pages.jsonl
  seekvl ground table.jpg \"the red cup\" --draw cup.png --model deepseek-ai/deepseek-vl2-tiny

Exit codes:
    0  done
    1  something else failed, such as writing a file
    2  the command line is wrong
    3  an image cannot be read
    4  a model cannot be found, loaded or run
    5  doctor: a stage diverged from the reference
    6  the prompt does not fit the model's context
  130  interrupted";

/// Asks DeepSeek-VL2 about pictures, on this machine.
#[derive(Debug, Parser)]
#[command(name = "seekvl", version, arg_required_else_help = true)]
#[command(after_help = AFTER_HELP, after_long_help = AFTER_LONG_HELP)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Ask(AskArgs),
    Ocr(OcrArgs),
    Ground(GroundArgs),
    Chat(ChatArgs),
    Complete(CompleteArgs),
    Fim(FimArgs),
    Plan(PlanArgs),
    Inspect(InspectArgs),
    Bench(BenchArgs),
    Quantize(QuantizeArgs),
    Doctor(DoctorArgs),
    Completions(CompletionsArgs),
}

/// Ask a question about images, or without any.
#[derive(Debug, Args)]
#[command(override_usage = "seekvl ask [OPTIONS] [IMAGE]... QUESTION")]
#[command(after_help = "\
Examples:
  seekvl ask cat.jpg \"What is the cat doing?\" -m MODEL
  seekvl ask before.png after.png \"What has changed?\" -m MODEL
  seekvl ask menu.jpg \"List the dishes.\" -m MODEL --json | jq -r .text
  curl -s https://example.com/cat.jpg | seekvl ask - \"What is this?\" -m MODEL
  seekvl ask a.png b.png \"First: <image> Second: <image> Which is brighter?\" -m MODEL

With --json, standard output is one object: images, text, raw (with the model's markup), thinking
(of a model that thinks before it answers), tokens, finish_reason, prompt_tokens, image_tokens (of
each image), cached_tokens, regions (label and boxes: 0-999, and in pixels of the last image),
logprobs (with --logprobs), drafts (with --drafts: proposed and accepted), experts (with
--expert-budget: hit_rate, bytes_read and more) and timings (seconds of each stage).

A terminal also sees what a model thinks before it answers, on standard error.")]
pub struct AskArgs {
    /// Image files (- for standard input), and last the question.
    ///
    /// The images come before the question, unless it says <image> where each of them belongs.
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<OsString>,
    /// Write the last image with the boxes of the answer to this file.
    #[arg(long, value_name = "FILE")]
    pub draw: Option<PathBuf>,
    /// Print grounding tags as the model writes them, instead of only the words.
    #[arg(long)]
    pub markup: bool,
    #[command(flatten)]
    pub shared: SharedArgs,
}

/// Read the text in images.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seekvl ocr page.png -m MODEL
  seekvl ocr scans/*.jpg -m MODEL --json > pages.jsonl
  pdftoppm -png -singlefile -r 150 letter.pdf - | seekvl ocr - -m MODEL

Each image is read by itself. With several, the text of each follows a line ==> FILE <==. With
--json, standard output has one object a line for each image, as of ask, or with its name and error.
An image that cannot be read does not keep the others from being read, but makes the exit code 3.")]
pub struct OcrArgs {
    /// Image files (- for standard input).
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    #[command(flatten)]
    pub shared: SharedArgs,
}

/// Find a thing in an image.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seekvl ground table.jpg \"the red cup\" -m MODEL
  seekvl ground table.jpg \"all cups\" --draw cups.png -m MODEL
  seekvl ground table.jpg \"the red cup\" -m MODEL --json | jq '.regions[].boxes[].pixels'

Prints a line for each box: the label, left, top, right and bottom in pixels of the image, and how
the box was read (as written, or what had to be repaired), separated by tabs. --json is as for ask.")]
pub struct GroundArgs {
    /// Image file (- for standard input).
    pub image: PathBuf,
    /// What to find, in words.
    pub target: String,
    /// Write the image with the boxes drawn on it to this file.
    #[arg(long, value_name = "FILE")]
    pub draw: Option<PathBuf>,
    #[command(flatten)]
    pub shared: SharedArgs,
}

/// Go on with a text.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seekvl complete \"The three laws of robotics are\" -m MODEL --max-tokens 100

The text is given to the model as it stands, without a chat template. Only what comes after it is
printed. --json is as for ask.")]
pub struct CompleteArgs {
    /// The text.
    pub text: String,
    #[command(flatten)]
    pub shared: TextArgs,
}

/// Fill in the middle of a text, with a model that was trained to.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seekvl fim \"def mean(xs):\n    return \" \" / len(xs)\" -m deepseek-ai/DeepSeek-Coder-V2-Lite-Base

Prints what belongs between the two. --json is as for ask.")]
pub struct FimArgs {
    /// What comes before.
    pub prefix: String,
    /// What comes after.
    pub suffix: String,
    #[command(flatten)]
    pub shared: TextArgs,
}

/// Talk with a model about images.
#[derive(Debug, Args)]
#[command(after_help = "\
Commands, each on a line of its own:
  /image FILE   show an image with the next message
  /reset        begin a new conversation
  /help         list these commands
  /quit         leave (as Ctrl-D does)

Examples:
  seekvl chat -m MODEL
  seekvl chat photo.jpg -m MODEL --system \"Answer in French.\"
  printf 'What is this?\\nWhy?\\n' | seekvl chat photo.jpg -m MODEL --json

Messages may come from a pipe, one a line. With --json, each answer is one object on a line; one that
fails says error in it. From a pipe, the exit code is that of the first line that failed.")]
pub struct ChatArgs {
    /// Image files to show with the first message.
    #[arg(value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    #[command(flatten)]
    pub shared: SharedArgs,
}

/// Tell what images would cost a model, before it is loaded.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seekvl plan photo.jpg -m MODEL
  seekvl plan page-1.png page-2.png --question \"What has changed?\" -m MODEL
  seekvl plan photo.jpg --crop off -m MODEL

Reads the headers of images and weight files, and the model's configuration, not its weights. The
exit code is 6 if the prompt does not fit the model's context. Memory is an estimate for a CPU.")]
pub struct PlanArgs {
    /// Image files (- for standard input).
    #[arg(value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// The question that the prompt ends with.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub question: String,
    #[command(flatten)]
    pub shared: SharedArgs,
}

/// Show what a model is made of.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seekvl inspect
  seekvl inspect deepseek-ai/deepseek-vl2-tiny
  seekvl inspect ./my-model --json | jq .parameters.total
  seekvl inspect benches/configs/deepseek-v2.json               a configuration alone

Of the weight files only the headers are read. The cache is shown beside what it would be if each
query head had keys and values of its own.")]
pub struct InspectArgs {
    /// nano (part of this program), a hub id, a directory, a GGUF file, or the .json file of a configuration.
    #[arg(default_value = seekvl::NANO)]
    pub model: String,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Measure how fast a model is on this machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seekvl bench deepseek-ai/deepseek-vl2-tiny
  seekvl bench ./my-model --quantization q4_k_m --only decode --context 0,512,1536 --json

Each figure is the median of several runs, beside the share that it is of what this machine can do
at most, which is measured too: memory read in one stream for each thread, and multiplications of
numbers in registers. Let nothing else run meanwhile.")]
pub struct BenchArgs {
    /// nano (part of this program), a hub id or a directory.
    #[arg(default_value = seekvl::NANO)]
    pub model: String,
    #[command(flatten)]
    pub load: LoadArgs,
    /// What to measure [default: everything].
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STAGE")]
    pub only: Vec<StageArg>,
    /// Tiles that go through the vision tower.
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "1")]
    pub tiles: Vec<u16>,
    /// Lengths of prompts.
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "512")]
    pub prompt_tokens: Vec<u32>,
    /// Tokens before an answer, whose tokens are then measured.
    #[arg(long, value_delimiter = ',', value_name = "N", default_value = "0,512")]
    pub context: Vec<u32>,
    /// Tokens of such an answer.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = value_parser!(u16).range(1..))]
    pub answer_tokens: u16,
    /// The picture to decode and cut into tiles [default: a JPEG of 3000x2000 pixels, made up].
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// How often each is done, besides a first time that does not count.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u16).range(1..))]
    pub runs: u16,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Write a model into one GGUF file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seekvl quantize deepseek-ai/deepseek-vl2-tiny --to q4_k_m -o vl2-tiny.gguf
  seekvl ask photo.jpg \"What is this?\" -m vl2-tiny.gguf
  seekvl quantize ./my-model --to bf16 -o my-model.gguf

Tensors have the names and types that llama.cpp gives them; its programs read the files of language
models. The vision tower and the projector are in the same file. A model's layer for multi-token
prediction is left out. A file of that name is replaced when the new one is complete.")]
pub struct QuantizeArgs {
    /// nano (part of this program), a hub id, a directory or a GGUF file.
    pub model: String,
    /// What matrices become.
    #[arg(long, value_enum)]
    pub to: FileTypeArg,
    /// The file.
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// A part of the way from a picture to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StageArg {
    /// A photograph to tiles.
    Preprocess,
    /// Tiles through vision tower and projector.
    Vision,
    /// Reading a prompt.
    Prefill,
    /// Writing an answer.
    Decode,
    /// A question about a picture.
    EndToEnd,
}

/// Check this build on this machine against reference results.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seekvl doctor --reference tests/reference
  seekvl doctor --reference tests/reference/vl2-tiny-like --dtype bf16

Runs every request of every reference checkpoint stage by stage, and prints the largest error of
each stage with the bound that it must keep. The exit code is 5 if any stage diverges.")]
pub struct DoctorArgs {
    /// A reference directory, or a directory of several.
    #[arg(long, value_name = "DIR")]
    pub reference: PathBuf,
    /// Type that weights are kept in.
    #[arg(long, value_enum, default_value_t)]
    pub dtype: DtypeArg,
    /// Round matrices to so many bits.
    #[arg(long, value_enum)]
    pub quantization: Option<QuantizationArg>,
    /// Where the models run.
    #[arg(long, value_enum, default_value_t)]
    pub device: DeviceArg,
    /// How latent attention reads prompts [default: whichever is cheaper].
    #[arg(long, value_enum, value_name = "FORM")]
    pub latent_form: Option<LatentFormArg>,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Print a completion script for a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  seekvl completions bash > ~/.local/share/bash-completion/completions/seekvl
  seekvl completions zsh > ~/.zfunc/_seekvl
  seekvl completions fish > ~/.config/fish/completions/seekvl.fish")]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: Shell,
}

/// What commands have in common that hold a conversation, about images or without any.
#[derive(Debug, Args)]
pub struct SharedArgs {
    #[command(flatten)]
    pub text: TextArgs,
    /// What the model is told before the conversation.
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    #[command(flatten)]
    pub image: ImageArgs,
}

/// What all commands that generate text have in common.
#[derive(Debug, Args)]
pub struct TextArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub generation: GenerationArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}
