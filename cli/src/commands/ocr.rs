//! `seekvl ocr`.

use crate::args::OcrArgs;
use crate::exit::{Exit, Result};
use crate::output::{Format, complain};
use crate::picture::{Picture, check_stdin};
use crate::report::FailureReport;
use crate::session::{Session, exit};
use crate::settings::Settings;
use seekvl::Message;
use seekvl::model::OCR_PROMPT;

pub fn run(args: OcrArgs) -> Result<Exit> {
    check_stdin(&args.images)?;
    let settings = Settings::new(args.shared)?;
    let several = args.images.len() > 1;
    // Images are read one after another, for there may be many; the model once there is one to read.
    let mut session = None;
    let mut worst = Exit::Done;
    for path in &args.images {
        let picture = match Picture::read(path, &settings.decode) {
            Ok(picture) => picture,
            Err(failure) => {
                complain(&failure);
                if settings.output.format == Format::Json {
                    settings.output.open().json(&FailureReport::of_file(path, &failure))?;
                }
                worst = failure.exit;
                continue;
            }
        };
        let session = match &mut session {
            Some(session) => session,
            none => none.insert(Session::open(&settings)?),
        };
        if several && session.output.format == Format::Text {
            session.output.line(format_args!("==> {} <==", picture.name))?;
        }
        let conversation = session.conversation().with(Message::question(OCR_PROMPT, [picture.image()]));
        let answer = session.answer(&conversation, &[picture])?;
        if exit(&answer) == Exit::Interrupted {
            return Ok(Exit::Interrupted);
        }
    }
    Ok(worst)
}
