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
            FeedForwardSpec::Dense(inner) => Self::Dense(gated(loader, hidden, inner)?),
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
                let routing = sparse.router.route(x)?;
                probe.routed(layer, &routing);
                sparse.forward(x, &routing)
            }
        }
    }
}

impl Sparse {
    fn load(loader: &Loader, hidden: usize, spec: &SparseSpec) -> Result<Self> {
        let experts = loader.at("experts");
        Ok(Self {
            router: Router::load(&loader.at("gate"), hidden, spec.router)?,
            experts: Experts::new(
                (0..spec.router.experts)
                    .map(|expert| gated(&experts.at(expert), hidden, spec.expert_size))
                    .collect::<Result<_>>()?,
            ),
            top_k: spec.router.top_k,
            shared: match spec.shared_size {
                0 => None,
                inner => Some(gated(&loader.at("shared_experts"), hidden, inner)?),
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

fn gated(loader: &Loader, hidden: usize, inner: usize) -> Result<GatedMlp> {
    let weight = |name: &str, outputs, inputs| loader.at(name).weight("weight", &[outputs, inputs]);
    let (gate, up) = (weight("gate_proj", inner, hidden)?, weight("up_proj", inner, hidden)?);
    Ok(GatedMlp::new(gate, up, weight("down_proj", hidden, inner)?))
}
