//! Our own kernel for the decoder's stored matrices.
//!
//! A step of decoding reads every weight once, so memory sets its pace, and checking a draft of a few tokens could cost
//! as little. On processors with AVX-512 VNNI the nodes of a decoder that fit are given the name of the operator here
//! ([`Nodes`]), which computes what `MatMulNBits` does: activations rounded to eight bits block by block, weights packed in the
//! order in which they are read.
//!
//! A row of a product has the same result, to the bit, alone and among others.

mod layout;
#[cfg(target_arch = "x86_64")]
mod operator;
#[cfg(target_arch = "x86_64")]
mod packed;
mod rename;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;
#[cfg(target_arch = "x86_64")]
mod vnni;

use ort::session::builder::SessionBuilder;

pub(super) use rename::Nodes;

/// Domain of the operator. As long as `com.microsoft`, which it replaces in place.
const DOMAIN: &str = "diffvp.native";

/// The instructions that the kernel uses on this machine; `None` where it has no kernel.
pub(super) fn instructions() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    if vnni::available() {
        return Some("avx512_vnni");
    }
    None
}

/// Lets a session have the operator.
#[cfg(target_arch = "x86_64")]
pub(super) fn register(builder: SessionBuilder) -> ort::Result<SessionBuilder> {
    Ok(builder.with_operators(operator::domain()?)?)
}

/// Lets a session have the operator, which no other processor has.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn register(builder: SessionBuilder) -> ort::Result<SessionBuilder> {
    Ok(builder)
}
