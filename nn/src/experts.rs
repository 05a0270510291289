//! The experts of a mixture.

use crate::expert_store::{ExpertStore, StoredLayer};
use crate::{GatedMlp, Result, host};
use candle_core::{DType, Device, Tensor};
use seekvl_kernels::{Cpu, Group, Weights};
use std::mem::discriminant;
use std::sync::Arc;

/// Gated layers of one shape, of which each row goes through a few.
pub struct Experts {
    place: Place,
}

enum Place {
    /// In memory or in the mapped file.
    Held(Vec<GatedMlp>),
    /// In files, of which a store has some in memory.
    Stored(Arc<ExpertStore>, StoredLayer),
}

/// Rows sorted by the expert that they are sent to.
struct Sorted {
    /// Places in the list of chosen experts, by expert, then row.
    order: Vec<usize>,
    /// The row of each.
    rows: Vec<u32>,
    /// The experts that rows are sent to, ascending, and how many each gets.
    experts: Vec<(usize, usize)>,
}

impl Sorted {
    fn new(ids: &[u32], top_k: usize) -> Self {
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|&at| ids[at]);
        let rows = order.iter().map(|&at| (at / top_k) as u32).collect();
        let same = order.chunk_by(|&a, &b| ids[a] == ids[b]);
        let experts = same.map(|at| (ids[at[0]] as usize, at.len())).collect();
        Self { order, rows, experts }
    }

    /// For each row, its places in `order`, so with its experts ascending, `[rows, top_k]`.
    fn places(&self, top_k: usize) -> Vec<u32> {
        let mut places = vec![0; self.order.len()];
        let mut filled = vec![0; self.order.len() / top_k.max(1)];
        for (place, &row) in self.rows.iter().enumerate() {
            places[row as usize * top_k + filled[row as usize]] = place as u32;
            filled[row as usize] += 1;
        }
        places
    }
}

impl Experts {
    /// From the layers.
    pub fn new(layers: Vec<GatedMlp>) -> Self {
        Self { place: Place::Held(layers) }
    }

    pub(crate) fn stored(store: Arc<ExpertStore>, layer: StoredLayer) -> Self {
        Self { place: Place::Stored(store, layer) }
    }

    /// Bytes of the weights of one, the largest.
    pub fn bytes_of_one(&self) -> usize {
        match &self.place {
            Place::Held(layers) => layers.iter().map(GatedMlp::bytes).max().unwrap_or(0),
            Place::Stored(_, layer) => layer.bytes_of_one() as usize,
        }
    }

    /// `y[i] = Σ_j weights[i, j] · expert[ids[i, j]](x[i])` for `x` and the result `[rows, hidden]`, and `ids` and `weights`
    /// `[rows, top_k]`. Each expert runs once, over all the rows sent to it. A row's experts are summed in ascending order, so
    /// that its result does not depend on the other rows, nor on which experts are in memory.
    ///
    /// # Errors
    /// On the CPU only if an expert cannot be read from its file.
    ///
    /// # Panics
    /// If an id is not below the number of layers, or there are not `top_k` for each row.
    pub fn forward(&self, x: &Tensor, top_k: usize, ids: &[u32], weights: &[f32]) -> Result<Tensor> {
        let (rows, hidden) = x.dims2()?;
        assert!(ids.len() == rows * top_k && weights.len() == ids.len(), "{top_k} experts for each of {rows} rows");
        let sorted = Sorted::new(ids, top_k);
        let mut outputs = Vec::with_capacity(ids.len() * hidden);
        match &self.place {
            Place::Held(layers) => {
                let experts: Vec<_> = sorted.experts.iter().map(|&(expert, rows)| (&layers[expert], rows)).collect();
                outputs = products(x, &sorted.rows, &experts)?;
            }
            Place::Stored(store, layer) => store.each_group(layer, &sorted.experts, |experts| {
                let first = outputs.len() / hidden.max(1);
                let rows: usize = experts.iter().map(|(_, rows)| rows).sum();
                outputs.extend(products(x, &sorted.rows[first..first + rows], experts)?);
                Ok(())
            })?,
        }
        let places = sorted.places(top_k);
        let mut by_place = vec![0f32; ids.len()];
        sorted.order.iter().zip(&mut by_place).for_each(|(&at, weight)| *weight = weights[at]);
        let weights: Vec<f32> = places.iter().map(|&place| by_place[place as usize]).collect();
        let mut y = seekvl_kernels::zeros(rows * hidden);
        seekvl_kernels::weighted_sums(Cpu::detect(), &outputs, &places, &weights, hidden, &mut y);
        Ok(Tensor::from_vec(y, (rows, hidden), &Device::Cpu)?.to_device(x.device())?.to_dtype(x.dtype())?)
    }
}

