//! Grounding markup in answers, read into typed boxes.
//!
//! DeepSeek-VL2 points at things with four tags: `<|ref|>the dog<|/ref|><|det|>[[12, 30, 455, 999]]<|/det|>`, where each
//! box is `[x1, y1, x2, y2]` in 0..=999 over the width and the height of the original image (DeepSeek-VL2 paper, section
//! "Grounded conversation"; the official demo reads them with a regular expression and Python's `eval`). Here they are read
//! by one pass over the characters: nothing is evaluated, no input makes it panic, and time and memory are linear in the
//! length of the answer.
//!
//! # How tags are read
//!
//! - A box list belongs to the label before it; several lists in a row, with nothing but white space between them, belong to
//!   the same label. A list with no label before it becomes a [`Region`] without one.
//! - A label without boxes is a region without boxes.
//! - A tag that opens where another is still open closes that one first. A `<|ref|>` that never closes runs to the next tag
//!   or to the end. A `<|det|>` that never closes ends where its characters stop looking like a list.
//! - Closing tags without an opening one and `<|grounding|>` are dropped.

mod list;

use serde::Serialize;
use std::fmt;
use std::ops::Range;

/// The largest coordinate: a box of `[0, 0, 999, 999]` is the whole image.
pub const MAX_COORDINATE: u16 = 999;

const TAGS: [(&str, Tag); 5] = [
    ("<|ref|>", Tag::RefOpen),
    ("<|/ref|>", Tag::RefClose),
    ("<|det|>", Tag::DetOpen),
    ("<|/det|>", Tag::DetClose),
    ("<|grounding|>", Tag::Grounding),
];

#[derive(Clone, Copy)]
enum Tag {
    RefOpen,
    RefClose,
    DetOpen,
    DetClose,
    Grounding,
}

/// An answer with its grounding markup taken out and read.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Grounded {
    /// The answer without tags and box lists; labels stay.
    pub text: String,
    /// What it points at, in the order of the answer.
    pub regions: Vec<Region>,
}

/// One label with the boxes given for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Region {
    /// The words between `<|ref|>` and `<|/ref|>`, without white space around them; `None` for boxes that came without.
    pub label: Option<String>,
    /// Where the label stands in [`Grounded::text`], in bytes; empty where there is no label.
    pub span: Range<usize>,
    /// The boxes, in the order given.
    pub boxes: Vec<BoundingBox>,
}

/// One box of an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BoundingBox {
    /// `[x1, y1, x2, y2]`, left and top first, each in 0..=999 over the image's width and height. `None` exactly where
    /// [`BoundingBox::reading`] is [`Reading::Invalid`].
    pub relative: Option<[u16; 4]>,
    /// How far these are the model's own numbers.
    pub reading: Reading,
    /// The characters that the box was read from.
    pub raw: String,
}

/// How a box was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// As it stood.
    AsWritten,
    /// Something had to be put right; at least one repair.
    Repaired(Vec<Repair>),
    /// It is no box.
    Invalid(Invalid),
}

/// What was put right in a box or in the list around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Repair {
    /// `<|/det|>` was missing. At the end of an answer that was cut short the last number may have lost digits.
    UnclosedTag,
    /// Brackets were missing or left over.
    Brackets,
    /// The box stood in one pair of brackets, or in more than two.
    Nesting,
    /// Commas were missing or left over, or other characters stood between the boxes.
    Separators,
    /// Numbers with a fraction were rounded to the nearest integer.
    Rounded,
    /// Numbers outside 0..=999 were moved to the nearer end.
    Clamped,
    /// Left and right, or top and bottom, were swapped.
    Swapped,
}

/// Why something that stands where a box should is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Invalid {
    /// It has this many numbers, not four.
    Count(usize),
    /// It holds something that is not a finite decimal number.
    NotANumber,
    /// Its width or height is zero, as written or after moving it into 0..=999.
    NoArea,
}

impl BoundingBox {
    /// `[x1, y1, x2, y2]` in pixels of an image of the given size, or `None` for an invalid box. 999 falls on the right or
    /// lower edge of the image.
    pub fn pixels(&self, width: u32, height: u32) -> Option<[f32; 4]> {
        let scale =
            |coordinate: u16, side: u32| (f64::from(coordinate) / f64::from(MAX_COORDINATE) * f64::from(side)) as f32;
        let [x1, y1, x2, y2] = self.relative?;
        Some([scale(x1, width), scale(y1, height), scale(x2, width), scale(y2, height)])
    }
}

