//! The tensors of a file, and where each one's numbers come from.

use super::names::{
    BLOCK, CORRECTION, EXPERTS, FACTORS, KEYS_UP, LAYER, MODEL, POSITIONS, PROJECTOR, ROWS, VALUES_UP, VISION,
};
use crate::Result;
use crate::config::ModelSpec;
use seekvl_language::{AttentionSpec, DecoderSpec, Mtp};
use seekvl_nn::{Loader, Pairs, Rows};

/// A tensor that is to be written.
pub(super) struct Piece {
    pub name: String,
    /// Row-major.
    pub shape: Vec<usize>,
    pub source: Source,
}

/// Rows of numbers.
pub(super) enum Source {
    /// One matrix after the other, each with as many rows.
    Each(Vec<Rows>),
    /// Heads of so many rows, of which the halves are dealt out in turn: what turned together half a head apart become neighbours.
    Dealt(Rows, usize),
    /// The part for keys of the matrix that takes the latent up, transposed head by head.
    KeysUp(Rows, Heads),
    /// The part for values.
    ValuesUp(Rows, Heads),
    /// These.
    Numbers(Vec<f32>),
}

/// What the matrix that takes the latent up has for each head.
#[derive(Clone, Copy)]
pub(super) struct Heads {
    nope: usize,
    value: usize,
    rank: usize,
}

/// Reads a row.
pub(super) type Read<'a> = Box<dyn Fn(usize, &mut [f32]) + Send + Sync + 'a>;

impl Source {
    /// What reads its rows. A matrix that has to be transposed is read here.
    pub fn reader(&self) -> Read<'_> {
        match self {
            Self::Each(parts) => {
                let rows = parts.first().map_or(1, Rows::len).max(1);
                Box::new(move |row, values| parts[row / rows].read(row % rows, values))
            }
            Self::Dealt(rows, head) => Box::new(move |row, values| {
                let (first, at) = (row / head * head, row % head);
                rows.read(first + at % 2 * (head / 2) + at / 2, values);
            }),
            Self::KeysUp(rows, Heads { nope, value, rank }) => {
                let all = rows.all();
                Box::new(move |row, values| {
                    let (head, col) = (row / rank, row % rank);
                    let first = head * (nope + value);
                    values.iter_mut().enumerate().for_each(|(n, number)| *number = all[(first + n) * rank + col]);
                })
            }
            Self::ValuesUp(rows, Heads { nope, value, .. }) => Box::new(move |row, values| {
                rows.read(row / value * (nope + value) + nope + row % value, values);
            }),
            Self::Numbers(numbers) => Box::new(move |row, values| values.fill(numbers[row])),
        }
    }

    /// Numbers of a row; those of a vector stand one to a row.
    pub fn cols(&self) -> usize {
        match self {
            Self::Each(parts) => parts.first().map_or(1, Rows::cols),
            Self::Dealt(rows, _) | Self::ValuesUp(rows, _) => rows.cols(),
            Self::KeysUp(_, heads) => heads.nope,
            Self::Numbers(_) => 1,
        }
    }

    /// Gives back the pages that reading has taken.
    pub fn release(&self) {
        match self {
            Self::Each(parts) => parts.iter().for_each(Rows::release),
            Self::Dealt(rows, _) | Self::KeysUp(rows, _) | Self::ValuesUp(rows, _) => rows.release(),
            Self::Numbers(_) => {}
        }
    }
}

/// All tensors of a model's file; each of the checkpoint is ticked off.
pub(super) fn pieces(loader: &Loader, spec: &ModelSpec) -> Result<Vec<Piece>> {
    let mut plan = Plan { pieces: Vec::new() };
    let language = if spec.eyes.is_some() { loader.at("language") } else { loader.clone() };
    if spec.language.tied_embeddings {
        language.skip("lm_head.weight");
    }
    Mtp::skip(&language, &spec.language);
    for (name, hub) in MODEL {
        plan.both(&language, name, hub)?;
    }
    if let Some(factors) = spec.language.rotary.factors() {
        plan.add(FACTORS.into(), vec![factors.len()], Source::Numbers(factors));
    }
    for layer in 0..spec.language.layers {
        plan.layer(&language.at("model").at("layers").at(layer), layer, &spec.language)?;
    }
    if let Some(eyes) = &spec.eyes {
        plan.eyes(loader, eyes.vision.layers, eyes.projector.depth)?;
    }
    Ok(plan.pieces)
}

struct Plan {
    pieces: Vec<Piece>,
}

impl Plan {
    fn add(&mut self, name: String, shape: Vec<usize>, source: Source) {
        self.pieces.push(Piece { name, shape, source });
    }

    /// A tensor as it is, if the checkpoint has it.
    fn one(&mut self, place: &Loader, name: String, hub: &str) -> Result<()> {
        if let Some(shape) = place.shape(hub).map(<[usize]>::to_vec) {
            self.add(name, shape.clone(), Source::Each(vec![place.rows(hub, &shape)?]));
        }
        Ok(())
    }

    /// The weight and the bias, of those that the checkpoint has.
    fn both(&mut self, place: &Loader, name: &str, hub: &str) -> Result<()> {
        for part in ["weight", "bias"] {
            self.one(place, format!("{name}.{part}"), &format!("{hub}.{part}"))?;
        }
        Ok(())
    }

