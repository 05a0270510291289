//! Images as they are named on the command line.

use crate::exit::{Exit, Failure, Result};
use seekvl::{DecodeOptions, Image, Rgb};
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Stands for standard input.
pub const STDIN: &str = "-";

/// A decoded image and where it came from.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The path as given, for messages and reports.
    pub name: String,
    pub pixels: Arc<Rgb>,
    /// How long reading and decoding took.
    pub decoding: Duration,
}

impl Picture {
    /// Reads and decodes a file, or what comes from standard input if the path is `-`.
    pub fn read(path: impl AsRef<Path>, options: &DecodeOptions) -> Result<Self> {
        let path = path.as_ref();
        let started = Instant::now();
        let decoded = if path == Path::new(STDIN) {
            read_stdin(options)?
        } else {
            Rgb::open(path, options).map_err(|error| explain(path, error))?
        };
        Ok(Self { name: path.display().to_string(), pixels: Arc::new(decoded), decoding: started.elapsed() })
    }

    pub fn read_all<P: AsRef<Path>>(paths: &[P], options: &DecodeOptions) -> Result<Vec<Self>> {
        check_stdin(paths)?;
        paths.iter().map(|path| Self::read(path, options)).collect()
    }

    pub fn image(&self) -> Image {
        Image::Pixels(self.pixels.clone())
    }
}

/// An image and its width and height, of which nothing but the size is read; standard input is read whole.
pub fn measure(path: &Path, options: &DecodeOptions) -> Result<(Image, (u32, u32))> {
    let image =
        if path == Path::new(STDIN) { Image::Bytes(stdin_bytes(options)?.into()) } else { Image::Path(path.into()) };
    let size = image.size(options).map_err(|error| explain(path, error))?;
    Ok((image, size))
}

/// Why an image cannot be read.
fn explain(path: &Path, error: impl Into<anyhow::Error>) -> Failure {
    let failure = Failure::new(Exit::BadImage, error);
    let is_address = path.to_str().is_some_and(|path| path.starts_with("http://") || path.starts_with("https://"));
    match is_address && !path.exists() {
        true => failure.with_hint("nothing is downloaded here: curl -s ADDRESS | seekvl ask - \"question\""),
        false => failure,
    }
}

/// Standard input can be read once, and nobody types an image.
pub fn check_stdin<P: AsRef<Path>>(paths: &[P]) -> Result<()> {
    match paths.iter().filter(|path| path.as_ref().as_os_str() == OsStr::new(STDIN)).count() {
        0 => Ok(()),
        1 if io::stdin().is_terminal() => Err(Failure::usage("- reads an image from a pipe or a file, not a terminal")),
        1 => Ok(()),
        _ => Err(Failure::usage("standard input holds one image; - was given more than once")),
    }
}

fn read_stdin(options: &DecodeOptions) -> Result<Rgb> {
    let bytes = stdin_bytes(options)?;
    Rgb::decode(&bytes, options)
        .map_err(|error| Failure::new(Exit::BadImage, anyhow::Error::new(error).context("standard input")))
}

fn stdin_bytes(options: &DecodeOptions) -> Result<Vec<u8>> {
    // One byte more than allowed, for the decoder to find too many.
    let most = options.limits.max_file_bytes.saturating_add(1);
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new(Exit::BadImage, anyhow::Error::new(error).context("standard input")))?;
    Ok(bytes)
}
