//! Text for a terminal while it is being generated: the words without the markup of boxes.

use seekvl::Answer;
use seekvl::boxes::Grounded;

const BOXES: &str = "<|det|>";
const BOXES_END: &str = "<|/det|>";
/// No tag is as long as this.
const LONGEST_TAG: usize = 16;

/// Takes an answer piece by piece and says what can be shown of it.
pub struct Words {
    markup: bool,
    /// The answer so far, with markup.
    raw: String,
    /// What it says, with the markup taken out if that is wanted.
    text: String,
    /// Bytes of `text` that were shown.
    shown: usize,
}

impl Words {
    pub fn new(markup: bool) -> Self {
        Self { markup, raw: String::new(), text: String::new(), shown: 0 }
    }

    /// Takes the next piece; gives the text to show now. Tags and lists of boxes wait until they are complete.
    pub fn push(&mut self, delta: &str) -> &str {
        self.raw.push_str(delta);
        self.text = match self.markup {
            true => self.raw.clone(),
            false => Grounded::parse(&self.raw[..complete(&self.raw)]).text,
        };
        self.advance()
    }

    /// What is left to show of the whole answer.
    pub fn rest(&mut self, answer: &Answer) -> &str {
        self.text.clone_from(if self.markup { &answer.raw } else { &answer.text });
        self.advance()
    }

    fn advance(&mut self) -> &str {
        // An answer that went round in circles is shorter in the end.
        let start = self.shown;
        self.shown = start.max(self.text.len());
        self.text.get(start..).unwrap_or("")
    }
}

/// Bytes of an answer before a tag or a list of boxes that may go on.
fn complete(raw: &str) -> usize {
    let open = raw.rfind(BOXES).filter(|&at| !raw[at..].contains(BOXES_END)).unwrap_or(raw.len());
    let begun = raw.rfind('<').filter(|&at| {
        let tag = &raw[at..];
        tag.len() < LONGEST_TAG && ("<|".starts_with(tag) || tag.starts_with("<|")) && !tag.ends_with("|>")
    });
    open.min(begun.unwrap_or(raw.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a terminal shows of an answer that comes in pieces of one character.
    fn shown(raw: &str, markup: bool) -> Vec<String> {
        let mut words = Words::new(markup);
        raw.chars().map(|c| words.push(c.encode_utf8(&mut [0; 4])).to_owned()).collect()
    }

    #[test]
    fn markup_never_shows() {
        let raw = "See <|ref|>the cup<|/ref|><|det|>[[1, 2, 30, 40]]<|/det|>: it is < 3 | cm.<|grounding|> ♥";
        let pieces = shown(raw, false);
        assert!(pieces.iter().all(|piece| !piece.contains("<|") && !piece.contains("[[")), "{pieces:?}");
        assert_eq!(pieces.concat(), Grounded::parse(raw).text);
        assert_eq!(pieces.concat(), "See the cup: it is < 3 | cm. ♥");
        assert_eq!(shown(raw, true).concat(), raw);
    }

    #[test]
    fn words_show_at_once() {
        let pieces = shown("a <b> c", false);
        assert_eq!(pieces, ["a", " ", "", "<b", ">", " ", "c"]);
    }

    #[test]
    fn what_never_closes_waits_for_the_end() {
        assert_eq!(shown("a <|det|>[[1, 2", false).concat(), "a ");
    }
}
