use super::*;
use proptest::prelude::*;

fn spec(experts: usize, top_k: usize) -> RouterSpec {
    RouterSpec { experts, top_k, score: Score::Softmax, correction: false, groups: None, normalise: false, scale: 1.0 }
}

/// The definition, word for word: an expert is chosen if fewer than `top_k` others of the kept groups beat it, a group
/// is kept if fewer than `kept` others beat it. Experts in ascending order, with their weights.
fn literal(spec: &RouterSpec, logits: &[f32], correction: &[f32]) -> Vec<(u32, f32)> {
    let beats = |a: (f32, usize), b: (f32, usize)| a.0 > b.0 || (a.0 == b.0 && a.1 < b.1);
    let scores = spec.score.of(logits);
    let choice: Vec<f32> = scores.iter().zip(correction).map(|(a, b)| a + b).collect();
    let groups = spec.groups.unwrap_or(Groups { count: 1, kept: 1, rank: GroupRank::Best });
    let size = spec.experts / groups.count;
    let rank = |group: usize| {
        let mut members = choice[group * size..][..size].to_vec();
        members.sort_by(|a, b| b.total_cmp(a));
        match groups.rank {
            GroupRank::Best => members[0],
            GroupRank::BestTwo => members.iter().take(2).sum(),
        }
    };
    let kept = |group: usize| {
        (0..groups.count).filter(|&other| beats((rank(other), other), (rank(group), group))).count() < groups.kept
    };
    let open = |expert: usize| kept(expert / size);
    let chosen: Vec<usize> = (0..spec.experts)
        .filter(|&e| open(e))
        .filter(|&e| {
            (0..spec.experts).filter(|&other| open(other) && beats((choice[other], other), (choice[e], e))).count()
                < spec.top_k
        })
        .collect();
    let sum =
        if spec.normalise && spec.top_k > 1 { chosen.iter().map(|&e| scores[e]).sum::<f32>() + 1e-20 } else { 1.0 };
    chosen.iter().map(|&e| (e as u32, scores[e] / sum * spec.scale)).collect()
}

fn sorted(routing: &Routing) -> Vec<(u32, f32)> {
    let mut pairs: Vec<_> = routing.ids.iter().copied().zip(routing.weights.iter().copied()).collect();
    pairs.sort_by_key(|pair| pair.0);
    pairs
}

proptest! {
    /// Logits and corrections lie on a coarse grid, so that ties are common.
    #[test]
    fn equals_the_definition(
        logits in prop::collection::vec((-6i32..6).prop_map(|x| x as f32), 12),
        correction in prop::collection::vec((-8i32..8).prop_map(|x| x as f32), 12),
        (top_k, count, kept) in (1usize..=3, prop::sample::select(vec![1usize, 2, 3, 4, 6]), 1usize..=6),
        (sigmoid, best_two, corrected, normalise) in any::<(bool, bool, bool, bool)>(),
    ) {
        let kept = kept.min(count);
        prop_assume!(top_k <= kept * (12 / count));
        let spec = RouterSpec {
            score: if sigmoid { Score::Sigmoid } else { Score::Softmax },
            correction: corrected,
            groups: (count > 1).then_some(Groups {
                count,
                kept,
                rank: if best_two { GroupRank::BestTwo } else { GroupRank::Best },
            }),
            normalise,
            scale: 2.5,
            ..spec(12, top_k)
        };
        let correction: Vec<f32> = if corrected { correction } else { vec![0.0; 12] };
        let routing = spec.route(&logits, corrected.then_some(&correction));
        let (found, expected) = (sorted(&routing), literal(&spec, &logits, &correction));
        prop_assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(&expected) {
            prop_assert_eq!(a.0, b.0);
            prop_assert!((a.1 - b.1).abs() <= 1e-5 * b.1.abs());
        }
    }

    #[test]
    fn nothing_panics_and_nan_shows(logits in prop::collection::vec(any::<f32>(), 8), two in any::<bool>()) {
        for score in [Score::Softmax, Score::Sigmoid] {
            let rank = if two { GroupRank::BestTwo } else { GroupRank::Best };
            let groups = Some(Groups { count: 4, kept: 2, rank });
            let routing = RouterSpec { score, groups, ..spec(8, 3) }.route(&logits, None);
            prop_assert_eq!(routing.ids.len(), 3);
            if logits.iter().any(|x| x.is_nan()) {
                prop_assert!(routing.weights.iter().any(|x| x.is_nan()));
            }
        }
    }
}

#[test]
fn scores_are_softmax_and_logistic() {
    let logits = [-60.0f32, -3.0, 0.0, 0.5, 20.0];
    let exponentials = logits.map(|x| f64::from(x).exp());
    let sum: f64 = exponentials.iter().sum();
    let close = |found: Vec<f32>, expected: [f64; 5]| {
        found.iter().zip(expected).all(|(a, b)| (f64::from(*a) - b).abs() <= 1e-6 * b)
    };
    assert!(close(Score::Softmax.of(&logits), exponentials.map(|e| e / sum)));
    assert!(close(Score::Sigmoid.of(&logits), exponentials.map(|e| e / (1.0 + e))));
}

#[test]
fn ties_go_to_the_lower_index() {
    let routing = spec(6, 3).route(&[1.0, 2.0, 2.0, 0.0, 2.0, 2.0], None);
    assert_eq!(routing.ids, [1, 2, 4]);
    let groups = Some(Groups { count: 3, kept: 1, rank: GroupRank::Best });
    assert_eq!(RouterSpec { groups, ..spec(6, 2) }.route(&[0.0; 6], None).ids, [0, 1]);
}

#[test]
fn correction_chooses_and_does_not_weigh() {
    let spec = RouterSpec { score: Score::Sigmoid, correction: true, normalise: true, scale: 2.0, ..spec(4, 2) };
    let routing = spec.route(&[0.0, 3.0, 0.0, -9.0], Some(&[0.6, 0.0, 0.7, 0.0]));
    assert_eq!(routing.ids, [2, 0]);
    assert_eq!(routing.weights, [1.0, 1.0]);
}

/// Experts of groups that are not kept cannot be chosen, not even where a correction makes all others negative.
#[test]
fn closed_groups_stay_closed() {
    let groups = Some(Groups { count: 2, kept: 1, rank: GroupRank::BestTwo });
    let spec = RouterSpec { score: Score::Sigmoid, correction: true, groups, ..spec(4, 2) };
    assert_eq!(spec.route(&[0.0; 4], Some(&[-3.0, -2.0, -9.0, -9.0])).ids, [1, 0]);
}

#[test]
fn one_expert_is_not_normalised() {
    let spec = RouterSpec { normalise: true, scale: 3.0, ..spec(2, 1) };
    assert_eq!(spec.route(&[0.0, 0.0], None).weights, [1.5]);
}

#[test]
fn negative_nan_shows_too() {
    let routing = RouterSpec { score: Score::Sigmoid, ..spec(3, 1) }.route(&[5.0, -f32::NAN, 1.0], None);
    assert_eq!(routing.ids, [1]);
    assert!(routing.weights[0].is_nan());
}
