//! `seekvl chat`.

use crate::args::ChatArgs;
use crate::exit::{Exit, Failure, Result};
use crate::output::{Format, complain, say};
use crate::picture::{self, Picture};
use crate::report::FailureReport;
use crate::session::Session;
use crate::settings::Settings;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use seekvl::DecodeOptions;
use seekvl::conversation::{Conversation, IMAGE_PLACEHOLDER, Message};
use std::io::{self, BufRead, IsTerminal, Read, StdinLock};
use std::path::Path;

const HELP: &str = "\
/image FILE   show an image with the next message
/reset        begin a new conversation
/help         list these commands
/quit         leave (as Ctrl-D does)
Anything else is a message. Ctrl-C ends an answer.";

/// The longest line that a pipe may give, in bytes.
const LONGEST_LINE: u64 = 16 << 20;

pub fn run(args: ChatArgs) -> Result<Exit> {
    if args.images.iter().any(|path| path == Path::new(picture::STDIN)) {
        return Err(Failure::usage("chat reads messages from standard input, so - cannot be an image"));
    }
    let settings = Settings::new(args.shared)?;
    let decode = settings.decode;
    let pictures = Picture::read_all(&args.images, &decode)?;
    let session = Session::open(&settings)?;
    let conversation = session.conversation();
    Chat { session, decode, conversation, seen: Vec::new(), waiting: pictures }.run()
}

