//! `seekvl ask`.

use crate::args::AskArgs;
use crate::draw;
use crate::exit::{Exit, Failure, Result};
use crate::picture::Picture;
use crate::session::{Session, Show, exit};
use crate::settings::Settings;
use seekvl::Message;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub fn run(args: AskArgs) -> Result<Exit> {
    let (paths, question) = split(args.inputs)?;
    let settings = Settings::new(args.shared)?;
    if let Some(path) = &args.draw {
        if paths.is_empty() {
            return Err(Failure::usage("--draw needs an image to draw on"));
        }
        draw::check(path)?;
    }
    let pictures = Picture::read_all(&paths, &settings.decode)?;
    let message = Message::question(question, pictures.iter().map(Picture::image));

    let mut session = Session::open(&settings)?;
    if args.markup {
        session.show = Show::Markup;
    }
    let conversation = session.conversation().with(message);
    let answer = session.answer(&conversation, &pictures)?;
    if let (Some(path), Some(picture)) = (&args.draw, pictures.last()) {
        draw::save(picture, &answer, path)?;
        if answer.regions.iter().all(|region| region.boxes.is_empty()) {
            session.output.warn(format_args!("the answer has no box; {} is the picture as it was", path.display()));
        }
    }
    Ok(exit(&answer))
}

/// The last input is the question, those before it are images. Flags may stand between them, which
/// two positional arguments of clap would not allow.
fn split(mut inputs: Vec<OsString>) -> Result<(Vec<PathBuf>, String)> {
    let question = inputs.pop().unwrap_or_default();
    if Path::new(&question).is_file() {
        let file = question.display();
        let message = format!("no question: the last argument should be one, but {file} is a file");
        return Err(Failure::usage(message));
    }
    let question = question.into_string().map_err(|_| Failure::usage("the question is not valid UTF-8"))?;
    if question.trim().is_empty() {
        return Err(Failure::usage("the question is empty"));
    }
    Ok((inputs.into_iter().map(PathBuf::from).collect(), question))
}
