//! A list of boxes as it is written: `[[x1, y1, x2, y2], [x1, y1, x2, y2]]`.

/// The largest coordinate.
const LARGEST: u16 = 999;

/// What comes next in a list of boxes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum List {
    /// The bracket that opens the list.
    #[default]
    Start,
    /// The bracket of a box.
    BoxOpen,
    /// A number of a box; before its first digit a space may come, unless it is the first or the space was there.
    Number { corners: [u16; 4], at: usize, spaced: bool },
    /// Another digit, or what ends the number `corners[at]`.
    Digits { corners: [u16; 4], at: usize },
    /// What follows a box.
    BoxClosed,
    /// A space or the next box.
    Comma,
    /// Nothing: the list is complete.
    End,
}

impl List {
    /// Whether a byte has a place in lists.
    pub fn knows(byte: u8) -> bool {
        matches!(byte, b'[' | b']' | b',' | b' ' | b'0'..=b'9')
    }

    pub fn is_complete(&self) -> bool {
        *self == Self::End
    }

    /// After some bytes; none if they do not fit.
    pub fn after(&self, bytes: &[u8]) -> Option<Self> {
        bytes.iter().try_fold(*self, |list, &byte| list.next(byte))
    }

    fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Start, b'[') => Some(Self::BoxOpen),
            (Self::BoxOpen | Self::Comma, b'[') => Some(Self::Number { corners: [0; 4], at: 0, spaced: true }),
            (Self::Number { corners, at, spaced: false }, b' ') => Some(Self::Number { corners, at, spaced: true }),
            (Self::Number { corners, at, .. }, b'0'..=b'9') => Self::digit(corners, at, byte),
            // No number has a zero before other digits.
            (Self::Digits { corners, at }, b'0'..=b'9') if corners[at] > 0 => Self::digit(corners, at, byte),
            (Self::Digits { corners, at: at @ 0..3 }, b',') if is_corner(&corners, at) => {
                Some(Self::Number { corners, at: at + 1, spaced: false })
            }
            (Self::Digits { corners, at: 3 }, b']') if is_corner(&corners, 3) => Some(Self::BoxClosed),
            (Self::BoxClosed, b',') => Some(Self::Comma),
            (Self::BoxClosed, b']') => Some(Self::End),
            (Self::Comma, b' ') => Some(Self::BoxOpen),
            _ => None,
        }
    }

    /// With another digit of the number, if that can become one that fits.
    fn digit(mut corners: [u16; 4], at: usize, byte: u8) -> Option<Self> {
        corners[at] = 10 * corners[at] + u16::from(byte - b'0');
        let mut largest = corners[at];
        if largest > LARGEST {
            return None;
        }
        while largest > 0 && 10 * largest + 9 <= LARGEST {
            largest = 10 * largest + 9;
        }
        let may_become = |value| {
            let mut with = corners;
            with[at] = value;
            is_corner(&with, at)
        };
        (may_become(corners[at]) || may_become(largest)).then_some(Self::Digits { corners, at })
    }
}

/// Whether a number can be that corner of a box that has an area.
fn is_corner(corners: &[u16; 4], at: usize) -> bool {
    match at {
        0 | 1 => corners[at] < LARGEST,
        _ => corners[at] > corners[at - 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_of_boxes_fit_to_their_end() {
        for list in ["[[0, 0, 1, 1]]", "[[12, 30, 455, 999], [998, 998, 999, 999]]", "[[1,2,3,4],[5,6,7,8]]"] {
            assert_eq!(List::default().after(list.as_bytes()), Some(List::End), "{list}");
            for end in 0..list.len() {
                assert!(
                    List::default().after(&list.as_bytes()[..end]).is_some_and(|list| !list.is_complete()),
                    "{list} {end}"
                );
            }
        }
    }

    #[test]
    fn what_needs_repair_does_not_fit() {
        let lists = [
            "[1",
            "[[]",
            "[[1,,",
            "[[1,  ",
            "[[1, 2]",
            "[[1, 2, 3, 4,",
            "[[19, 711, 70]",
            "[[1000",
            "[[01",
            "[[999",
            "[[5, 5, 5,",
            "[[900, 5, 8",
            "[[5, 9, 8, 4]",
            "[[1, 2, 3, 4]]]",
            "[[1, 2, 3, 4], ]",
            "[ ",
            "[[ ",
            "[[1 ",
        ];
        for list in lists {
            assert_eq!(List::default().after(list.as_bytes()), None, "{list}");
            assert!(List::default().after(&list.as_bytes()[..list.len() - 1]).is_some(), "{list}");
        }
    }

    proptest! {
        /// Whatever is chosen, something fits, and the list can be ended.
        #[test]
        fn no_list_ends_in_a_dead_end(choices in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut list = List::default();
            for choice in choices {
                let fitting: Vec<u8> = b"[], 0123456789".iter().copied().filter(|&byte| list.next(byte).is_some()).collect();
                if list.is_complete() {
                    prop_assert!(fitting.is_empty());
                    break;
                }
                prop_assert!(!fitting.is_empty(), "{list:?}");
                list = list.next(fitting[usize::from(choice) % fitting.len()]).unwrap();
            }
        }
    }
}
