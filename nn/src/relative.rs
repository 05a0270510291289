//! Relative positions on a grid.

use crate::attention::attention_on_grid;
use crate::{Result, Weight, host};
use candle_core::{D, Tensor};

/// Decomposed relative positions (Li et al. 2022, MViTv2; as in ViTDet and SAM): a score between two places of a grid has the
/// query's products with one learned row for how many lines they are apart and with one for how many columns.
#[derive(Clone)]
pub struct RelativePositions {
    lines: Table,
    columns: Table,
}

/// The learned rows of one axis, the last first: so those that a query needs, by ascending key, follow each other.
#[derive(Clone)]
struct Table {
    rows: Weight,
    /// Places along the axis.
    places: usize,
}

impl RelativePositions {
    /// From learned rows `[2 · places - 1, dim]` of each axis; row `i` is for a query `i - (places - 1)` after its key.
    ///
    /// # Errors
    /// If one is not a matrix.
    pub fn new(lines: &Tensor, columns: &Tensor) -> Result<Self> {
        Ok(Self { lines: Table::new(lines)?, columns: Table::new(columns)? })
    }

    /// Softmax attention among the places of the grid, line after line: `q`, `k` and `v` are `[lines · columns, heads, dim]`,
    /// as [`attention`](crate::attention()) takes them, and so is the result. Products with learned rows are not scaled.
    ///
    /// # Errors
    /// If the tensors are of other shapes.
    pub fn attention(&self, q: &Tensor, k: &Tensor, v: &Tensor, scale: f32) -> Result<Tensor> {
        let (_, heads, dim) = q.dims3()?;
        let (down, across) = (self.lines.places, self.columns.places);
        let grid = q.contiguous()?.reshape((down, across, heads, dim))?;
        let lines = self.lines.products(&grid)?.reshape((down * across, heads, down))?;
        let columns = self.columns.products(&grid.transpose(0, 1)?.contiguous()?)?;
        let columns = columns.transpose(0, 1)?.reshape((down * across, heads, across))?;
        attention_on_grid(q, k, v, scale, &lines, &columns)
    }
}

impl Table {
    fn new(rows: &Tensor) -> Result<Self> {
        let (count, dim) = rows.dims2()?;
        let order: Vec<u32> = (0..count as u32).rev().collect();
        let reversed = rows.index_select(&Tensor::new(order, rows.device())?, 0)?;
        let rows = if rows.device().is_cpu() {
            Weight::from_f32(host::to_vec(&reversed)?, count, dim)
        } else {
            Weight::device(reversed, count, dim)
        };
        Ok(Self { rows, places: count.div_ceil(2) })
    }

    /// The products of queries `[places, .., dim]` with the rows for each key's place, `[places, .., places]`.
    fn products(&self, queries: &Tensor) -> Result<Tensor> {
        let of_place = |place: usize| {
            let first = self.places - 1 - place;
            self.rows.slice(first..first + self.places)?.apply(&queries.narrow(0, place, 1)?, None)
        };
        let products = (0..queries.dim(0)?).map(of_place).collect::<Result<Vec<_>>>()?;
        debug_assert!(products.iter().all(|product| product.dim(D::Minus1).is_ok_and(|places| places == self.places)));
        Ok(Tensor::cat(&products, 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// Against the definition, with scores written out.
    #[test]
    fn scores_have_the_products_with_the_rows_of_both_distances() -> Result<()> {
        let cpu = &Device::Cpu;
        let (down, across, dim) = (3, 4, 5);
        let random = |rows: usize| Tensor::randn(0f32, 1f32, (rows, dim), cpu);
        let [q, k, v] = [random(down * across)?, random(down * across)?, random(down * across)?];
        let (lines, columns) = (random(2 * down - 1)?, random(2 * across - 1)?);
        let rows = |x: &Tensor| x.to_vec2::<f32>();
        let (qs, ks, vs, by_line, by_column) = (rows(&q)?, rows(&k)?, rows(&v)?, rows(&lines)?, rows(&columns)?);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let one_head = |x: &Tensor| x.unsqueeze(1);
        let positions = RelativePositions::new(&lines, &columns)?;
        let got =
            positions.attention(&one_head(&q)?, &one_head(&k)?, &one_head(&v)?, 0.3)?.squeeze(1)?.to_vec2::<f32>()?;
        for i in 0..down * across {
            let weight = |j: usize| {
                let apart = (i / across + down - 1 - j / across, i % across + across - 1 - j % across);
                (0.3 * dot(&qs[i], &ks[j]) + dot(&qs[i], &by_line[apart.0]) + dot(&qs[i], &by_column[apart.1])).exp()
            };
            let weights: Vec<f32> = (0..down * across).map(weight).collect();
            let total: f32 = weights.iter().sum();
            for c in 0..dim {
                let expected = weights.iter().zip(&vs).map(|(weight, v)| weight * v[c]).sum::<f32>() / total;
                assert!((got[i][c] - expected).abs() < 1e-4, "{i} {c}: {} {expected}", got[i][c]);
            }
        }
        Ok(())
    }
}
