//! `seekvl quantize`.

use crate::args::QuantizeArgs;
use crate::exit::{Exit, Failure, Result};
use crate::output::Format;
use crate::progress::Bars;
use crate::settings::{OutputSettings, SourceSettings};
use indicatif::BinaryBytes;
use seekvl::gguf;
use serde::Serialize;
use std::path::PathBuf;

/// What `--json` says.
#[derive(Serialize)]
struct Report {
    file: PathBuf,
    bytes: u64,
}

pub fn run(args: QuantizeArgs) -> Result<Exit> {
    let settings = OutputSettings::from(args.output);
    let mut bars = Bars::new(settings.quiet);
    let files = SourceSettings::from(args.source).resolve_whole(&args.model, &mut bars)?;
    let bytes = gguf::quantize(&files, args.to.into(), &args.out, &mut &mut bars).map_err(|error| match error {
        // The model's own files were read before.
        seekvl::Error::Read { .. } => Failure::new(Exit::Failed, error),
        error => error.into(),
    })?;
    let mut output = settings.open();
    match output.format {
        Format::Json => output.json(&Report { file: args.out, bytes })?,
        Format::Text => output.line(format_args!("{}: {}", args.out.display(), BinaryBytes(bytes)))?,
    }
    Ok(Exit::Done)
}
