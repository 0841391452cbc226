//! `MatMulNBits`: activations rounded to eight bits block by block, times weights packed in the order in which they are read.

mod layout;
#[cfg(target_arch = "x86_64")]
mod multiply;
#[cfg(target_arch = "x86_64")]
mod operator;
#[cfg(target_arch = "x86_64")]
mod packed;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

#[cfg(target_arch = "x86_64")]
pub(super) use layout::LANES;
pub(super) use layout::Layout;
#[cfg(target_arch = "x86_64")]
pub(super) use operator::MatMulNBits;
