//! Token ids to text, piece by piece.

use crate::Tokenizer;

/// Decodes ids as they come and never splits a character.
///
/// A byte-level token may end in the middle of a character; its bytes wait (at most three of them) for the next token.
/// Bytes that cannot become a character turn into U+FFFD as soon as that is certain. All the pieces together, with
/// [`finish`](Self::finish)'s at the end, are exactly what [`Tokenizer::decode`] makes of all the ids.
#[derive(Clone, Debug)]
pub struct TextStream<'t> {
    tokenizer: &'t Tokenizer,
    skip_special: bool,
    pending: Vec<u8>,
}

impl<'t> TextStream<'t> {
    pub(crate) fn new(tokenizer: &'t Tokenizer, skip_special: bool) -> Self {
        Self { tokenizer, skip_special, pending: Vec::new() }
    }

    /// Takes the next id; returns the text it completes, which may be empty.
    pub fn push(&mut self, id: u32) -> String {
        self.tokenizer.append_bytes(id, self.skip_special, &mut self.pending);
        let mut text = String::with_capacity(self.pending.len());
        let mut taken = 0;
        for chunk in self.pending.utf8_chunks() {
            text.push_str(chunk.valid());
            taken += chunk.valid().len();
            let invalid = chunk.invalid();
            let is_last = taken + invalid.len() == self.pending.len();
            if is_last && may_continue(invalid) {
                break;
            }
            if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
                taken += invalid.len();
            }
        }
        self.pending.drain(..taken);
        text
    }

    /// The end: U+FFFD if a character was left unfinished, else nothing. The stream can be used again from the start.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }
}

/// Whether these bytes, which are no character, are the beginning of one.
fn may_continue(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// The byte that a character stands for in the vocabulary of a byte-level tokenizer.
///
/// Printable bytes of Latin-1 stand for themselves; the other 68 are numbered upwards from U+0100, in their order
/// (GPT-2's `bytes_to_unicode`).
pub(crate) fn byte_of(character: char) -> Option<u8> {
    match u32::from(character) {
        code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => u8::try_from(code).ok(),
        code @ 0x100..=0x120 => u8::try_from(code - 0x100).ok(),
        code @ 0x121..=0x142 => u8::try_from(code - 0x121 + 0x7f).ok(),
        0x143 => Some(0xad),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character() {
        let mut bytes: Vec<u8> = (0..0x200).filter_map(char::from_u32).filter_map(byte_of).collect();
        assert_eq!(bytes.len(), 256);
        bytes.sort_unstable();
        bytes.dedup();
        assert_eq!(bytes.len(), 256);
        assert_eq!(byte_of('Ġ'), Some(b' '));
        assert_eq!(byte_of('Ċ'), Some(b'\n'));
        assert_eq!(byte_of('｜'), None);
    }

    #[test]
    fn beginnings_of_characters_wait() {
        assert!(may_continue(&[0xe4]) && may_continue(&[0xe4, 0xbd]) && may_continue(&[0xf0, 0x9f, 0x98]));
        assert!(!may_continue(&[0xff]) && !may_continue(&[0x80]) && !may_continue(&[0xed, 0xa0]) && !may_continue(&[]));
    }
}
