#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code, reason = "each target uses its own")]
mod targets;

use seekvl::ModelFiles;
use std::path::Path;
use std::sync::LazyLock;

static REST: LazyLock<ModelFiles> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/vl2-tiny-like");
    ModelFiles::in_dir(dir).expect("a good model")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    targets::config(bytes, &REST);
});
