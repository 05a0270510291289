//! Grounding markup: what well-formed answers mean, and what becomes of broken ones.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use proptest::prelude::*;
use seekvl::boxes::{BoundingBox, Grounded, Invalid, Reading, Repair, markup};

fn only_box(answer: &str) -> BoundingBox {
    let grounded = Grounded::parse(answer);
    let boxes: Vec<_> = grounded.boxes().map(|(_, one)| one.clone()).collect();
    assert_eq!(boxes.len(), 1, "{answer}: {boxes:?}");
    boxes.into_iter().next().unwrap()
}

fn repaired(answer: &str) -> ([u16; 4], Vec<Repair>) {
    match only_box(answer) {
        BoundingBox { relative: Some(relative), reading: Reading::Repaired(repairs), .. } => (relative, repairs),
        other => panic!("{answer}: {other:?}"),
    }
}

fn invalid(answer: &str) -> Invalid {
    match only_box(answer) {
        BoundingBox { relative: None, reading: Reading::Invalid(why), .. } => why,
        other => panic!("{answer}: {other:?}"),
    }
}

#[test]
fn a_sentence_with_two_labels_and_three_boxes() {
    let answer = "<|grounding|><|ref|>Two dogs<|/ref|><|det|>[[0, 1, 499, 998], [500, 2, 999, 999]]<|/det|> \
                  chase <|ref|> a 球 <|/ref|><|det|>[[7, 8, 9, 10]]<|/det|>.";
    let grounded = Grounded::parse(answer);
    assert_eq!(grounded.text, "Two dogs chase  a 球 .");
    let labels: Vec<_> = grounded.regions.iter().map(|region| &grounded.text[region.span.clone()]).collect();
    assert_eq!(labels, ["Two dogs", "a 球"]);
    assert_eq!(grounded.regions[0].label.as_deref(), Some("Two dogs"));
    let boxes: Vec<_> = grounded.boxes().map(|(label, one)| (label.unwrap(), one.relative.unwrap())).collect();
    assert_eq!(boxes, [("Two dogs", [0, 1, 499, 998]), ("Two dogs", [500, 2, 999, 999]), ("a 球", [7, 8, 9, 10]),]);
    assert!(grounded.boxes().all(|(_, one)| one.reading == Reading::AsWritten));
    assert_eq!(grounded.regions[1].boxes[0].raw, "[7, 8, 9, 10]");
}

#[test]
fn pixels_divide_by_999() {
    let one = only_box("<|det|>[[0, 333, 999, 666]]<|/det|>");
    assert_eq!(one.pixels(1000, 600), Some([0.0, 200.0, 1000.0, 400.0]));
    assert_eq!(only_box("<|det|>[[1, 2, 3]]<|/det|>").pixels(1000, 600), None);
}

#[test]
fn labels_and_lists_find_each_other() {
    let regions = |answer: &str| -> Vec<(Option<String>, usize)> {
        Grounded::parse(answer).regions.into_iter().map(|region| (region.label, region.boxes.len())).collect()
    };
    let label = |label: &str| Some(label.to_owned());
    const BOX: &str = "<|det|>[[1, 2, 3, 4]]<|/det|>";
    assert_eq!(regions("no markup, 3 < 4 <| and <|pad|>"), []);
    assert_eq!(regions(BOX), [(None, 1)]);
    assert_eq!(regions("<|ref|>a<|/ref|>"), [(label("a"), 0)]);
    assert_eq!(regions(&format!("<|ref|>a<|/ref|>{BOX}\n{BOX}")), [(label("a"), 2)]);
    assert_eq!(regions(&format!("<|ref|>a<|/ref|>{BOX} and {BOX}")), [(label("a"), 1), (None, 1)]);
    assert_eq!(regions(&format!("<|ref|>a<|/ref|> is at {BOX}")), [(label("a"), 1)]);
    assert_eq!(regions(&format!("<|ref|>a{BOX}<|/ref|>")), [(label("a"), 1)]);
    assert_eq!(regions(&format!("<|ref|>a<|ref|>b<|/ref|>{BOX}")), [(label("a"), 0), (label("b"), 1)]);
    assert_eq!(regions("<|/det|><|/ref|>x<|grounding|>"), []);
    assert_eq!(regions("<|ref|>a<|/ref|><|det|>[]<|/det|>"), [(label("a"), 0)]);
    assert_eq!(regions("<|ref|>a<|/ref|><|det|>[[]]<|/det|>"), [(label("a"), 0)]);
}

