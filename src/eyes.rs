//! From a picture to the rows that stand for it in the sequence.

use crate::config::EyesSpec;
use crate::{Error, Result};
use seekvl_language::Cancel;
use seekvl_nn::{Arithmetic, Device, Loader, Tensor};
use seekvl_projector::Projector;
use seekvl_vision::{Level, Normalizer, Sam, SamProbe, Siglip, SiglipProbe, TileGrid, Tiles, shrink};

/// Vision towers and projector.
pub(crate) struct Eyes {
    siglip: Siglip,
    sam: Option<Sam>,
    projector: Projector,
    spec: EyesSpec,
    device: Device,
}

/// For each tower something: normalised patches `[views, patches, 3 · patch_size²]`, or features `[views, patches, width]`.
pub(crate) struct Seen {
    pub low: Tensor,
    /// Of the tower for high resolution, if there is one.
    pub high: Option<Tensor>,
}

impl Eyes {
    pub fn load(loader: &Loader, spec: &EyesSpec) -> Result<Self> {
        // Norms that the original makes and never calls.
        loader.skip("unused.high_layer_norm.");
        loader.skip("unused.low_layer_norm.");
        let sam = spec.high.as_ref().map(|high| Sam::load(&loader.at("high"), high.sam.clone()));
        Ok(Self {
            siglip: Siglip::load(&loader.at("vision"), spec.vision)?,
            sam: sam.transpose()?,
            projector: Projector::load(loader, spec.projector)?,
            spec: spec.clone(),
            device: loader.device().clone(),
        })
    }

    /// The rows of a picture, `[slots, hidden]`. Views that are equal are encoded once: the local view of a 1×1 grid, which is its
    /// global one, and tiles of nothing but padding.
    pub fn see(&self, tiles: &Tiles, cancel: &Cancel) -> Result<Tensor> {
        let (distinct, order) = distinct(tiles.views());
        let patches = self.patches(tiles.size(), &distinct)?;
        let features = self.features(&patches, &mut Interruptible(cancel))?.ok_or(Error::Cancelled)?;
        let tokens = self.project(&features)?;
        let in_order = |tokens: &Tensor| tokens.index_select(&Tensor::new(order, tokens.device())?, 0);
        let tokens = in_order(&tokens).map_err(seekvl_nn::Error::from)?;
        self.arrange(&tokens, tiles.grid())
    }

    /// Views of this side as normalised patches.
    pub fn patches(&self, size: u32, views: &[&[u8]]) -> Result<Seen> {
        let (vision, size) = (&self.spec.vision, size as usize);
        let normalizer = self.spec.tiling.normalizer();
        let shape = [vision.image_size, vision.patch_size];
        let low = if vision.image_size == size {
            self.rows(normalizer, shape, views.iter().copied())
        } else {
            let shrunk: Vec<_> = views.iter().map(|view| shrink(view, size, vision.image_size)).collect();
            self.rows(normalizer, shape, shrunk.iter().map(|view| &view[..]))
        };
        let high =
            self.spec.high.as_ref().map(|high| {
                self.rows(&high.normalizer, [high.sam.image_size, high.sam.patch_size], views.iter().copied())
            });
        Ok(Seen { low: low?, high: high.transpose()? })
    }

    fn rows<'v, L: Level + 'v>(
        &self,
        normalizer: &Normalizer,
        [size, patch]: [usize; 2],
        views: impl ExactSizeIterator<Item = &'v [L]>,
    ) -> Result<Tensor> {
        let (patches, len) = ((size / patch) * (size / patch), 3 * patch * patch);
        let shape = (views.len(), patches, len);
        let mut rows = vec![0f32; views.len() * patches * len];
        for (view, rows) in views.zip(rows.chunks_exact_mut(patches * len)) {
            normalizer.patches(view, size, patch, rows);
        }
        Ok(Tensor::from_vec(rows, shape, &self.device).map_err(seekvl_nn::Error::from)?)
    }

    /// What the towers make of normalised patches; `None` where the probe cancelled it.
    pub fn features(&self, patches: &Seen, probe: &mut (impl SiglipProbe + SamProbe)) -> Result<Option<Seen>> {
        let Some(low) = self.siglip.forward(&patches.low, probe)? else { return Ok(None) };
        let (Some(sam), Some(patches)) = (&self.sam, &patches.high) else { return Ok(Some(Seen { low, high: None })) };
        Ok(sam.forward(patches, probe)?.map(|high| Seen { low, high: Some(high) }))
    }

    /// Visual tokens `[views, tokens, hidden]` of features.
    pub fn project(&self, features: &Seen) -> Result<Tensor> {
        Ok(self.projector.forward(&features.low, features.high.as_ref())?)
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
}

/// The views that differ from all before them, and for each view which of these it is.
fn distinct<'v>(views: impl Iterator<Item = &'v [u8]>) -> (Vec<&'v [u8]>, Vec<u32>) {
    let (mut distinct, mut order) = (Vec::new(), Vec::new());
    for view in views {
        let at = distinct.iter().position(|other| *other == view).unwrap_or_else(|| {
            distinct.push(view);
            distinct.len() - 1
        });
        order.push(at as u32);
    }
    (distinct, order)
}

struct Interruptible<'a>(&'a Cancel);

impl SiglipProbe for Interruptible<'_> {
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl SamProbe for Interruptible<'_> {
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_views_are_encoded_once() {
        // The whole, and three tiles: another, two of padding.
        let views: [&[u8]; 4] = [&[1, 2, 3], &[3, 2, 1], &[127; 3], &[127; 3]];
        assert_eq!(distinct(views.into_iter()), (views[..3].to_vec(), vec![0, 1, 2, 2]));
        // Of a grid of one tile that is the whole.
        assert_eq!(distinct([views[0], views[0]].into_iter()), (vec![views[0]], vec![0, 0]));
    }
}
