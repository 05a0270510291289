//! Finds a thing in a picture, and draws a box around it.
//!
//!     cargo run --release --example grounding -- [MODEL] [OUT.png]
//!
//! Without a hub id or a directory for MODEL, nano answers: the tiny model that is part of the crate.
#![allow(clippy::print_stdout)]

use seekvl::draw::{DrawOptions, draw, save};
use seekvl::{Answer, DecodeOptions, Model, Result, Rgb};
use std::path::Path;

/// What the example does.
pub fn run(model: &str, out: &Path) -> Result<Answer> {
    let model = Model::from_pretrained(model)?;
    let picture = Rgb::open("examples/images/objects.png", &DecodeOptions::default())?;
    let answer = model.ground(picture.clone(), "the red cup")?;

    for region in &answer.regions {
        for found in &region.boxes {
            // None for something that the model wrote where a box should be, and that is none.
            let pixels = found.pixels(picture.width(), picture.height());
            println!("{}: {pixels:?}", region.label.as_deref().unwrap_or("?"));
        }
    }
    save(&draw(&picture, &answer.regions, &DrawOptions::default())?, out)?;
    Ok(answer)
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().unwrap_or(seekvl::NANO.into());
    run(&model, arguments.next().unwrap_or("grounding.png".into()).as_ref()).map(drop)
}
