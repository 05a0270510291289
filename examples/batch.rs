//! Answers several questions at once, about several pictures.
//!
//!     cargo run --release --example batch -- [MODEL]
//!
//! Without a hub id or a directory for MODEL, nano answers: the tiny model that is part of the crate.
#![allow(clippy::print_stdout)]

use seekvl::{Answer, Conversation, Message, Model, Options, Result};

/// What is asked.
pub fn questions() -> Vec<Conversation> {
    vec![
        Message::question("What is the total?", ["examples/images/receipt.png".into()]).into(),
        Message::question("Which category is the largest?", ["examples/images/pie.png".into()]).into(),
        Message::question("What does the sign say?", ["examples/images/sign.png".into()]).into(),
    ]
}

/// What the example does.
pub fn run(model: &str) -> Result<Vec<Answer>> {
    let model = Model::from_pretrained(model)?;
    // Each answer is what it would be alone; together they take less time.
    let answers = model.batch(&questions(), &Options::default())?;

    for answer in &answers {
        println!("{}", answer.text);
    }
    Ok(answers)
}

fn main() -> Result<()> {
    run(&std::env::args().nth(1).unwrap_or(seekvl::NANO.into())).map(drop)
}
