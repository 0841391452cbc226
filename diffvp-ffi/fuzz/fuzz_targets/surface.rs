//! Random calls of the whole C interface. With DIFFVP_FUZZ_PACKAGE and DIFFVP_FUZZ_SCAN the calls reach reports too;
//! without them they stop before a model is needed.

#![no_main]

#[path = "../../tests/surface/mod.rs"]
mod surface;

use std::sync::OnceLock;

use surface::memory::Inputs;
use surface::random::Caller;

fn inputs() -> &'static (Inputs, bool) {
    static INPUTS: OnceLock<(Inputs, bool)> = OnceLock::new();
    INPUTS.get_or_init(|| {
        let (package, scan) = (std::env::var("DIFFVP_FUZZ_PACKAGE"), std::env::var("DIFFVP_FUZZ_SCAN"));
        let opens = package.is_ok();
        let path = |value: Result<String, _>| value.unwrap_or_else(|_| "/nowhere".into());
        (Inputs::new(&path(scan), &path(package)), opens)
    })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (inputs, opens) = inputs();
    Caller::new(inputs, *opens).run(bytes);
});
