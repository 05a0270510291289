//! The order of an image's rows in the sequence. The only place that counts them.

use seekvl_nn::{Result, Tensor};

/// Which views there are, and which comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ViewOrder {
    /// The global view, the separator, the local views (all published checkpoints).
    #[default]
    GlobalFirst,
    /// The local views, the separator, the global view.
    LocalFirst,
    /// The global view and nothing else, its tokens one after another (DeepSeek-VL).
    GlobalOnly,
}

/// Learned rows that separate visual tokens, `[hidden]` each.
#[derive(Clone)]
pub struct Separators {
    /// After each row of a view, or of views read as one picture.
    pub newline: Tensor,
    /// Between the global view and the local ones.
    pub view: Tensor,
}

/// How the visual tokens of one image are laid out (`tile_tag` "2D" in the original's `prepare_inputs_embeds`).
///
/// Every row of joined patches ends with a newline; the local views are read as one picture, row by row across the
/// tiles. With [`ViewOrder::GlobalOnly`] there is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageLayout {
    /// Visual tokens along a side of a view.
    pub side: usize,
    /// Which views there are, and which comes first.
    pub order: ViewOrder,
}

/// Where a row of the sequence comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Token { view: usize, row: usize, col: usize },
    Newline,
    Separator,
}

impl ImageLayout {
    /// Whether the rows of an image include [`Separators`].
    pub fn has_separators(&self) -> bool {
        self.order != ViewOrder::GlobalOnly
    }

    /// Rows that an image of `cols` × `rows` local tiles takes in the sequence.
    pub fn slots(&self, cols: usize, rows: usize) -> usize {
        if !self.has_separators() {
            return self.side * self.side;
        }
        let picture = |cols: usize, rows: usize| rows * self.side * (cols * self.side + 1);
        picture(1, 1) + 1 + picture(cols, rows)
    }

    /// The rows of one image, `[slots(cols, rows), hidden]`, from the visual tokens of its views
    /// `[1 + cols · rows, side², hidden]`, global first, and the learned rows where there are some.
    ///
    /// # Errors
    /// If the number of views or of their tokens is another.
    pub fn arrange(
        &self,
        views: &Tensor,
        (cols, rows): (usize, usize),
        separators: Option<&Separators>,
    ) -> Result<Tensor> {
        let (_, _, hidden) = views.dims3()?;
        let tokens = self.side * self.side;
        let flat = views.reshape(((1 + cols * rows) * tokens, hidden))?;
        let Some(Separators { newline, view }) = separators else { return Ok(flat) };
        let newline_at = flat.dim(0)?;
        let table = Tensor::cat(&[&flat, &newline.unsqueeze(0)?, &view.unsqueeze(0)?], 0)?;
        let index = |slot| match slot {
            Slot::Token { view, row, col } => view * tokens + row * self.side + col,
            Slot::Newline => newline_at,
            Slot::Separator => newline_at + 1,
        };
        let indices: Vec<u32> = self.order(cols, rows).into_iter().map(|slot| index(slot) as u32).collect();
        Ok(table.index_select(&Tensor::new(indices, table.device())?, 0)?)
    }

    fn order(&self, cols: usize, rows: usize) -> Vec<Slot> {
        let global = self.picture(1, 1, 0);
        let local = self.picture(cols, rows, 1);
        let (first, last) = match self.order {
            ViewOrder::GlobalFirst => (global, local),
            ViewOrder::LocalFirst => (local, global),
            ViewOrder::GlobalOnly => return global,
        };
        first.into_iter().chain([Slot::Separator]).chain(last).collect()
    }

    /// The rows of `cols` × `rows` views, the first of which is view `first`, read as one picture.
    fn picture(&self, cols: usize, rows: usize, first: usize) -> Vec<Slot> {
        let side = self.side;
        let line = |y: usize| {
            let token =
                move |x: usize| Slot::Token { view: first + y / side * cols + x / side, row: y % side, col: x % side };
            (0..cols * side).map(token).chain([Slot::Newline])
        };
        (0..rows * side).flat_map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seekvl_nn::{DType, Device, to_vec};

    #[test]
    fn a_1x1_grid_of_the_published_models_takes_421() {
        assert_eq!(ImageLayout { side: 14, order: ViewOrder::GlobalFirst }.slots(1, 1), 421);
    }

    #[test]
    fn slots_are_the_arranged_rows_for_every_grid() -> Result<()> {
        let device = &Device::Cpu;
        for order in [ViewOrder::GlobalFirst, ViewOrder::LocalFirst] {
            for (side, cols, rows) in (1..4).flat_map(|s| (1..10).flat_map(move |c| (1..10).map(move |r| (s, c, r)))) {
                let layout = ImageLayout { side, order };
                let views = Tensor::zeros((1 + cols * rows, side * side, 2), DType::F32, device)?;
                let learned = Tensor::zeros(2, DType::F32, device)?;
                let separators = Separators { newline: learned.clone(), view: learned };
                let arranged = layout.arrange(&views, (cols, rows), Some(&separators))?;
                assert_eq!(arranged.dims(), [layout.slots(cols, rows), 2], "{layout:?} {cols}x{rows}");
            }
        }
        for side in 1..4 {
            let layout = ImageLayout { side, order: ViewOrder::GlobalOnly };
            let view = Tensor::arange(0f32, (2 * side * side) as f32, device)?.reshape((1, side * side, 2))?;
            let arranged = layout.arrange(&view, (0, 0), None)?;
            assert_eq!(arranged.dims(), [layout.slots(0, 0), 2]);
            assert_eq!(to_vec(&arranged)?, to_vec(&view)?);
        }
        Ok(())
    }

    #[test]
    fn tiles_side_by_side_are_read_across() -> Result<()> {
        let device = &Device::Cpu;
        // Views of 2×2 tokens, numbered on: global 0–3, left tile 4–7, right tile 8–11.
        let views = Tensor::arange(0f32, 12f32, device)?.reshape((3, 4, 1))?;
        let separators = Separators { newline: Tensor::new(&[-1f32], device)?, view: Tensor::new(&[-2f32], device)? };
        let layout = ImageLayout { side: 2, order: ViewOrder::GlobalFirst };
        let rows = to_vec(&layout.arrange(&views, (2, 1), Some(&separators))?)?;
        let expected = [0., 1., -1., 2., 3., -1., -2., 4., 5., 8., 9., -1., 6., 7., 10., 11., -1.];
        assert_eq!(rows, expected);
        let layout = ImageLayout { side: 2, order: ViewOrder::LocalFirst };
        let rows = to_vec(&layout.arrange(&views, (2, 1), Some(&separators))?)?;
        assert_eq!(rows[..10], expected[7..]);
        Ok(())
    }
}
