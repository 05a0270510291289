//! `seekvl completions`.

use crate::args::{Cli, CompletionsArgs};
use crate::exit::{Exit, Result};
use clap::CommandFactory;
use std::io::Write;

pub fn run(args: &CompletionsArgs) -> Result<Exit> {
    // Into memory first: clap_complete panics where it cannot write, as into a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "seekvl", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(Exit::Done)
}
