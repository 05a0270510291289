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

    /// The experts that decoder layer `layer` sends each row to. They may be changed, to as many of those that there are: rows
    /// then go there.
    fn routed(&mut self, layer: usize, experts: &mut Routing) {
        let _ = (layer, experts);
    }

    /// The output of the final norm, `[rows, hidden]`.
    fn normed(&mut self, hidden: &Tensor) {
        let _ = hidden;
    }
}

impl Probe for () {}
