//! Strings that end an answer.

use crate::{Error, Result};

/// Watches text for stop strings and lets through only what cannot belong to one.
///
/// The match that ends first wins, and of those that end together the longest, however the text is cut into pieces.
/// Each string is matched by Knuth, Morris and Pratt's automaton, in amortised constant time per byte.
#[derive(Clone, Debug)]
pub(crate) struct StopStrings {
    matchers: Vec<Matcher>,
    /// The end of the text so far that may turn out to begin a stop string.
    held: String,
}

/// What [`StopStrings::push`] lets through.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    pub text: String,
    /// Whether a stop string follows `text`.
    pub stopped: bool,
}

impl StopStrings {
    pub fn new(strings: &[String]) -> Result<Self> {
        if strings.iter().any(String::is_empty) {
            return Err(Error::InvalidOption {
                name: "stop",
                value: "\"\"".into(),
                expected: "a string that is not empty",
            });
        }
        Ok(Self { matchers: strings.iter().map(|string| Matcher::new(string)).collect(), held: String::new() })
    }

    /// Takes more text. After a match there must be no more.
    pub fn push(&mut self, text: &str) -> Passed {
        let before = self.held.len();
        self.held.push_str(text);
        for (index, byte) in text.bytes().enumerate() {
            let matched = self.matchers.iter_mut().filter_map(|matcher| matcher.advance(byte)).max();
            if let Some(length) = matched {
                self.held.truncate(before + index + 1 - length);
                return Passed { text: std::mem::take(&mut self.held), stopped: true };
            }
        }
        let partial = self.matchers.iter().map(|matcher| matcher.matched).max().unwrap_or(0);
        let ready = self.held.len() - partial;
        Passed { text: self.held.drain(..ready).collect(), stopped: false }
    }

    /// The end of the text: what was held back is text after all.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[derive(Clone, Debug)]
struct Matcher {
    pattern: Box<[u8]>,
    /// Entry `i`: the length of the longest proper prefix of the pattern that ends its first `i + 1` bytes.
    fallback: Box<[usize]>,
    matched: usize,
}

impl Matcher {
    fn new(pattern: &str) -> Self {
        let pattern: Box<[u8]> = pattern.as_bytes().into();
        let mut fallback = vec![0; pattern.len()];
        let mut matched = 0;
        for i in 1..pattern.len() {
            while matched > 0 && pattern[i] != pattern[matched] {
                matched = fallback[matched - 1];
            }
            matched += usize::from(pattern[i] == pattern[matched]);
            fallback[i] = matched;
        }
        Self { pattern, fallback: fallback.into(), matched: 0 }
    }

    /// The pattern's length if it ends at this byte.
    fn advance(&mut self, byte: u8) -> Option<usize> {
        while self.matched > 0 && self.pattern[self.matched] != byte {
            self.matched = self.fallback[self.matched - 1];
        }
        self.matched += usize::from(self.pattern[self.matched] == byte);
        (self.matched == self.pattern.len()).then(|| {
            self.matched = 0;
            self.pattern.len()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stops(strings: &[&str]) -> StopStrings {
        StopStrings::new(&strings.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    /// The definition, without streaming.
    fn whole(strings: &[&str], text: &str) -> Passed {
        let ends = strings.iter().filter_map(|stop| text.find(stop).map(|start| (start + stop.len(), start)));
        match ends.min() {
            Some((_, start)) => Passed { text: text[..start].into(), stopped: true },
            None => Passed { text: text.into(), stopped: false },
        }
    }

    fn streamed(strings: &[&str], pieces: &[&str]) -> Passed {
        let mut stops = stops(strings);
        let mut text = String::new();
        for piece in pieces {
            let passed = stops.push(piece);
            text += &passed.text;
            if passed.stopped {
                return Passed { text, stopped: true };
            }
        }
        text += &stops.finish();
        Passed { text, stopped: false }
    }

    #[test]
    fn a_partial_match_is_held_back_and_released() {
        let mut stops = stops(&["\n\nUser:"]);
        assert_eq!(stops.push("yes\n"), Passed { text: "yes".into(), stopped: false });
        assert_eq!(stops.push("\n\n"), Passed { text: "\n".into(), stopped: false });
        assert_eq!(stops.push("Us"), Passed { text: String::new(), stopped: false });
        assert_eq!(stops.push("e "), Passed { text: "\n\nUse ".into(), stopped: false });
        assert_eq!(stops.push("\n\nUser: no"), Passed { text: String::new(), stopped: true });
    }

    #[test]
    fn the_first_to_end_wins() {
        assert_eq!(streamed(&["abcd", "bc"], &["xabcd"]), Passed { text: "xa".into(), stopped: true });
        assert_eq!(streamed(&["c", "abc"], &["x", "ab", "c"]), Passed { text: "x".into(), stopped: true });
    }

    #[test]
    fn characters_of_several_bytes() {
        // "中" and "丰" share their first two bytes.
        assert_eq!(streamed(&["中文"], &["中", "丰中", "文"]), Passed { text: "中丰".into(), stopped: true });
    }

    #[test]
    fn an_empty_string_is_refused() {
        assert!(StopStrings::new(&[String::new()]).unwrap_err().to_string().contains("stop"));
    }

    #[test]
    fn a_hostile_string_costs_linear_time() {
        let long = "a".repeat(1 << 20);
        let mut stops = stops(&[&format!("{long}b"), &long]);
        for _ in 0..(1 << 20) - 1 {
            assert_eq!(stops.push("a").text, "");
        }
        assert!(stops.push("a").stopped);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            strings in prop::collection::vec("[ab中]{1,4}", 0..4),
            pieces in prop::collection::vec("[ab中]{0,4}", 0..12),
        ) {
            let strings: Vec<&str> = strings.iter().map(String::as_str).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(streamed(&strings, &pieces), whole(&strings, &pieces.concat()));
        }

        #[test]
        fn nothing_of_a_match_gets_out_and_no_more_is_held_than_needed(text in "[ab中]{0,12}", stop in "[ab中]{1,5}") {
            let mut stops = stops(&[&stop]);
            let passed = stops.push(&text);
            if !passed.stopped {
                let held = &text[passed.text.len()..];
                prop_assert!(stop.starts_with(held));
                let longer = text.char_indices().map(|(at, _)| &text[at..]).find(|tail| stop.starts_with(tail));
                prop_assert_eq!(held, longer.unwrap_or(""));
            }
        }
    }
}
