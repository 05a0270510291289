//! Standard output and standard error.

use console::Style;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, IsTerminal, StdoutLock, Write};

/// The form of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people and for pipes.
    Text,
    /// One JSON value a line.
    Json,
}

/// Standard output, for as long as a command runs.
pub struct Output {
    pub format: Format,
    pub quiet: bool,
    is_terminal: bool,
    stdout: StdoutLock<'static>,
}

impl Output {
    pub fn new(format: Format, quiet: bool) -> Self {
        let stdout = io::stdout().lock();
        Self { format, quiet, is_terminal: stdout.is_terminal(), stdout }
    }

    /// Whether text is shown as it comes.
    pub fn streams(&self) -> bool {
        self.is_terminal && self.format == Format::Text
    }

    /// Prints text of a model, at once.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        let text = if self.is_terminal { printable(text) } else { text.into() };
        self.stdout.write_all(text.as_bytes())?;
        self.stdout.flush()
    }

    pub fn line(&mut self, line: impl Display) -> io::Result<()> {
        self.text(&format!("{line}\n"))
    }

    /// Prints a value on a line of its own.
    pub fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.stdout, value)?;
        writeln!(self.stdout)?;
        self.stdout.flush()
    }

    pub fn warn(&self, warning: impl Display) {
        if !self.quiet {
            complain(format_args!("warning: {warning}"));
        }
    }
}

/// What a model thinks before it answers, on standard error and fainter than the answer.
#[derive(Default)]
pub struct Thoughts {
    shows: bool,
}

impl Thoughts {
    pub fn show(&mut self, text: &str) {
        self.shows = true;
        let faint = Style::new().for_stderr().dim();
        // As of what else is said there: nobody could be told.
        let _ = write!(io::stderr(), "{}", faint.apply_to(printable(text)));
    }

    /// Leaves a line between them and the answer.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.shows) {
            say("\n");
        }
    }
}

/// Says what is wrong, on standard error.
pub fn complain(message: impl Display) {
    say(format_args!("seekvl: {message}"));
}

/// Prints a line on standard error. Where even that is impossible there is nobody to tell.
pub fn say(message: impl Display) {
    let message = format!("{message}\n");
    let mut stderr = io::stderr().lock();
    let message = if stderr.is_terminal() { printable(&message) } else { message.into() };
    let _ = stderr.write_all(message.as_bytes());
}

/// Text without the control characters with which an image could make a model command the terminal.
fn printable(text: &str) -> Cow<'_, str> {
    let commands = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if text.contains(commands) { text.replace(commands, "\u{fffd}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_not_commanded() {
        assert_eq!(printable("a\tb\n\u{1b}[2J\u{9b}\u{7f}\rc"), "a\tb\n\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}c");
        assert!(matches!(printable("häuser\n"), Cow::Borrowed(_)));
    }
}
