//! Our own kernels for the decoder's stored matrices and its attention.
//!
//! A step of decoding reads every weight and everything in the cache once, so memory sets its pace, and checking a draft of a few
//! tokens could cost as little. On processors with AVX-512 VNNI, or with AVX2, the nodes of a decoder that fit are given the names of the
//! operators here ([`Nodes`]): [`products`] for `MatMulNBits`, [`attention`] for `GroupQueryAttention`. Their inner loops are written once for
//! both, over [`lanes`].
//!
//! A row has the same result, to the bit, alone and among others.

mod attention;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod nodes;
mod products;
#[cfg(target_arch = "x86_64")]
mod session;

use ort::session::builder::SessionBuilder;

pub(super) use attention::{cache_rows, record_numbers};
pub(super) use nodes::Nodes;

/// Domain of the operators. As long as `com.microsoft`, which it replaces in place.
const DOMAIN: &str = "diffvp.native";

/// The instructions that the kernels use on this machine; `None` where it has no kernels.
pub(super) fn instructions() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    return lanes::Instructions::best().map(lanes::Instructions::name);
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// Lets a session have the operators.
#[cfg(target_arch = "x86_64")]
pub(super) fn register(builder: SessionBuilder) -> ort::Result<SessionBuilder> {
    let domain = ort::operator::OperatorDomain::new(DOMAIN)?;
    Ok(builder.with_operators(domain.add(products::MatMulNBits)?.add(attention::GroupQueryAttention)?)?)
}

/// Lets a session have the operators, which no other processor has.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn register(builder: SessionBuilder) -> ort::Result<SessionBuilder> {
    Ok(builder)
}
