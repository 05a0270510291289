//! One module for each command.

mod ask;
mod bench;
mod chat;
mod complete;
mod completions;
mod doctor;
mod ground;
mod inspect;
mod ocr;
mod plan;
mod quantize;

use crate::args::Command;
use crate::exit::{Exit, Result};

pub fn run(command: Command) -> Result<Exit> {
    match command {
        Command::Ask(args) => ask::run(args),
        Command::Ocr(args) => ocr::run(args),
        Command::Ground(args) => ground::run(args),
        Command::Chat(args) => chat::run(args),
        Command::Complete(args) => complete::complete(args),
        Command::Fim(args) => complete::fim(args),
        Command::Plan(args) => plan::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Quantize(args) => quantize::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Completions(args) => completions::run(&args),
    }
}
