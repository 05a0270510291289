//! The list between `<|det|>` and `<|/det|>`.

use super::{BoundingBox, Invalid, MAX_COORDINATE, Reading, Repair};

/// How many bytes at the start of an unclosed list still look like one.
pub(super) fn extent(text: &str) -> usize {
    let of_a_list = |c: char| c.is_ascii_digit() || c.is_ascii_whitespace() || "[](),.+-".contains(c);
    let end = text.find(|c| !of_a_list(c)).unwrap_or(text.len());
    // Up to its last bracket, digit or comma: a full stop or a space after it belongs to the sentence.
    text[..end].rfind(|c: char| c.is_ascii_digit() || "[](),".contains(c)).map_or(0, |last| last + 1)
}

/// Reads all boxes of a list.
pub(super) fn parse(text: &str, closed: bool) -> Vec<BoundingBox> {
    let mut list = List { text, ..List::default() };
    if !closed {
        list.flaw(Repair::UnclosedTag);
    }
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '[' | '(' => list.open(at),
            ']' | ')' => list.close(at),
            ',' => list.group.commas += 1,
            c if c.is_whitespace() => {}
            _ => {
                let mut end = at + c.len_utf8();
                while let Some((next, c)) = chars.next_if(|&(_, c)| !"[](),".contains(c) && !c.is_whitespace()) {
                    end = next + c.len_utf8();
                }
                list.group.add(at, end, number(&text[at..end]));
            }
        }
    }
    list.finish()
}

/// A finite decimal number. `nan`, `inf` and digits of other scripts are none.
fn number(token: &str) -> Option<f64> {
    let decimal = token.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    token.parse().ok().filter(|value: &f64| decimal && value.is_finite())
}

#[derive(Default)]
struct List<'a> {
    text: &'a str,
    depth: usize,
    group: Group,
    boxes: Vec<BoundingBox>,
    /// What is wrong with the list as a whole, and so with every box of it.
    flaws: Vec<Repair>,
}

/// The numbers since the last bracket.
#[derive(Default)]
struct Group {
    /// The bracket before them opened, so that one that closes makes a box of them.
    opened: bool,
    start: Option<usize>,
    end: usize,
    first_four: [f64; 4],
    count: usize,
    commas: usize,
    garbage: bool,
}

impl Group {
    fn add(&mut self, start: usize, end: usize, value: Option<f64>) {
        self.start.get_or_insert(start);
        self.end = end;
        match value {
            Some(value) => {
                if let Some(slot) = self.first_four.get_mut(self.count) {
                    *slot = value;
                }
                self.count += 1;
            }
            None => self.garbage = true,
        }
    }

    fn read(&self) -> (Option<[u16; 4]>, Reading) {
        let invalid = |why| (None, Reading::Invalid(why));
        if self.garbage {
            return invalid(Invalid::NotANumber);
        }
        if self.count != 4 {
            return invalid(Invalid::Count(self.count));
        }
        let mut repairs = Vec::new();
        let rounded = self.first_four.map(f64::round);
        let clamped = rounded.map(|value| value.clamp(0.0, f64::from(MAX_COORDINATE)) as u16);
        let [x1, y1, x2, y2] = clamped;
        let sorted = [x1.min(x2), y1.min(y2), x1.max(x2), y1.max(y2)];
        if sorted[0] == sorted[2] || sorted[1] == sorted[3] {
            return invalid(Invalid::NoArea);
        }
        for (repair, needed) in [
            (Repair::Separators, self.commas != 3),
            (Repair::Rounded, rounded != self.first_four),
            (Repair::Clamped, rounded != clamped.map(f64::from)),
            (Repair::Swapped, sorted != clamped),
        ] {
            if needed {
                repairs.push(repair);
            }
        }
        (Some(sorted), Reading::Repaired(repairs))
    }
}

impl List<'_> {
    fn flaw(&mut self, repair: Repair) {
        if !self.flaws.contains(&repair) {
            self.flaws.push(repair);
        }
    }

    fn open(&mut self, at: usize) {
        if self.group.count > 0 {
            self.flaw(Repair::Brackets);
            self.flush(self.group.end);
        } else if self.group.garbage {
            self.flaw(Repair::Separators);
        }
        self.depth += 1;
        self.group = Group { opened: true, start: Some(at), ..Group::default() };
    }

    fn close(&mut self, at: usize) {
        if self.group.count > 0 || (self.group.opened && self.group.garbage) {
            self.flush(at + 1);
        } else if self.group.garbage {
            self.flaw(Repair::Separators);
        }
        match self.depth.checked_sub(1) {
            Some(depth) => self.depth = depth,
            None => self.flaw(Repair::Brackets),
        }
        self.group = Group::default();
    }

    /// Makes a box of the group, which ends at byte `end`.
    fn flush(&mut self, end: usize) {
        let (relative, mut reading) = self.group.read();
        let bracketed = self.group.opened && end > self.group.end;
        if let Reading::Repaired(repairs) = &mut reading {
            if !bracketed {
                repairs.push(Repair::Brackets);
            } else if self.depth != 2 {
                repairs.push(Repair::Nesting);
            }
        }
        let raw = self.text[self.group.start.unwrap_or(0)..end].into();
        self.boxes.push(BoundingBox { relative, reading, raw });
    }

    fn finish(mut self) -> Vec<BoundingBox> {
        if self.depth > 0 {
            self.flaw(Repair::Brackets);
        }
        if self.group.count > 0 || (self.group.garbage && self.boxes.is_empty()) {
            self.flush(self.group.end);
        } else if self.group.garbage {
            self.flaw(Repair::Separators);
        }
        for one in &mut self.boxes {
            if let Reading::Repaired(repairs) = &mut one.reading {
                repairs.extend(&self.flaws);
                repairs.sort_unstable();
                repairs.dedup();
                if repairs.is_empty() {
                    one.reading = Reading::AsWritten;
                }
            }
        }
        self.boxes
    }
}