#[test]
fn unclosed_lists_give_the_sentence_back() {
    let grounded = Grounded::parse("<|ref|>a<|/ref|><|det|>[[1, 2, 3, 4]] is a dog.");
    assert_eq!(grounded.text, "a is a dog.");
    assert_eq!(grounded.regions[0].boxes[0].reading, Reading::Repaired(vec![Repair::UnclosedTag]));
    let grounded = Grounded::parse("<|ref|>a<|/ref|><|det|>[[1, 2, 3, 4<|ref|>b<|/ref|>");
    assert_eq!(grounded.text, "ab");
    assert_eq!(grounded.regions[0].boxes[0].reading, Reading::Repaired(vec![Repair::UnclosedTag, Repair::Brackets]));
}

#[test]
fn what_is_repaired() {
    let det = |list: &str| repaired(&format!("<|det|>{list}<|/det|>"));
    let plain = [1, 2, 3, 4];
    assert_eq!(det("[1, 2, 3, 4]"), (plain, vec![Repair::Nesting]));
    assert_eq!(det("[[[1, 2, 3, 4]]]"), (plain, vec![Repair::Nesting]));
    assert_eq!(det("1, 2, 3, 4"), (plain, vec![Repair::Brackets]));
    assert_eq!(det("[[1, 2, 3, 4]"), (plain, vec![Repair::Brackets]));
    assert_eq!(det("[[1, 2, 3, 4"), (plain, vec![Repair::Brackets]));
    assert_eq!(det("[[1, 2, 3, 4]]]"), (plain, vec![Repair::Brackets]));
    assert_eq!(det("[[1 2 3 4]]"), (plain, vec![Repair::Separators]));
    assert_eq!(det("[[1, 2, 3, 4,]]"), (plain, vec![Repair::Separators]));
    assert_eq!(det("[[1, 2, 3, 4] maybe]"), (plain, vec![Repair::Separators]));
    assert_eq!(det("[[1.2, 2, 2.5, 4]]"), (plain, vec![Repair::Rounded]));
    assert_eq!(det("[[-7, 2, 1e4, 4]]"), ([0, 2, 999, 4], vec![Repair::Clamped]));
    assert_eq!(det("[[3, 4, 1, 2]]"), (plain, vec![Repair::Swapped]));
    assert_eq!(
        det("[[1000.5, 4, -0.6, 2"),
        ([0, 2, 999, 4], vec![Repair::Brackets, Repair::Rounded, Repair::Clamped, Repair::Swapped])
    );
}

#[test]
fn what_is_invalid() {
    let det = |list: &str| invalid(&format!("<|det|>{list}<|/det|>"));
    assert_eq!(det("[[1, 2, 3]]"), Invalid::Count(3));
    assert_eq!(det("[[1, 2, 3, 4, 5]]"), Invalid::Count(5));
    assert_eq!(det("[1, 2, 3, 4, 5, 6, 7, 8]"), Invalid::Count(8));
    for hostile in
        ["[[1, 2, 3, NaN]]", "[[1, 2, inf, 4]]", "[[１, ２, ３, ４]]", "[[1, 2, 3, 0x4]]", "[[1, 2, 3, 1e999]]"]
    {
        assert_eq!(det(hostile), Invalid::NotANumber, "{hostile}");
    }
    let code = Grounded::parse("<|det|>[[__import__('os').system('true')]]<|/det|>");
    assert!(code.boxes().all(|(_, one)| one.reading == Reading::Invalid(Invalid::NotANumber)));
    assert_eq!(det("nothing"), Invalid::NotANumber);
    assert_eq!(det("[[5, 5, 5, 9]]"), Invalid::NoArea);
    assert_eq!(det("[[1200, 5, 1500, 9]]"), Invalid::NoArea);
}

