//! Looking into a pass.

use crate::Routing;
use seekvl_nn::Tensor;

/// Sees intermediate values of a pass, for checking them against a reference. `()` sees nothing.
///
/// Rows are those of the pass: all spans, one after the other.
pub trait Probe {
    /// The output of decoder layer `layer`, `[rows, hidden]`.
    fn hidden(&mut self, layer: usize, hidden: &Tensor) {
        let _ = (layer, hidden);
    }

    /// The experts that decoder layer `layer` sent each row to.
    fn routed(&mut self, layer: usize, experts: &Routing) {
        let _ = (layer, experts);
    }

    /// The output of the final norm, `[rows, hidden]`.
    fn normed(&mut self, hidden: &Tensor) {
        let _ = hidden;
    }
}

impl Probe for () {}
