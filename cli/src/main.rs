//! The program `seekvl`.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod draw;
mod exit;
mod interrupt;
mod output;
mod picture;
mod progress;
mod report;
mod session;
mod settings;
mod table;
mod words;

use clap::Parser;
use exit::Exit;
use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = commands::run(args::Cli::parse().command).unwrap_or_else(|failure| {
        if failure.is_closed_pipe() {
            return Exit::Done;
        }
        output::complain(&failure);
        failure.exit
    });
    exit.into()
}