/// A line of input.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Empty,
    Image(&'a str),
    Reset,
    Help,
    Quit,
    Unknown(&'a str),
    Message(&'a str),
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Self {
        let Some(command) = line.strip_prefix('/') else {
            let message = line.trim();
            return if message.is_empty() { Self::Empty } else { Self::Message(message) };
        };
        let (name, argument) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        match (name, argument.trim()) {
            ("image", path) if !path.is_empty() => Self::Image(unquote(path)),
            ("reset", "") => Self::Reset,
            ("help", "") => Self::Help,
            ("quit" | "exit", "") => Self::Quit,
            _ => Self::Unknown(line.trim_end()),
        }
    }
}

/// A path as terminals write it where a file is dropped on them.
fn unquote(path: &str) -> &str {
    let inside = |quote| path.strip_prefix(quote)?.strip_suffix(quote);
    inside('\'').or_else(|| inside('"')).unwrap_or(path)
}

/// Where lines come from.
enum Lines {
    /// A person at a terminal.
    Person(Box<DefaultEditor>),
    /// A pipe or a file.
    Pipe(StdinLock<'static>),
}

impl Lines {
    fn open() -> Result<Self> {
        if !io::stdin().is_terminal() {
            return Ok(Self::Pipe(io::stdin().lock()));
        }
        let editor = DefaultEditor::new().map_err(|error| Failure::new(Exit::Failed, error))?;
        Ok(Self::Person(Box::new(editor)))
    }

    fn is_person(&self) -> bool {
        matches!(self, Self::Person(_))
    }

    /// The next line, unless there is none; what is wrong with one line does not keep the next from being read.
    fn next(&mut self, prompt: &str) -> Result<Option<Result<String>>> {
        match self {
            Self::Person(editor) => ask(editor, prompt),
            Self::Pipe(pipe) => {
                let mut line = Vec::new();
                let read = pipe.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line);
                let failed = |error| Failure::new(Exit::Failed, anyhow::Error::new(error).context("standard input"));
                match read.map_err(failed)? as u64 {
                    0 => Ok(None),
                    LONGEST_LINE => Err(Failure::usage(format_args!("a line is longer than {LONGEST_LINE} bytes"))),
                    _ => Ok(Some(String::from_utf8(line).map_err(|_| Failure::usage("a line is not valid UTF-8")))),
                }
            }
        }
    }
}

/// A line that a person types.
fn ask(editor: &mut DefaultEditor, prompt: &str) -> Result<Option<Result<String>>> {
    loop {
        match editor.readline(prompt) {
            Ok(line) => {
                // Kept in memory only; it fails for a line that need not be kept.
                let _ = editor.add_history_entry(&line);
                return Ok(Some(Ok(line)));
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(None),
            Err(error) => return Err(Failure::new(Exit::Failed, error)),
        }
    }
}

struct Chat {
    session: Session,
    decode: DecodeOptions,
    conversation: Conversation,
    /// Pictures of the conversation.
    seen: Vec<Picture>,
    /// Pictures for the next message.
    waiting: Vec<Picture>,
}

impl Chat {
    fn run(mut self) -> Result<Exit> {
        let mut lines = Lines::open()?;
        let is_person = lines.is_person();
        if is_person && !self.session.output.quiet {
            say("/help lists commands, Ctrl-D leaves.");
        }
        let mut exit = Exit::Done;
        while let Some(line) = lines.next(if self.waiting.is_empty() { "> " } else { "[image] > " })? {
            match line.and_then(|line| self.obey(Line::parse(&line))) {
                Ok(true) => {}
                Ok(false) => break,
                // The output cannot be written.
                Err(failure) if failure.exit == Exit::Failed => return Err(failure),
                Err(failure) => {
                    complain(&failure);
                    // A person has seen it.
                    if !is_person && exit == Exit::Done {
                        exit = failure.exit;
                    }
                }
            }
        }
        Ok(exit)
    }

    /// Does what a line says; whether there may be more.
    fn obey(&mut self, line: Line<'_>) -> Result<bool> {
        match line {
            Line::Empty => {}
            Line::Quit => return Ok(false),
            Line::Help => say(HELP),
            Line::Reset => self.reset(),
            Line::Image(path) => self.waiting.push(Picture::read(path, &self.decode)?),
            Line::Unknown(line) => {
                let message = format!("no such command: {line} (a space before it makes it a message)");
                return Err(Failure::usage(message));
            }
            Line::Message(text) => self.say(text)?,
        }
        Ok(true)
    }

    fn reset(&mut self) {
        self.conversation = self.session.conversation();
        self.seen.clear();
        self.waiting.clear();
    }

    /// Sends a message and prints the answer. What the model cannot answer is taken back.
    fn say(&mut self, text: &str) -> Result<()> {
        let message = Message::question(text, self.waiting.iter().map(Picture::image));
        let conversation = self.conversation.clone().with(message);
        let shown: Vec<Picture> = self.seen.iter().chain(&self.waiting).cloned().collect();
        match self.session.answer(&conversation, &shown) {
            Ok(answer) => {
                // Only messages of the user have images; the model may say the word.
                let answer = Message::assistant(answer.raw.replace(IMAGE_PLACEHOLDER, ""));
                self.conversation = conversation.with(answer);
                self.seen = shown;
                self.waiting.clear();
            }
            Err(failure) => {
                if self.session.output.format == Format::Json {
                    self.session.output.json(&FailureReport::new(&shown, &failure))?;
                }
                return Err(match failure.exit {
                    Exit::DoesNotFit => failure.with_hint("/reset begins a new conversation"),
                    _ => failure,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_messages() {
        let cases = [
            ("  \t", Line::Empty),
            (" What is this? ", Line::Message("What is this?")),
            ("/image my photo.jpg ", Line::Image("my photo.jpg")),
            ("/image 'my photo.jpg'", Line::Image("my photo.jpg")),
            ("/image", Line::Unknown("/image")),
            ("/images a", Line::Unknown("/images a")),
            ("/reset", Line::Reset),
            ("/reset all", Line::Unknown("/reset all")),
            ("/quit\r", Line::Quit),
            ("/", Line::Unknown("/")),
            (" /etc/passwd?", Line::Message("/etc/passwd?")),
        ];
        for (line, expected) in cases {
            assert_eq!(Line::parse(line), expected, "{line:?}");
        }
    }
}
