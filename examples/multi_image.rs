//! Asks about two pictures, and asks again.
//!
//!     cargo run --release --example multi_image -- [MODEL]
//!
//! Without a hub id or a directory for MODEL, a small checkpoint of random weights answers: noise.
#![allow(clippy::print_stdout)]

use seekvl::{Answer, Conversation, Message, Model, Options, Result};

/// What the example does.
pub fn run(model: &str) -> Result<[Answer; 2]> {
    let model = Model::from_pretrained(model)?;
    let options = Options::default();

    let before_and_after = ["examples/images/table.jpg".into(), "examples/images/table-later.jpg".into()];
    let question = "Before: <image>\nAfter: <image>\nWhat has moved?";
    let conversation = Conversation::new().with(Message::user(question, before_and_after));
    let first = model.generate(&conversation, &options)?;
    println!("{}", first.text);

    // The history holds what the model wrote, markup included.
    let conversation = conversation.with(Message::assistant(&first.raw)).with(Message::user("And what has not?", []));
    let second = model.generate(&conversation, &options)?;
    println!("{}", second.text);
    Ok([first, second])
}

fn main() -> Result<()> {
    run(&std::env::args().nth(1).unwrap_or("tests/reference/vl2-tiny-like".into())).map(drop)
}
