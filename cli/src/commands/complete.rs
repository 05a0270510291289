//! `seekvl complete` and `seekvl fim`.

use crate::args::{CompleteArgs, FimArgs};
use crate::exit::{Exit, Result};
use crate::session::{Session, exit};
use crate::settings::Settings;

pub fn complete(args: CompleteArgs) -> Result<Exit> {
    let settings = Settings::of_text(args.shared)?;
    let answer = Session::open(&settings)?.go_on(|processor| processor.raw_prompt(&args.text))?;
    Ok(exit(&answer))
}

pub fn fim(args: FimArgs) -> Result<Exit> {
    let settings = Settings::of_text(args.shared)?;
    let answer = Session::open(&settings)?.go_on(|processor| processor.infill_prompt(&args.prefix, &args.suffix))?;
    Ok(exit(&answer))
}
