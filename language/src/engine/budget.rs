//! A bound on how long a model thinks.

use super::request::ThinkingBudget;

/// Counts the tokens of the part in which a model thinks, and ends it.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    limits: ThinkingBudget,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// So many tokens of the tag that begins it were there.
    Before(usize),
    /// The tokens since.
    Inside(Vec<u32>),
    /// So many of the tokens that end it were forced.
    Forcing(usize),
    Done,
}

impl Budget {
    pub fn new(limits: ThinkingBudget) -> Self {
        let state = if limits.start.is_empty() { State::Inside(Vec::new()) } else { State::Before(0) };
        Self { limits, state }
    }

    /// The token that the answer must go on with, if there is one.
    pub fn forced(&mut self) -> Option<u32> {
        if let State::Inside(tokens) = &self.state
            && tokens.len() >= self.limits.max_tokens
        {
            self.state = State::Forcing(0);
        }
        match self.state {
            State::Forcing(at) => self.limits.forced.get(at).copied(),
            _ => None,
        }
    }

    /// Takes the answer's next token.
    pub fn push(&mut self, id: u32) {
        let ThinkingBudget { start, end, forced, .. } = &self.limits;
        match &mut self.state {
            State::Before(at) if start.get(*at) != Some(&id) => self.state = State::Done,
            State::Before(at) if *at + 1 == start.len() => self.state = State::Inside(Vec::new()),
            State::Before(at) => *at += 1,
            State::Inside(tokens) => {
                tokens.push(id);
                if tokens.ends_with(end) {
                    self.state = State::Done;
                }
            }
            State::Forcing(at) if *at + 1 >= forced.len() => self.state = State::Done,
            State::Forcing(at) => *at += 1,
            State::Done => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of an answer whose model says `said`, and 0 for ever after.
    fn bounded(max_tokens: usize, start: &[u32], said: &[u32], length: usize) -> Vec<u32> {
        let mut budget =
            Budget::new(ThinkingBudget { max_tokens, start: start.into(), end: vec![8, 9], forced: vec![7, 8, 9, 7] });
        let mut answer = Vec::new();
        let mut said = said.iter().copied().chain(std::iter::repeat(0));
        while answer.len() < length {
            let id = budget.forced().or_else(|| said.next()).unwrap();
            budget.push(id);
            answer.push(id);
        }
        answer
    }

    #[test]
    fn a_long_thought_is_ended_once() {
        assert_eq!(bounded(3, &[], &[1, 2, 3, 4, 5], 10), [1, 2, 3, 7, 8, 9, 7, 4, 5, 0]);
        assert_eq!(bounded(0, &[], &[1], 5), [7, 8, 9, 7, 1]);
        assert_eq!(bounded(2, &[5, 6], &[5, 6, 1, 2, 3], 9), [5, 6, 1, 2, 7, 8, 9, 7, 3]);
    }

    #[test]
    fn what_ends_in_time_or_never_begins_is_left_alone() {
        assert_eq!(bounded(4, &[], &[1, 2, 8, 9, 3, 4, 5], 8), [1, 2, 8, 9, 3, 4, 5, 0]);
        assert_eq!(bounded(1, &[5, 6], &[5, 5, 6, 1, 2, 3], 7), [5, 5, 6, 1, 2, 3, 0]);
        // Half of the end is no end.
        assert_eq!(bounded(4, &[], &[8, 8, 9, 1, 2], 6), [8, 8, 9, 1, 2, 0]);
        assert_eq!(bounded(3, &[], &[9, 8, 1, 2], 8), [9, 8, 1, 7, 8, 9, 7, 2]);
    }
}
