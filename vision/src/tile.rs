//! From a picture to its views: the whole, then the tiles.

use crate::resample::resize;
use crate::{Resolution, Rgb, TileGrid, TilingSpec};

const CHANNELS: usize = 3;

/// Where a resized picture lands on the canvas that it is centred on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Placement {
    /// Pixels of padding at the left.
    pub x: u32,
    /// Pixels of padding at the top.
    pub y: u32,
    /// Width of the resized picture, at least 1.
    pub width: u32,
    /// Height of the resized picture, at least 1.
    pub height: u32,
}

impl Placement {
    /// Fits a picture into a canvas and centres it, as Pillow's `ImageOps.pad` does: sizes and
    /// offsets are computed in double precision and rounded half to even. `None` where a side
    /// rounds to zero, which leaves nothing but padding.
    pub fn fit(width: u32, height: u32, canvas: Resolution) -> Option<Self> {
        let (w, h) = (f64::from(width), f64::from(height));
        let (canvas_w, canvas_h) = (f64::from(canvas.width), f64::from(canvas.height));
        let (ratio, canvas_ratio) = (w / h, canvas_w / canvas_h);
        let mut fitted = canvas;
        if ratio > canvas_ratio {
            fitted.height = (h / w * canvas_w).round_ties_even() as u32;
        } else if ratio < canvas_ratio {
            fitted.width = (w / h * canvas_h).round_ties_even() as u32;
        }
        if fitted.width == 0 || fitted.height == 0 {
            return None;
        }
        let centred = |canvas: u32, side: u32| (f64::from(canvas.saturating_sub(side)) * 0.5).round_ties_even() as u32;
        let (x, y) = (centred(canvas.width, fitted.width), centred(canvas.height, fitted.height));
        Some(Self { x, y, width: fitted.width, height: fitted.height })
    }

    /// Fits a picture into a square and centres it, as DeepSeek-VL's `image_processing_vlm.py` does: sides are truncated, and
    /// no shorter than `min_side`, which is from 1 to `square`; offsets are rounded down.
    pub fn within(width: u32, height: u32, square: u32, min_side: u32) -> Self {
        let longer = f64::from(width.max(height));
        let side = |side: u32| ((f64::from(side) / longer * f64::from(square)) as u32).clamp(min_side, square);
        let (width, height) = (side(width), side(height));
        Self { x: (square - width) / 2, y: (square - height) / 2, width, height }
    }
}

/// The views of one picture: the global one, then the local tiles, if there are some, row by row. Each is
/// `[size, size, 3]`, 8 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiles {
    grid: TileGrid,
    size: u32,
    views: Vec<u8>,
}

impl Tiles {
    /// Resizes a picture onto one tile, and onto the grid that it has with or without cropping.
    ///
    /// Without cropping the grid is 1x1. The local tile of a 1x1 grid equals the global view.
    pub fn new(picture: &Rgb, spec: &TilingSpec, crop: bool) -> Self {
        let grid = spec.grid(picture.width(), picture.height(), crop);
        let size = spec.tile_size();
        let view = size as usize * size as usize * CHANNELS;
        let mut views = spec.pad_color().repeat((1 + grid.tiles()) * view / CHANNELS);
        let (global, local) = views.split_at_mut(view);
        if let Some(place) = spec.place(picture.width(), picture.height()) {
            paint(picture, place, global, 1, size);
        }
        let canvas = Resolution { width: grid.cols * size, height: grid.rows * size };
        match grid.tiles() {
            0 => {}
            1 => local.copy_from_slice(global),
            _ => {
                if let Some(place) = Placement::fit(picture.width(), picture.height(), canvas) {
                    paint(picture, place, local, grid.cols as usize, size);
                }
            }
        }
        Self { grid, size, views }
    }

    /// Takes views that are already cut, `[1 + cols * rows, size, size, 3]`.
    ///
    /// Returns `None` if their length is another.
    pub fn from_views(grid: TileGrid, size: u32, views: Vec<u8>) -> Option<Self> {
        let view = (size as usize).checked_pow(2)?.checked_mul(CHANNELS)?;
        let expected = (1 + grid.tiles()).checked_mul(view)?;
        let is_grid = grid == TileGrid::NONE || grid.tiles() > 0;
        (size > 0 && is_grid && views.len() == expected).then_some(Self { grid, size, views })
    }

    /// The grid of the local tiles.
    pub fn grid(&self) -> TileGrid {
        self.grid
    }

    /// Side of a view in pixels.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Number of views: one more than the grid has tiles.
    #[allow(clippy::len_without_is_empty, reason = "there is always a global view")]
    pub fn len(&self) -> usize {
        1 + self.grid.tiles()
    }

    /// All views, `[len, size, size, 3]`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.views
    }

    /// The views one by one, each `[size, size, 3]`.
    pub fn views(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.views.chunks_exact(self.views.len() / self.len())
    }

    /// One view, `[size, size, 3]`: 0 is the global one.
    ///
    /// # Panics
    /// If `index` is not below [`Tiles::len`].
    pub fn view(&self, index: usize) -> &[u8] {
        let view = self.views.len() / self.len();
        &self.views[index * view..][..view]
    }
}

/// Resizes a picture to its place on a canvas of tiles, `cols` across, and copies it into them.
fn paint(picture: &Rgb, place: Placement, tiles: &mut [u8], cols: usize, size: u32) {
    let resized = resize(picture, place.width, place.height);
    let size = size as usize;
    let row_bytes = place.width as usize * CHANNELS;
    for (row, y) in resized.pixels().chunks_exact(row_bytes).zip(place.y as usize..) {
        // Line by line; a line crosses the tiles of one row of the grid.
        let (mut rest, mut x) = (row, place.x as usize);
        while !rest.is_empty() {
            let tile = y / size * cols + x / size;
            let offset = ((tile * size + y % size) * size + x % size) * CHANNELS;
            let (piece, after) = rest.split_at(rest.len().min((size - x % size) * CHANNELS));
            tiles[offset..][..piece.len()].copy_from_slice(piece);
            (rest, x) = (after, x + piece.len() / CHANNELS);
        }
    }
}
