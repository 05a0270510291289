//! Asks about two pictures, and asks again.
//!
//!     cargo run --release --example multi_image -- [MODEL]
//!
//! Without a hub id or a directory for MODEL, nano answers: the tiny model that is part of the crate.
#![allow(clippy::print_stdout)]

use seekvl::{Answer, Conversation, Message, Model, Options, Result};

/// What the example does.
pub fn run(model: &str) -> Result<[Answer; 2]> {
    let model = Model::from_pretrained(model)?;
    let options = Options::default();

    let before_and_after = ["examples/images/before.png".into(), "examples/images/after.png".into()];
    let conversation = Conversation::new().with(Message::question("What has changed?", before_and_after));
    let first = model.generate(&conversation, &options)?;
    println!("{}", first.text);

    // The history holds what the model wrote, markup included.
    let conversation = conversation
        .with(Message::assistant(&first.raw))
        .with(Message::user("What colour is the circle in the first picture?", []));
    let second = model.generate(&conversation, &options)?;
    println!("{}", second.text);
    Ok([first, second])
}

fn main() -> Result<()> {
    run(&std::env::args().nth(1).unwrap_or(seekvl::NANO.into())).map(drop)
}
