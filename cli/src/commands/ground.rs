//! `seekvl ground`.

use crate::args::GroundArgs;
use crate::draw;
use crate::exit::{Exit, Failure, Result};
use crate::picture::Picture;
use crate::session::{Session, Show, exit};
use crate::settings::Settings;
use seekvl::Message;
use seekvl::model::ground_prompt;

pub fn run(args: GroundArgs) -> Result<Exit> {
    let settings = Settings::new(args.shared)?;
    if args.target.trim().is_empty() {
        return Err(Failure::usage("there is nothing to find: the target is empty"));
    }
    if let Some(path) = &args.draw {
        draw::check(path)?;
    }
    let pictures = Picture::read_all(&[&args.image], &settings.decode)?;
    let mut session = Session::open(&settings)?;
    session.show = Show::Boxes;
    let message = Message::question(ground_prompt(&args.target), pictures.iter().map(Picture::image));
    let conversation = session.conversation().with(message);
    let answer = session.answer(&conversation, &pictures)?;
    if let Some(path) = &args.draw {
        draw::save(&pictures[0], &answer, path)?;
    }
    Ok(exit(&answer))
}
