//! What is compared on the way through the towers and the layers.

use super::{Doctor, LayerPart, Stage};
use crate::{Error, Result};
use seekvl_language::{Probe, Routing};
use seekvl_nn::{Tensor, to_vec};
use seekvl_vision::{SamProbe, SiglipProbe};

/// Compares the vision towers' inner values; the reference has those of the request's first views.
pub(super) struct TowerCheck<'a, 'm> {
    pub doctor: &'a mut Doctor<'m>,
    pub name: &'a str,
    pub is_first: bool,
    pub failure: Option<Error>,
}

impl TowerCheck<'_, '_> {
    fn check(&mut self, first: usize, stage: Stage, tensor: &str, x: &Tensor) {
        if self.is_first {
            let checked = self.compare(first, stage, tensor, x);
            self.failure = self.failure.take().or(checked.err());
        }
    }

    /// Views from `first` on, as far as the reference has them.
    fn compare(&mut self, first: usize, stage: Stage, tensor: &str, x: &Tensor) -> Result<()> {
        let (views, _, _) = x.dims3().map_err(seekvl_nn::Error::from)?;
        let got = to_vec(x)?;
        let Some((expected, _)) = self.doctor.tensors.floats(&format!("{}.{tensor}", self.name))? else {
            return Ok(());
        };
        let start = first * (got.len() / views.max(1));
        if let Some(expected) = expected.get(start..).filter(|rest| !rest.is_empty()) {
            let both = got.len().min(expected.len());
            self.doctor.notebook.values(stage, self.name, &got[..both], &expected[..both]);
        }
        Ok(())
    }
}

impl SiglipProbe for TowerCheck<'_, '_> {
    fn embedded(&mut self, first: usize, x: &Tensor) {
        self.check(first, Stage::VisionEmbed, "vision_embed", x);
    }

    fn block(&mut self, first: usize, block: usize, x: &Tensor) {
        self.check(first, Stage::VisionBlock(block), &format!("vision_block.{block}"), x);
    }
}

impl SamProbe for TowerCheck<'_, '_> {
    fn neck(&mut self, view: usize, x: &Tensor) {
        // The reference has channels first, and a dimension of views.
        match x.t().and_then(|x| x.contiguous()?.unsqueeze(0)).map_err(seekvl_nn::Error::from) {
            Ok(x) => self.check(view, Stage::HighNeck, "sam_neck", &x),
            Err(error) => self.failure = self.failure.take().or(Some(error.into())),
        }
    }
}

/// Compares the language model's layers.
pub(super) struct DecoderCheck<'a, 'm> {
    pub doctor: &'a mut Doctor<'m>,
    pub name: &'a str,
    pub failure: Option<Error>,
}

impl DecoderCheck<'_, '_> {
    fn check(&mut self, stage: Stage, tensor: &str, x: &Tensor) {
        let checked = to_vec(x).map_err(Error::from);
        let checked = checked.and_then(|x| self.doctor.beginning(stage, self.name, tensor, &x));
        self.failure = self.failure.take().or(checked.err());
    }

    fn check_experts(&mut self, layer: usize, routing: &Routing) -> Result<()> {
        let (doctor, name) = (&mut *self.doctor, self.name);
        let ids = doctor.tensors.integers(&format!("{name}.router.{layer}.ids"))?;
        let weights = doctor.tensors.floats(&format!("{name}.router.{layer}.weights"))?;
        let (Some((ids, _)), Some((weights, _))) = (ids, weights) else { return Ok(()) };
        let mut got: Vec<(i64, f32)> =
            routing.ids.iter().zip(&routing.weights).map(|(&id, &weight)| (id.into(), weight)).collect();
        for row in got.chunks_mut(routing.top_k.max(1)) {
            row.sort_by_key(|(id, _)| *id);
        }
        let (got_ids, got_weights): (Vec<i64>, Vec<f32>) = got.into_iter().unzip();
        doctor.notebook.chosen(Stage::Layer(layer, LayerPart::Experts), name, &got_ids, &ids);
        if got_ids != ids {
            doctor.notebook.tip();
        } else {
            doctor.notebook.values(Stage::Layer(layer, LayerPart::ExpertWeights), name, &got_weights, &weights);
        }
        Ok(())
    }
}

impl Probe for DecoderCheck<'_, '_> {
    fn hidden(&mut self, layer: usize, hidden: &Tensor) {
        self.check(Stage::Layer(layer, LayerPart::Output), &format!("hidden.{layer}"), hidden);
    }

    fn routed(&mut self, layer: usize, routing: &Routing) {
        let checked = self.check_experts(layer, routing);
        self.failure = self.failure.take().or(checked.err());
    }

    fn normed(&mut self, hidden: &Tensor) {
        self.check(Stage::HiddenNorm, "hidden.norm", hidden);
    }
}
