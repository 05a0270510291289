//! Reads the text in a picture.
//!
//!     cargo run --release --example ocr -- [MODEL]
//!
//! Without a hub id or a directory for MODEL, nano answers: the tiny model that is part of the crate.
#![allow(clippy::print_stdout)]

use seekvl::{Answer, Model, Result};

/// What the example does.
pub fn run(model: &str) -> Result<Answer> {
    let model = Model::from_pretrained(model)?;
    let answer = model.ocr("examples/images/page.png")?;

    println!("{}", answer.text);
    Ok(answer)
}

fn main() -> Result<()> {
    run(&std::env::args().nth(1).unwrap_or(seekvl::NANO.into())).map(drop)
}
