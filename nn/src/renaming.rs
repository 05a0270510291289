//! Names that a checkpoint has in place of those that the models ask for.

use std::borrow::Cow;

/// One rule: a tensor whose name begins with `asked` is stored under a name that begins with `stored`, with a part of the
/// rest replaced. Of several rules the first that fits applies; a name that fits none is stored as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renaming {
    /// The beginning of the name that a model asks for.
    pub asked: &'static str,
    /// What stands in its place in the checkpoint.
    pub stored: &'static str,
    /// Parts of the rest and what stands in their place; the first that occurs is replaced, where it occurs first.
    pub parts: &'static [(&'static str, &'static str)],
}

impl Renaming {
    /// A rule that replaces the beginning alone.
    pub const fn prefix(asked: &'static str, stored: &'static str) -> Self {
        Self { asked, stored, parts: &[] }
    }

    /// The name in the checkpoint.
    pub(crate) fn apply<'n>(rules: &[Self], name: &'n str) -> Cow<'n, str> {
        let rule = rules.iter().find_map(|rule| Some((rule, name.strip_prefix(rule.asked)?)));
        let Some((rule, rest)) = rule else { return Cow::Borrowed(name) };
        let rest = match rule.parts.iter().find(|(asked, _)| rest.contains(asked)) {
            Some((asked, stored)) => Cow::Owned(rest.replacen(asked, stored, 1)),
            None => Cow::Borrowed(rest),
        };
        Cow::Owned(format!("{}{rest}", rule.stored))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_applies() {
        const RULES: &[Renaming] = &[
            Renaming { asked: "a.blocks.", stored: "x.layers.", parts: &[(".norm", ".layer_norm"), (".layer", ".")] },
            Renaming::prefix("a.", "x.y."),
        ];
        for (asked, stored) in [
            ("a.blocks.0.norm1.weight", "x.layers.0.layer_norm1.weight"),
            ("a.norm.weight", "x.y.norm.weight"),
            ("b.a.norm", "b.a.norm"),
        ] {
            assert_eq!(Renaming::apply(RULES, asked), stored);
        }
    }
}
