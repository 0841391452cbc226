//! libdiffvp: the C interface of [`diffvp`].
//!
//! The library has no functions yet; `cargo build -p diffvp-ffi` makes an empty `libdiffvp_ffi`.
