//! Prints an answer while it is generated.
//!
//!     cargo run --release --example streaming -- [MODEL]
//!
//! Without a hub id or a directory for MODEL, nano answers: the tiny model that is part of the crate.
#![allow(clippy::print_stdout)]

use seekvl::{Answer, Message, Model, Options, Result};
use std::io::Write;

/// What the example does.
pub fn run(model: &str) -> Result<(String, Answer)> {
    let model = Model::from_pretrained(model)?;
    let question = Message::question("Describe this picture.", ["examples/images/objects.png".into()]);

    let mut shown = String::new();
    let conversation = question.into();
    let mut stream = model.stream(&conversation, &Options::default())?;
    for delta in &mut stream {
        // Whole characters, whatever tokens they are made of.
        let delta = delta?;
        print!("{delta}");
        let _ = std::io::stdout().flush();
        shown += &delta;
    }
    println!();
    Ok((shown, stream.finish()))
}

fn main() -> Result<()> {
    run(&std::env::args().nth(1).unwrap_or(seekvl::NANO.into())).map(drop)
}
