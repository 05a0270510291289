//! The feed-forward layer of a decoder layer: dense, or a mixture of experts.

use crate::router::Router;
use crate::{FeedForwardSpec, Probe, Result, Routing, SparseSpec};
use seekvl_nn::{Experts, GatedMlp, Loader, Tensor};

pub(crate) enum FeedForward {
    Dense(GatedMlp),
    Sparse(Sparse),
}

/// A mixture of experts (Dai et al. 2024, "DeepSeekMoE").
pub(crate) struct Sparse {
    router: Router,
    experts: Experts,
    top_k: usize,
    shared: Option<GatedMlp>,
}

impl FeedForward {
    pub fn load(loader: &Loader, hidden: usize, spec: FeedForwardSpec<'_>) -> Result<Self> {
        Ok(match spec {
            FeedForwardSpec::Dense(inner) => Self::Dense(loader.gated_mlp(hidden, inner)?),
            FeedForwardSpec::Sparse(spec) => Self::Sparse(Sparse::load(loader, hidden, spec)?),
        })
    }

    /// Bytes of the weights that one token is multiplied by.
    pub fn bytes_per_token(&self) -> usize {
        match self {
            Self::Dense(mlp) => mlp.bytes(),
            Self::Sparse(sparse) => {
                let shared = sparse.shared.as_ref().map_or(0, GatedMlp::bytes);
                shared + sparse.top_k * sparse.experts.bytes_of_one()
            }
        }
    }

    /// `x`: `[rows, hidden]`, and so is the result.
    pub fn forward(&self, x: &Tensor, layer: usize, probe: &mut dyn Probe) -> Result<Tensor> {
        match self {
            Self::Dense(mlp) => Ok(mlp.forward(x)?),
            Self::Sparse(sparse) => {
                let mut routing = sparse.router.route(x)?;
                probe.routed(layer, &mut routing);
                sparse.forward(x, &routing)
            }
        }
    }
}

impl Sparse {
    fn load(loader: &Loader, hidden: usize, spec: &SparseSpec) -> Result<Self> {
        Ok(Self {
            router: Router::load(&loader.at("gate"), hidden, spec.router)?,
            experts: loader.at("experts").experts(spec.router.experts, hidden, spec.expert_size)?,
            top_k: spec.router.top_k,
            shared: match spec.shared_size {
                0 => None,
                inner => Some(loader.at("shared_experts").gated_mlp(hidden, inner)?),
            },
        })
    }

    fn forward(&self, x: &Tensor, routing: &Routing) -> Result<Tensor> {
        let sum = self.experts.forward(x, routing.top_k, &routing.ids, &routing.weights)?;
        match &self.shared {
            Some(shared) => Ok(shared.forward_add(x, &sum)?),
            None => Ok(sum),
        }
    }
}
