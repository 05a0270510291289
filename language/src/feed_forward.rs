//! The feed-forward layer of a decoder layer: dense, or a mixture of experts.

use crate::router::Router;
use crate::{FeedForwardSpec, Probe, Result, Routing, SparseSpec};
use seekvl_nn::{DType, Device, GatedMlp, Loader, Tensor, with_slice};

pub(crate) enum FeedForward {
    Dense(GatedMlp),
    Sparse(Sparse),
}

/// A mixture of experts (Dai et al. 2024, "DeepSeekMoE").
pub(crate) struct Sparse {
    router: Router,
    experts: Vec<GatedMlp>,
    shared: Option<GatedMlp>,
}

impl FeedForward {
    pub fn load(loader: &Loader, hidden: usize, spec: FeedForwardSpec<'_>) -> Result<Self> {
        Ok(match spec {
            FeedForwardSpec::Dense(inner) => Self::Dense(gated(loader, hidden, inner)?),
            FeedForwardSpec::Sparse(spec) => Self::Sparse(Sparse::load(loader, hidden, spec)?),
        })
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
            experts: (0..spec.router.experts)
                .map(|expert| gated(&experts.at(expert), hidden, spec.expert_size))
                .collect::<Result<_>>()?,
            shared: match spec.shared_size {
                0 => None,
                inner => Some(gated(&loader.at("shared_experts"), hidden, inner)?),
            },
        })
    }

    /// Each expert runs once, over all the rows sent to it. A row's experts are summed in ascending order, so its result
    /// does not depend on the other rows.
    fn forward(&self, x: &Tensor, routing: &Routing) -> Result<Tensor> {
        let (rows, hidden) = x.dims2()?;
        let mut sum = vec![0f32; rows * hidden];
        let mut order: Vec<usize> = (0..routing.ids.len()).collect();
        order.sort_by_key(|&at| routing.ids[at]);
        for assigned in order.chunk_by(|&a, &b| routing.ids[a] == routing.ids[b]) {
            let expert = &self.experts[routing.ids[assigned[0]] as usize];
            let sent: Vec<u32> = assigned.iter().map(|&at| (at / routing.top_k) as u32).collect();
            let sent = Tensor::from_vec(sent, assigned.len(), x.device())?;
            let y = expert.forward(&x.index_select(&sent, 0)?)?;
            with_slice(&y.to_device(&Device::Cpu)?.to_dtype(DType::F32)?, |y: &[f32]| {
                for (&at, y) in assigned.iter().zip(y.chunks_exact(hidden)) {
                    let weight = routing.weights[at];
                    let sum = &mut sum[at / routing.top_k * hidden..][..hidden];
                    sum.iter_mut().zip(y).for_each(|(sum, y)| *sum += weight * y);
                }
            })?;
        }
        let sum = Tensor::from_vec(sum, (rows, hidden), &Device::Cpu)?.to_device(x.device())?.to_dtype(x.dtype())?;
        match &self.shared {
            Some(shared) => Ok((sum + shared.forward(x)?)?),
            None => Ok(sum),
        }
    }
}

fn gated(loader: &Loader, hidden: usize, inner: usize) -> Result<GatedMlp> {
    let gate = loader.linear("gate_proj", hidden, inner, false)?;
    let up = loader.linear("up_proj", hidden, inner, false)?;
    Ok(GatedMlp::new(gate, up, loader.linear("down_proj", inner, hidden, false)?))
}