    fn layer(&mut self, place: &Loader, layer: usize, spec: &DecoderSpec) -> Result<()> {
        let blk = format!("blk.{layer}");
        for (name, hub) in LAYER {
            let full = format!("{blk}.{name}");
            match (spec.attention, name) {
                // The layer that drafts is left out, as llama.cpp's converter does; its names are no layer's.
                _ if name.starts_with("nextn.") => {}
                (AttentionSpec::Grouped { head_dim, .. }, "attn_q" | "attn_k") if deals(spec) => {
                    for part in ["weight", "bias"] {
                        let hub = format!("{hub}.{part}");
                        if let Some(shape) = place.shape(&hub).map(<[usize]>::to_vec) {
                            let source = Source::Dealt(place.rows(&hub, &shape)?, head_dim);
                            self.add(format!("{full}.{part}"), shape, source);
                        }
                    }
                }
                (AttentionSpec::Latent { heads, kv_rank, nope_dim, value_dim, .. }, _)
                    if name.starts_with("attn_k") =>
                {
                    let up = Heads { nope: nope_dim, value: value_dim, rank: kv_rank };
                    self.latent(place, &blk, (name, hub), (heads, up))?;
                }
                (AttentionSpec::Latent { heads, kv_rank, value_dim, .. }, "attn_v_b") => {
                    self.apart(place, full, VALUES_UP, [heads, value_dim, kv_rank])?;
                }
                _ => self.both(place, &full, hub)?,
            }
        }
        self.one(place, format!("{blk}.{}", CORRECTION.0), CORRECTION.1)?;
        let experts = spec.sparse.as_ref().map_or(0, |sparse| sparse.router.experts);
        for (name, hub) in EXPERTS {
            let expert = |expert| format!("mlp.experts.{expert}.{hub}.weight");
            if let Some(shape) = place.shape(&expert(0)).map(<[usize]>::to_vec) {
                let parts = (0..experts).map(|e| place.rows(&expert(e), &shape)).collect::<Result<Vec<_>, _>>()?;
                self.add(format!("{blk}.{name}.weight"), [&[experts][..], &shape].concat(), Source::Each(parts));
            }
        }
        Ok(())
    }

    /// What takes the latent up, in two.
    fn latent(
        &mut self,
        place: &Loader,
        blk: &str,
        (name, hub): (&str, &str),
        (heads, up): (usize, Heads),
    ) -> Result<()> {
        let Heads { nope, value, rank } = up;
        match name {
            "attn_kv_b" => {
                let name = format!("{hub}.weight");
                if place.contains(&name) {
                    let rows = || place.rows(&name, &[heads * (nope + value), rank]);
                    self.add(format!("{blk}.attn_k_b.weight"), vec![heads, rank, nope], Source::KeysUp(rows()?, up));
                    self.add(format!("{blk}.attn_v_b.weight"), vec![heads, value, rank], Source::ValuesUp(rows()?, up));
                }
                Ok(())
            }
            "attn_k_b" => self.apart(place, format!("{blk}.{name}"), KEYS_UP, [heads, rank, nope]),
            _ => self.both(place, &format!("{blk}.{name}"), hub),
        }
    }

    /// A part of it that is in two already.
    fn apart(&mut self, place: &Loader, name: String, hub: &str, shape: [usize; 3]) -> Result<()> {
        let [heads, rows, cols] = shape;
        let hub = format!("{hub}.weight");
        if place.contains(&hub) {
            let source = Source::Each(vec![place.rows(&hub, &[heads * rows, cols])?]);
            self.add(format!("{name}.weight"), shape.into(), source);
        }
        Ok(())
    }

    fn eyes(&mut self, loader: &Loader, blocks: usize, depth: usize) -> Result<()> {
        // Present in checkpoints, and of no use.
        loader.at("vision").skip("attn_pool.");
        for (name, hub) in VISION {
            self.both(loader, name, hub)?;
        }
        if let Some(shape) = loader.shape(POSITIONS.1).map(<[usize]>::to_vec) {
            let rows = loader.rows(POSITIONS.1, &shape)?;
            // The tower's grid of patches, row by row.
            let width = shape.last().copied().unwrap_or(1).max(1);
            let source = Source::Numbers(rows.all());
            self.add(POSITIONS.0.into(), vec![rows.len() * rows.cols() / width, width], source);
        }
        for block in 0..blocks {
            let place = loader.at("vision.blocks").at(block);
            for (name, hub) in BLOCK {
                self.both(&place, &format!("v.blk.{block}.{name}"), hub)?;
            }
        }
        for layer in 0..depth {
            let at = 2 * layer;
            self.both(loader, &format!("{}{at}", PROJECTOR.0), &format!("{}{at}", PROJECTOR.1))?;
        }
        for (name, hub) in ROWS {
            self.one(loader, name.into(), hub)?;
        }
        Ok(())
    }
}

/// Whether llama.cpp turns neighbours where this checkpoint has them half a head apart.
fn deals(spec: &DecoderSpec) -> bool {
    spec.rotary.pairs == Pairs::Halves && !has_input_bias(spec)
}

/// Qwen2's queries and keys are the ones that have biases, and stay as they are.
fn has_input_bias(spec: &DecoderSpec) -> bool {
    matches!(spec.attention, AttentionSpec::Grouped { input_bias: true, output_bias: false, .. })
}

#[cfg(test)]
mod tests {
    use super::super::names;
    use super::*;

    #[test]
    fn tables_name_nothing_twice() {
        for table in [&MODEL[..], &LAYER, &EXPERTS, &BLOCK, &VISION] {
            for (index, (name, hub)) in table.iter().enumerate() {
                assert!(table[..index].iter().all(|(other, place)| other != name && place != hub), "{name}");
            }
        }
        assert_eq!(names::numbered("blk.12.attn_q", "blk."), Some(("12", "attn_q")));
        assert_eq!(names::numbered("blk.x.attn_q", "blk."), None);
    }
}
