//! `GroupQueryAttention` over keys and values of eight bits.
//!
//! What a row reads does not depend on the rows that are run with it, nor on where in the cache its text lies: positions that it
//! does not see are left out, and those that it sees are summed in their order. So texts of several branches can be drafted.

#[cfg(target_arch = "x86_64")]
mod attend;
#[cfg(target_arch = "x86_64")]
mod operator;
mod records;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

#[cfg(target_arch = "x86_64")]
pub(super) use operator::GroupQueryAttention;
pub(super) use records::is_known;
pub(in crate::runtime) use records::{cache_rows, record_numbers};
