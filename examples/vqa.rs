//! Asks a question about a picture.
//!
//!     cargo run --release --example vqa -- [MODEL]
//!
//! Without a hub id or a directory for MODEL, nano answers: the tiny model that is part of the crate.
#![allow(clippy::print_stdout)]

use seekvl::{Answer, Model, Result};

/// What the example does.
pub fn run(model: &str) -> Result<Answer> {
    let model = Model::from_pretrained(model)?;
    let answer = model.ask("examples/images/receipt.png", "What is the total?")?;

    println!("{}", answer.text);
    println!("({} tokens in, {} out, {:?})", answer.prompt_tokens, answer.tokens.len(), answer.finish);
    Ok(answer)
}

fn main() -> Result<()> {
    run(&std::env::args().nth(1).unwrap_or(seekvl::NANO.into())).map(drop)
}
