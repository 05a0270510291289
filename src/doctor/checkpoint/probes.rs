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

/// Compares the language model's layers. Tokens for which the model chooses other experts than the reference are sent to the
/// reference's, so that what follows can be compared.
pub(super) struct DecoderCheck<'a, 'm> {
    pub doctor: &'a mut Doctor<'m>,
    pub name: &'a str,
    /// Whether the pass is one of the layer for multi-token prediction.
    pub is_draft: bool,
    pub failure: Option<Error>,
}

impl DecoderCheck<'_, '_> {
    fn check(&mut self, stage: Stage, tensor: &str, x: &Tensor) {
        let checked = to_vec(x).map_err(Error::from);
        let checked = checked.and_then(|x| self.doctor.beginning(stage, self.name, tensor, &x));
        self.failure = self.failure.take().or(checked.err());
    }

    fn check_experts(&mut self, layer: usize, routing: &mut Routing) -> Result<()> {
        let spec = self.doctor.model.decoder().spec();
        let (layer, chosen, weighed) = match self.is_draft {
            true => (spec.layers, Stage::DraftExperts, Stage::DraftExpertWeights),
            false => (layer, Stage::Layer(layer, LayerPart::Experts), Stage::Layer(layer, LayerPart::ExpertWeights)),
        };
        let count = spec.sparse.as_ref().map_or(0, |sparse| sparse.router.experts);
        let expected = self.doctor.tensors.experts(self.name, layer, count)?;
        let notebook = &mut self.doctor.notebook;
        let Some((ids, weights)) = expected else {
            notebook.lose_the_way();
            return Ok(());
        };
        sort(routing);
        let tokens = |ids| <[u32]>::chunks(ids, routing.top_k).collect::<Vec<_>>();
        notebook.experts(chosen, self.name, &tokens(&routing.ids), &tokens(&ids));
        if routing.ids.len() != ids.len() {
            notebook.lose_the_way();
            return Ok(());
        }
        let (mut got, mut expected) = (Vec::new(), Vec::new());
        for at in (0..ids.len()).step_by(routing.top_k).map(|start| start..start + routing.top_k) {
            if routing.ids[at.clone()] == ids[at.clone()] {
                got.extend_from_slice(&routing.weights[at.clone()]);
                expected.extend_from_slice(&weights[at]);
            } else {
                routing.ids[at.clone()].copy_from_slice(&ids[at.clone()]);
                routing.weights[at.clone()].copy_from_slice(&weights[at]);
            }
        }
        notebook.values(weighed, self.name, &got, &expected);
        if got.len() != weights.len() {
            notebook.correct_the_way();
        }
        Ok(())
    }
}

/// Puts the experts of each token in ascending order.
fn sort(routing: &mut Routing) {
    for (ids, weights) in routing.ids.chunks_mut(routing.top_k).zip(routing.weights.chunks_mut(routing.top_k)) {
        let mut experts: Vec<(u32, f32)> = ids.iter().copied().zip(weights.iter().copied()).collect();
        experts.sort_by_key(|(id, _)| *id);
        for ((id, weight), expert) in ids.iter_mut().zip(weights).zip(experts) {
            (*id, *weight) = expert;
        }
    }
}

impl Probe for DecoderCheck<'_, '_> {
    fn hidden(&mut self, layer: usize, hidden: &Tensor) {
        self.check(Stage::Layer(layer, LayerPart::Output), &format!("hidden.{layer}"), hidden);
    }

    fn routed(&mut self, layer: usize, routing: &mut Routing) {
        let checked = self.check_experts(layer, routing);
        self.failure = self.failure.take().or(checked.err());
    }

    fn normed(&mut self, hidden: &Tensor) {
        self.check(Stage::HiddenNorm, "hidden.norm", hidden);
    }
}