#[test]
fn one_bad_box_does_not_spoil_its_neighbours() {
    let grounded = Grounded::parse("<|det|>[[1, 2, 3, 4], [5, 6], [7, 8, 9, 10]]<|/det|>");
    let readings: Vec<_> = grounded.boxes().map(|(_, one)| one.reading.clone()).collect();
    assert_eq!(readings, [Reading::AsWritten, Reading::Invalid(Invalid::Count(2)), Reading::AsWritten]);
}

#[test]
fn megabytes_of_anything_take_linear_time() {
    for unit in ["[", "]", "[[", "[1", "<|", "<|det|>", "<|ref|>", "<|det|>[", "1,", "<|ref|><|det|>", "<|det|>x"] {
        let hostile = unit.repeat(2_000_000 / unit.len());
        let start = std::time::Instant::now();
        Grounded::parse(&hostile);
        Grounded::parse(&format!("<|det|>{hostile}<|/det|>"));
        assert!(start.elapsed().as_secs() < 5, "{unit}: {:?}", start.elapsed());
    }
}

/// Pieces that exercise every branch more often than arbitrary characters would.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "<|ref|>",
            "<|/ref|>",
            "<|det|>",
            "<|/det|>",
            "<|grounding|>",
            "<|",
            "[",
            "]",
            "[[",
            "]]",
            ",",
            " ",
            "(",
            "-",
            "12",
            "999",
            "1e3",
            "NaN",
            "3.5",
            "球",
            "a dog",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn any_answer_is_read(pieces in prop::collection::vec(fragment(), 0..40)) {
        let grounded = Grounded::parse(&pieces.concat());
        for region in &grounded.regions {
            let spanned = &grounded.text[region.span.clone()];
            prop_assert_eq!(region.label.as_deref().unwrap_or(""), spanned);
            for one in &region.boxes {
                match &one.reading {
                    Reading::Invalid(_) => prop_assert_eq!(one.relative, None),
                    Reading::Repaired(repairs) => prop_assert!(!repairs.is_empty()),
                    Reading::AsWritten => {}
                }
                if let Some([x1, y1, x2, y2]) = one.relative {
                    prop_assert!(x1 < x2 && y1 < y2 && x2 <= 999 && y2 <= 999);
                }
            }
        }
    }

    #[test]
    fn well_formed_markup_comes_back(
        labelled in prop::collection::vec(
            ("[a-z球]{1,9}", prop::collection::vec((0u16..999, 0u16..999, 1u16..=999, 1u16..=999), 0..4)), 0..5,
        ),
    ) {
        let wanted: Vec<(String, Vec<[u16; 4]>)> = labelled.into_iter().map(|(label, boxes)| {
            let boxes = boxes.into_iter().map(|(x, y, w, h)| [x, y, (x + w).min(999), (y + h).min(999)]);
            (label, boxes.collect())
        }).collect();
        let answer: String = wanted.iter().map(|(label, boxes)| markup(label, boxes) + " and ").collect();
        let grounded = Grounded::parse(&answer);
        let text: String = wanted.iter().map(|(label, _)| format!("{label} and ")).collect();
        prop_assert_eq!(&grounded.text, &text);
        prop_assert!(grounded.boxes().all(|(_, one)| one.reading == Reading::AsWritten));
        let read: Vec<_> = grounded.regions.into_iter().map(|region| {
            let boxes: Vec<_> = region.boxes.iter().filter_map(|one| one.relative).collect();
            (region.label.unwrap_or_default(), boxes)
        }).collect();
        prop_assert_eq!(read, wanted);
    }
}
