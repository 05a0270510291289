//! The part of an answer in which a model thinks, as DeepSeek-R1 does between `<think>` and `</think>`.

use seekvl_language::{ThinkingBudget, Tokenizer};
use serde::Serialize;
use std::collections::VecDeque;

/// What begins the part in which a model thinks.
pub const START: &str = "<think>";
/// What ends it.
pub const END: &str = "</think>";

/// Whether an answer has a part in which the model thinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thought {
    /// No: all of it is the answer.
    #[default]
    Never,
    /// If it begins with `<think>`.
    MayBegin,
    /// The prompt has ended with `<think>`.
    Begun,
}

/// A part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// What the model thinks before it answers.
    Thinking,
    /// What it says.
    Answer,
}

/// New text of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delta {
    /// What it is part of.
    pub phase: Phase,
    /// The text: whole characters, without the tags around thoughts.
    pub text: String,
}

/// Bounds the thoughts of an answer to a number of tokens.
pub(crate) fn budget(
    tokenizer: &Tokenizer,
    thought: Thought,
    max_tokens: usize,
) -> crate::Result<Option<ThinkingBudget>> {
    let start = match thought {
        Thought::Never => return Ok(None),
        Thought::MayBegin => tokenizer.encode(START)?,
        Thought::Begun => Vec::new(),
    };
    let forced = tokenizer.encode(&format!("\n{END}\n\n"))?;
    Ok(Some(ThinkingBudget { max_tokens, start, end: tokenizer.encode(END)?, forced }))
}

/// Tells thoughts from the answer, in text that comes in pieces. The tags and the white space inside and after them are
/// left out.
#[derive(Clone, Debug)]
pub(crate) struct Splitter {
    state: State,
    /// Text that may yet turn out to be a tag, or white space before one.
    held: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing but white space and the beginning of a tag so far.
    Before,
    /// Inside, and nothing but white space so far.
    Begun,
    Inside,
    /// After the end tag, and nothing but white space so far.
    After,
    Answer,
}

impl Splitter {
    pub fn new(thought: Thought) -> Self {
        let state = match thought {
            Thought::Never => State::Answer,
            Thought::MayBegin => State::Before,
            Thought::Begun => State::Begun,
        };
        Self { state, held: String::new() }
    }

    /// Whether there was a beginning of a thought.
    pub fn has_thought(&self) -> bool {
        matches!(self.state, State::Begun | State::Inside)
    }

    /// Takes more text; gives what is new of it.
    pub fn push(&mut self, text: &str) -> VecDeque<Delta> {
        self.held.push_str(text);
        let mut deltas = VecDeque::new();
        while self.step(&mut deltas) {}
        deltas
    }

    /// The end of the text: what was held is text after all.
    pub fn finish(&mut self) -> Option<Delta> {
        let text = std::mem::take(&mut self.held);
        let phase = match self.state {
            State::Before | State::Answer => Phase::Answer,
            State::Inside => return Self::delta(Phase::Thinking, text.trim_end()),
            State::Begun | State::After => return Self::delta(Phase::Thinking, text.trim()),
        };
        Self::delta(phase, &text)
    }

    fn delta(phase: Phase, text: &str) -> Option<Delta> {
        (!text.is_empty()).then(|| Delta { phase, text: text.into() })
    }

    /// Goes as far as the held text says; whether there is more to do.
    fn step(&mut self, deltas: &mut VecDeque<Delta>) -> bool {
        match self.state {
            State::Before => {
                let text = self.held.trim_start();
                if let Some(rest) = text.strip_prefix(START) {
                    self.held = rest.into();
                    self.state = State::Begun;
                    return true;
                }
                if START.starts_with(text) {
                    return false;
                }
                self.state = State::Answer;
                true
            }
            State::Begun | State::After => {
                self.held = self.held.trim_start().into();
                let next = if self.state == State::Begun { State::Inside } else { State::Answer };
                if !self.held.is_empty() {
                    self.state = next;
                }
                !self.held.is_empty()
            }
            State::Inside => {
                if let Some(at) = self.held.find(END) {
                    deltas.extend(Self::delta(Phase::Thinking, self.held[..at].trim_end()));
                    self.held.drain(..at + END.len());
                    self.state = State::After;
                    return true;
                }
                let ready = self.held[..self.held.len() - begun(&self.held)].trim_end().len();
                deltas.extend(Self::delta(Phase::Thinking, &self.held.drain(..ready).collect::<String>()));
                false
            }
            State::Answer => {
                deltas.extend(Self::delta(Phase::Answer, &std::mem::take(&mut self.held)));
                false
            }
        }
    }
}

