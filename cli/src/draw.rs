//! `--draw`: an image with the boxes of an answer.

use crate::exit::{Exit, Failure, Result};
use crate::picture::Picture;
use seekvl::Answer;
use seekvl::draw::{self, DrawOptions};
use std::path::Path;

/// Complains of a file that an image cannot be written to, before any work is done.
pub fn check(path: &Path) -> Result<()> {
    draw::check_format(path).map_err(|error| Failure::new(Exit::Usage, error))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let reason = if path.is_dir() {
        "it is a directory".into()
    } else if !folder.is_dir() {
        format!("there is no directory {}", folder.display())
    } else {
        return Ok(());
    };
    Err(Failure::usage(format_args!("{} cannot be written: {reason}", path.display())))
}

/// Draws the boxes of an answer on a picture and writes that to `path`.
pub fn save(picture: &Picture, answer: &Answer, path: &Path) -> Result<()> {
    let failed = |error| Failure::new(Exit::Failed, error);
    let drawn = draw::draw(&picture.pixels, &answer.regions, &DrawOptions::default());
    draw::save(&drawn.map_err(failed)?, path).map_err(failed)
}
