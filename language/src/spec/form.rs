//! Which form of latent attention costs less.

use super::AttentionSpec;
use crate::LatentForm;

/// Numbers of expanded keys and values that are there at once: 32 MiB.
const EXPANDED: usize = 8 << 20;

impl AttentionSpec {
    /// The form in which latent attention takes fewer multiplications for `rows` rows that follow `context` tokens, as
    /// [`AttentionSpec::multiplications`] counts them.
    pub fn cheaper_form(&self, rows: usize, context: usize) -> LatentForm {
        let count = |form| self.multiplications(form, rows, context);
        match count(LatentForm::Expanded) < count(LatentForm::Absorbed) {
            true => LatentForm::Expanded,
            false => LatentForm::Absorbed,
        }
    }

    /// Multiplications of one layer between queries and output layer, for `rows` rows that follow `context` tokens.
    /// Projections are left out, as they are the same in both forms.
    ///
    /// With a latent of `R` numbers, heads of `d` + `r` (rotated) numbers and values of `v`, one head costs
    ///
    /// - absorbed `R (d + v)` a row and `2 R + r` a pair of a row and a token that it sees,
    /// - expanded `R (d + v)` a token, those of the context included, and `d + r + v` a pair.
    ///
    /// Grouped attention has one form.
    pub fn multiplications(&self, form: LatentForm, rows: usize, context: usize) -> u128 {
        let [rows, context] = [rows as u128, context as u128];
        let pairs = rows * context + rows * (rows + 1) / 2;
        match *self {
            AttentionSpec::Grouped { heads, head_dim, .. } => pairs * (2 * heads * head_dim) as u128,
            AttentionSpec::Latent { heads, kv_rank, nope_dim, rope_dim, value_dim, .. } => {
                let [heads, rank, nope, rope, value] =
                    [heads, kv_rank, nope_dim, rope_dim, value_dim].map(|size| size as u128);
                let (taken, pair) = match form {
                    LatentForm::Absorbed => (rows, 2 * rank + rope),
                    LatentForm::Expanded => (context + rows, nope + rope + value),
                };
                heads * (taken * rank * (nope + value) + pairs * pair)
            }
        }
    }

    /// How many heads latent attention expands at a time over `tokens` tokens, to bound the memory: so many that their
    /// keys and values are at most [`EXPANDED`] numbers, and at least one. 0 for grouped attention.
    pub(crate) fn heads_together(&self, tokens: usize) -> usize {
        match *self {
            AttentionSpec::Grouped { .. } => 0,
            AttentionSpec::Latent { heads, nope_dim, rope_dim, value_dim, .. } => {
                (EXPANDED / tokens.saturating_mul(nope_dim + rope_dim + value_dim).max(1)).clamp(1, heads)
            }
        }
    }

    /// Numbers that the expanded form holds at a time over `tokens` tokens: their latents put together, and again without the
    /// rotated key; keys and values of some heads, expanded, put together and rounded.
    pub fn expanded_numbers(&self, tokens: usize) -> usize {
        match *self {
            AttentionSpec::Grouped { .. } => 0,
            AttentionSpec::Latent { kv_rank, nope_dim, rope_dim, value_dim, .. } => {
                let heads = self.heads_together(tokens).saturating_mul(nope_dim + rope_dim + value_dim);
                tokens.saturating_mul(heads.saturating_mul(3).saturating_add(2 * (kv_rank + rope_dim)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_rows_are_expanded_and_few_absorbed() {
        // DeepSeek-V2-Lite.
        let latent = AttentionSpec::Latent {
            heads: 16,
            q_rank: None,
            kv_rank: 512,
            nope_dim: 128,
            rope_dim: 64,
            value_dim: 128,
            bias: false,
        };
        use LatentForm::{Absorbed, Expanded};
        let cases = [
            (1, 0, Expanded),
            (1, 1, Absorbed),
            (1, 100_000, Absorbed),
            (2, 1, Absorbed),
            (1400, 0, Expanded),
            (170, 100_000, Absorbed),
            (171, 100_000, Expanded),
            (16, 100, Absorbed),
            (512, 512, Expanded),
        ];
        for (rows, context, form) in cases {
            assert_eq!(latent.cheaper_form(rows, context), form, "{rows} after {context}");
        }
        assert_eq!([1, 512, 4096, 1 << 20].map(|tokens| latent.heads_together(tokens)), [16, 16, 6, 1]);
        assert_eq!(latent.expanded_numbers(4096), 4096 * (3 * 6 * 320 + 2 * 576));
        let count = |form| latent.multiplications(form, 2, 3);
        // Rows see 4 and 5 tokens.
        assert_eq!(count(Absorbed), 16 * (2 * 512 * 256 + 9 * (512 + 64 + 512)));
        assert_eq!(count(Expanded), 16 * (5 * 512 * 256 + 9 * (192 + 128)));
    }
}