impl Grounded {
    /// Reads an answer that was decoded with its special tokens kept.
    pub fn parse(answer: &str) -> Self {
        let mut reader = Reader::default();
        let mut rest = answer;
        while let Some((before, tag, after)) = next_tag(rest) {
            reader.text(before);
            rest = match tag {
                Tag::DetOpen => reader.boxes(after),
                tag => {
                    reader.tag(tag);
                    after
                }
            };
        }
        reader.text(rest);
        reader.close_label();
        reader.grounded
    }

    /// All boxes with the labels they belong to.
    pub fn boxes(&self) -> impl Iterator<Item = (Option<&str>, &BoundingBox)> {
        self.regions.iter().flat_map(|region| region.boxes.iter().map(|one| (region.label.as_deref(), one)))
    }
}

/// Writes a label and its boxes as the model does, for prompts and for answers given as examples.
pub fn markup(label: &str, boxes: &[[u16; 4]]) -> String {
    format!("<|ref|>{label}<|/ref|><|det|>{boxes:?}<|/det|>")
}

#[derive(Default)]
struct Reader {
    grounded: Grounded,
    /// Where the label that is open began in the clean text.
    label_start: Option<usize>,
    /// Whether another box list would still belong to the last region.
    accepts_boxes: bool,
}

impl Reader {
    fn text(&mut self, text: &str) {
        self.grounded.text.push_str(text);
        let has_boxes = self.grounded.regions.last().is_some_and(|region| !region.boxes.is_empty());
        if has_boxes && !text.trim().is_empty() {
            self.accepts_boxes = false;
        }
    }

    fn tag(&mut self, tag: Tag) {
        match tag {
            Tag::RefOpen => {
                self.close_label();
                self.accepts_boxes = false;
                self.label_start = Some(self.grounded.text.len());
            }
            Tag::RefClose => self.close_label(),
            Tag::DetOpen | Tag::DetClose | Tag::Grounding => {}
        }
    }

    fn close_label(&mut self) {
        let Some(start) = self.label_start.take() else { return };
        let written = &self.grounded.text[start..];
        let label = written.trim();
        let start = start + (written.len() - written.trim_start().len());
        let region = Region { label: Some(label.into()), span: start..start + label.len(), boxes: Vec::new() };
        self.grounded.regions.push(region);
        self.accepts_boxes = true;
    }

    /// Reads the box list that `after` begins with, and returns what follows it.
    fn boxes<'a>(&mut self, after: &'a str) -> &'a str {
        self.close_label();
        let (content, closed, rest) = match next_tag(after) {
            Some((content, Tag::DetClose, rest)) => (content, true, rest),
            found => {
                let end = found.map_or(after.len(), |(before, ..)| before.len());
                let end = list::extent(&after[..end]);
                (&after[..end], false, &after[end..])
            }
        };
        let boxes = list::parse(content, closed);
        if !self.accepts_boxes {
            let end = self.grounded.text.len();
            self.grounded.regions.push(Region { label: None, span: end..end, boxes: Vec::new() });
            self.accepts_boxes = true;
        }
        if let Some(region) = self.grounded.regions.last_mut() {
            region.boxes.extend(boxes);
        }
        rest
    }
}

/// The text before the next tag, the tag, and the text after it.
fn next_tag(text: &str) -> Option<(&str, Tag, &str)> {
    let mut from = 0;
    while let Some(found) = text[from..].find("<|") {
        let at = from + found;
        for (spelled, tag) in TAGS {
            if let Some(after) = text[at..].strip_prefix(spelled) {
                return Some((&text[..at], tag, after));
            }
        }
        from = at + 2;
    }
    None
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsWritten => f.write_str("as written"),
            Self::Repaired(repairs) => {
                let names: Vec<_> = repairs.iter().map(Repair::to_string).collect();
                write!(f, "repaired: {}", names.join(", "))
            }
            Self::Invalid(Invalid::Count(count)) => {
                write!(f, "invalid: {count} numbers where a box has 4")
            }
            Self::Invalid(Invalid::NotANumber) => f.write_str("invalid: not a number"),
            Self::Invalid(Invalid::NoArea) => f.write_str("invalid: no area"),
        }
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnclosedTag => "closing tag missing",
            Self::Brackets => "brackets balanced",
            Self::Nesting => "nesting corrected",
            Self::Separators => "separators corrected",
            Self::Rounded => "rounded",
            Self::Clamped => "clamped to 0..=999",
            Self::Swapped => "corners swapped",
        })
    }
}
