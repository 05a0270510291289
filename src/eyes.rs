//! From a picture to the rows that stand for it in the sequence.

use crate::config::EyesSpec;
use crate::{Error, Result};
use seekvl_language::Cancel;
use seekvl_nn::{Arithmetic, Device, Loader, Tensor};
use seekvl_projector::Projector;
use seekvl_vision::{Siglip, SiglipProbe, TileGrid, Tiles};

/// Vision tower and projector.
pub(crate) struct Eyes {
    siglip: Siglip,
    projector: Projector,
    spec: EyesSpec,
    device: Device,
}

impl Eyes {
    pub fn load(loader: &Loader, spec: &EyesSpec) -> Result<Self> {
        Ok(Self {
            siglip: Siglip::load(&loader.at("vision"), spec.vision)?,
            projector: Projector::load(loader, spec.projector)?,
            spec: spec.clone(),
            device: loader.device().clone(),
        })
    }

    /// The rows of a picture, `[slots, hidden]`.
    ///
    /// Where the grid is 1×1 the local view is the global one, so it is encoded once.
    pub fn see(&self, tiles: &Tiles, cancel: &Cancel) -> Result<Tensor> {
        let once = tiles.grid().tiles() == 1;
        let views = if once { 1 } else { tiles.len() };
        let patches = self.patches(tiles, views)?;
        let features = self.siglip.forward(&patches, &mut Interruptible(cancel))?.ok_or(Error::Cancelled)?;
        let tokens = self.projector.forward(&features)?;
        let tokens = if once { tokens.repeat((2, 1, 1)).map_err(seekvl_nn::Error::from)? } else { tokens };
        self.arrange(&tokens, tiles.grid())
    }

    /// The first `views` views as normalised patches, `[views, patches, 3 · patch_size²]`.
    pub fn patches(&self, tiles: &Tiles, views: usize) -> Result<Tensor> {
        let vision = &self.spec.vision;
        let per_view = vision.patches() * vision.patch_len();
        let mut rows = vec![0f32; views * per_view];
        for (view, rows) in tiles.views().zip(rows.chunks_exact_mut(per_view)) {
            self.spec.tiling.normalizer().patches(view, vision.image_size, vision.patch_size, rows);
        }
        let shape = (views, vision.patches(), vision.patch_len());
        Ok(Tensor::from_vec(rows, shape, &self.device).map_err(seekvl_nn::Error::from)?)
    }

    /// Visual tokens in the order of the sequence.
    pub fn arrange(&self, tokens: &Tensor, grid: TileGrid) -> Result<Tensor> {
        Ok(self.projector.arrange(tokens, (grid.cols as usize, grid.rows as usize), &self.spec.layout)?)
    }

    /// Side of a tile in pixels.
    pub fn tile_size(&self) -> u32 {
        self.spec.tiling.tile_size()
    }

    /// The arithmetic of the tower's products.
    pub fn arithmetic(&self) -> Arithmetic {
        self.siglip.arithmetic()
    }

    pub fn siglip(&self) -> &Siglip {
        &self.siglip
    }

    pub fn projector(&self) -> &Projector {
        &self.projector
    }
}

struct Interruptible<'a>(&'a Cancel);

impl SiglipProbe for Interruptible<'_> {
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}
