//! What answers are measured with: distances between texts, and overlaps of boxes.

/// Characters to insert, remove or replace to make one text of the other (Levenshtein's distance).
pub fn edit_distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    // Distances of the part of `one` that was seen to each beginning of `other`.
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, c) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &d) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(c != d);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

/// A text as it is compared: without white space around it, capitals and a final full stop.
pub fn normalised(text: &str) -> String {
    let text = text.trim();
    text.strip_suffix('.').unwrap_or(text).trim_end().to_lowercase()
}

/// Intersection over union of two boxes `[left, top, right, bottom]`.
pub fn iou(one: [u16; 4], other: [u16; 4]) -> f64 {
    let side = |low: u16, high: u16| f64::from(high.saturating_sub(low));
    let area = |b: [u16; 4]| side(b[0], b[2]) * side(b[1], b[3]);
    let width = side(one[0].max(other[0]), one[2].min(other[2]));
    let height = side(one[1].max(other[1]), one[3].min(other[3]));
    let both = width * height;
    let either = area(one) + area(other) - both;
    if either > 0.0 { both / either } else { 0.0 }
}

/// Intersection over union of two sets of boxes: the mean over pairs, of which those that overlap most are made first. A
/// box that is left over counts 0. Two empty sets are the same.
pub fn set_iou(given: &[[u16; 4]], wanted: &[[u16; 4]]) -> f64 {
    let places = |given: usize| (0..wanted.len()).map(move |wanted| (given, wanted));
    let mut pairs: Vec<(f64, usize, usize)> =
        (0..given.len()).flat_map(places).map(|(g, w)| (iou(given[g], wanted[w]), g, w)).collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut free_given, mut free_wanted) = (vec![true; given.len()], vec![true; wanted.len()]);
    let mut sum = 0.0;
    for (iou, g, w) in pairs {
        if free_given[g] && free_wanted[w] {
            (free_given[g], free_wanted[w]) = (false, false);
            sum += iou;
        }
    }
    match given.len().max(wanted.len()) {
        0 => 1.0,
        boxes => sum / boxes as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_the_fewest_changes() {
        let cases = [("", "", 0), ("abc", "", 3), ("", "abc", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2)];
        for (one, other, distance) in cases {
            assert_eq!(edit_distance(one, other), distance, "{one:?} {other:?}");
            assert_eq!(edit_distance(other, one), distance, "{other:?} {one:?}");
        }
        assert_eq!(edit_distance("häuser", "hauser"), 1, "characters, not bytes");
    }

    #[test]
    fn what_does_not_matter_is_dropped() {
        assert_eq!(normalised(" The red Star. \n"), "the red star");
        assert_eq!(normalised("3.5"), "3.5");
        assert_ne!(normalised("a b"), normalised("ab"));
    }

    #[test]
    fn overlaps_are_shares_of_the_union() {
        let square = [0, 0, 10, 10];
        assert_eq!(iou(square, square), 1.0);
        assert_eq!(iou(square, [5, 0, 15, 10]), 50.0 / 150.0);
        assert_eq!(iou(square, [2, 2, 4, 4]), 0.04);
        assert_eq!(iou(square, [10, 0, 20, 10]), 0.0);
        assert_eq!(iou([3, 3, 3, 3], [3, 3, 3, 3]), 0.0);
    }

    #[test]
    fn boxes_are_paired_whatever_their_order() {
        let (one, two, three) = ([0, 0, 10, 10], [100, 0, 110, 10], [200, 0, 210, 10]);
        assert_eq!(set_iou(&[one, two], &[two, one]), 1.0);
        assert_eq!(set_iou(&[two], &[one, two, three]), 1.0 / 3.0, "two are missing");
        assert_eq!(set_iou(&[one, two, three], &[three]), 1.0 / 3.0, "two are too many");
        assert_eq!(set_iou(&[one, one], &[one]), 0.5, "a box is found once");
        assert_eq!(set_iou(&[], &[one]), 0.0);
        assert_eq!(set_iou(&[], &[]), 1.0);
        // Of two that could be its partner, a box takes the closer one.
        assert_eq!(set_iou(&[[5, 0, 15, 10], one], &[one]), 0.5);
    }
}