/// How many bytes at the end of a text may begin the end tag.
fn begun(text: &str) -> usize {
    (1..END.len()).rev().find(|&length| text.ends_with(&END[..length])).unwrap_or(0)
}

/// A whole text: the thoughts, if there were any, and the answer.
pub(crate) fn split(thought: Thought, text: &str) -> (Option<String>, String) {
    let mut splitter = Splitter::new(thought);
    let (mut thoughts, mut answer) = (String::new(), String::new());
    let mut deltas = splitter.push(text);
    let has_thought = thought == Thought::Begun
        || splitter.has_thought()
        || deltas.iter().any(|delta| delta.phase == Phase::Thinking)
        || thought == Thought::MayBegin && text.trim_start().starts_with(START);
    deltas.extend(splitter.finish());
    for delta in deltas {
        match delta.phase {
            Phase::Thinking => thoughts.push_str(&delta.text),
            Phase::Answer => answer.push_str(&delta.text),
        }
    }
    (has_thought.then_some(thoughts), answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(thought: Thought, text: &str) -> (Option<String>, String) {
        split(thought, text)
    }

    #[test]
    fn thoughts_are_told_from_answers() {
        let (yes, no) = (|thoughts: &str| Some(thoughts.to_owned()), None::<String>);
        for (thought, text, expected) in [
            (Thought::MayBegin, "<think>\nHm.\n</think>\n\nYes.\n", (yes("Hm."), "Yes.\n")),
            (Thought::MayBegin, " \n<think>\n\n</think>\n\nYes.", (yes(""), "Yes.")),
            (Thought::MayBegin, "Yes, <think> is a tag.</think>", (no.clone(), "Yes, <think> is a tag.</think>")),
            (Thought::MayBegin, "  <thin", (no.clone(), "  <thin")),
            (Thought::MayBegin, "", (no.clone(), "")),
            (Thought::Begun, "Hm, </thi> or\n\n</think>Yes. </think>", (yes("Hm, </thi> or"), "Yes. </think>")),
            (Thought::Begun, "\nHm, and then", (yes("Hm, and then"), "")),
            (Thought::Begun, "Hm </thin", (yes("Hm </thin"), "")),
            (Thought::Begun, "", (yes(""), "")),
            (Thought::Never, "<think>a</think> b", (no, "<think>a</think> b")),
        ] {
            assert_eq!(told(thought, text), (expected.0, expected.1.to_owned()), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            pieces in prop::collection::vec("(<think>|</think>|<th|</|ink>|[ \nab<])", 0..12), begun in any::<bool>(),
        ) {
            let thought = if begun { Thought::Begun } else { Thought::MayBegin };
            let text = pieces.concat();
            for pieces in [pieces.clone(), text.chars().map(String::from).collect()] {
                let mut splitter = Splitter::new(thought);
                let mut deltas: Vec<Delta> = pieces.iter().flat_map(|piece| splitter.push(piece)).collect();
                deltas.extend(splitter.finish());
                let part = |phase| {
                    deltas.iter().filter(|delta| delta.phase == phase).map(|delta| delta.text.as_str()).collect::<String>()
                };
                let (thoughts, answer) = split(thought, &text);
                prop_assert_eq!(part(Phase::Thinking), thoughts.unwrap_or_default());
                prop_assert_eq!(part(Phase::Answer), answer);
                let is_sorted = deltas.is_sorted_by_key(|delta| delta.phase == Phase::Answer);
                prop_assert!(is_sorted, "thoughts come first");
            }
        }
    }
}