/// The outputs of some experts, `[rows, hidden]`: those of row `rows[i]` of `x`, each expert having as many of these as stand
/// beside it, in order.
fn products(x: &Tensor, rows: &[u32], experts: &[(&GatedMlp, usize)]) -> Result<Vec<f32>> {
    let hidden = x.dims2()?.1;
    let Some((inner, gated, down)) = kernel_groups(experts) else { return one_by_one(x, rows, experts) };
    let mut middle = seekvl_kernels::zeros(rows.len() * inner);
    let mut outputs = seekvl_kernels::zeros(rows.len() * hidden);
    let cpu = Cpu::detect();
    host::with_slice(x, |x| {
        seekvl_kernels::linear_grouped(cpu, x, Some(rows), &gated, &mut middle);
        seekvl_kernels::linear_grouped(cpu, &middle, None, &down, &mut outputs);
    })?;
    Ok(outputs)
}

/// The inner width and both products' groups, where all weights are of a kind that the kernel takes.
#[allow(clippy::type_complexity, reason = "taken apart where it is made")]
fn kernel_groups<'e>(experts: &[(&'e GatedMlp, usize)]) -> Option<(usize, Vec<Group<'e>>, Vec<Group<'e>>)> {
    let mut gated = Vec::with_capacity(experts.len());
    let mut down = Vec::with_capacity(experts.len());
    let mut first = None;
    for &(expert, rows) in experts {
        let ((gate, up), out) = (expert.pair()?, expert.down()?);
        let (kind, out_kind, inner) = *first.get_or_insert((gate.elements(), out.elements(), gate.rows()));
        let same = discriminant(&kind) == discriminant(&gate.elements())
            && discriminant(&out_kind) == discriminant(&out.elements());
        if !same || gate.rows() != inner {
            return None;
        }
        gated.push(Group { weights: Weights::Gated { gate, up }, rows });
        down.push(Group { weights: Weights::Plain(out), rows });
    }
    first.map(|(_, _, inner)| (inner, gated, down))
}

/// [`products`], for weights of any kind.
fn one_by_one(x: &Tensor, rows: &[u32], experts: &[(&GatedMlp, usize)]) -> Result<Vec<f32>> {
    let mut outputs = Vec::with_capacity(rows.len() * x.dims2()?.1);
    let mut start = 0;
    for &(expert, count) in experts {
        let sent = Tensor::new(&rows[start..start + count], x.device())?;
        let y = expert.forward(&x.index_select(&sent, 0)?)?;
        host::with_slice(&y.to_device(&Device::Cpu)?.to_dtype(DType::F32)?, |y| outputs.extend_from_slice(y))?;
        start += count;
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Weight;

    fn experts(count: usize, hidden: usize, inner: usize) -> Result<Vec<GatedMlp>> {
        let weight = |rows: usize, cols: usize| -> Result<Weight> {
            let values = Tensor::randn(0f32, 0.2, (rows, cols), &Device::Cpu)?;
            Ok(Weight::from_f32(crate::to_vec(&values)?, rows, cols))
        };
        let layer = |_| Ok(GatedMlp::new(weight(inner, hidden)?, weight(inner, hidden)?, weight(hidden, inner)?));
        (0..count).map(layer).collect()
    }

    #[test]
    fn all_at_once_is_one_by_one() -> Result<()> {
        let (rows, hidden, top_k) = (40, 24, 3);
        let layers = experts(5, hidden, 36)?;
        let experts = Experts::new(layers.clone());
        let x = Tensor::randn(0f32, 1f32, (rows, hidden), &Device::Cpu)?;
        // Descending, so that sorting matters; expert 4 gets rows from all, expert 0 few.
        let ids: Vec<u32> = (0..rows as u32).flat_map(|row| [4, 3 - row % 2, u32::from(row % 7 > 0)]).collect();
        let weights: Vec<f32> = (0..ids.len()).map(|at| 0.1 + at as f32 * 0.01).collect();
        let y = crate::to_vec(&experts.forward(&x, top_k, &ids, &weights)?)?;
        for row in 0..rows {
            let x = x.narrow(0, row, 1)?;
            let mut expected = vec![0f64; hidden];
            for at in row * top_k..(row + 1) * top_k {
                let out = crate::to_vec(&layers[ids[at] as usize].forward(&x)?)?;
                expected.iter_mut().zip(out).for_each(|(sum, y)| *sum += f64::from(weights[at]) * f64::from(y));
            }
            let alone = experts.forward(&x, top_k, &ids[row * top_k..][..top_k], &weights[row * top_k..][..top_k])?;
            assert_eq!(crate::to_vec(&alone)?, y[row * hidden..][..hidden]);
            for (y, expected) in y[row * hidden..][..hidden].iter().zip(expected) {
                assert!((f64::from(*y) - expected).abs() < 1e-5, "{y}, not {expected}");
            }
        }
        let sorted = Sorted::new(&ids, top_k);
        let sent: Vec<_> = sorted.experts.iter().map(|&(expert, rows)| (&layers[expert], rows)).collect();
        assert!(kernel_groups(&sent).is_some(), "numbers on the CPU");
        assert_eq!(products(&x, &sorted.rows, &sent)?, one_by_one(&x, &sorted.rows, &sent)?);
        Ok(())
    }
}
