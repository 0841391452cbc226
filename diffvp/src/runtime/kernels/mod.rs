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

use super::session::Kernels;

/// Domain of the operators. As long as `com.microsoft`, which it replaces in place.
const DOMAIN: &str = "diffvp.native";

/// The operators, with the instructions that they use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operators {
    #[cfg(target_arch = "x86_64")]
    instructions: lanes::Instructions,
    #[cfg(not(target_arch = "x86_64"))]
    none: std::convert::Infallible,
}

#[cfg(target_arch = "x86_64")]
impl Operators {
    /// Those that are asked for; `None` where that is none, or the processor has no instructions for them.
    pub(super) fn of(kernels: Kernels) -> Option<Operators> {
        let instructions = match kernels {
            Kernels::OnnxRuntime => None,
            Kernels::Avx2 => lanes::Instructions::avx2(),
            Kernels::Best | Kernels::FloatCache => lanes::Instructions::best(),
        };
        instructions.map(|instructions| Operators { instructions })
    }

    /// Name of the instructions.
    pub(super) fn instructions(self) -> &'static str {
        self.instructions.name()
    }

    /// Lets a session have the operators.
    pub(super) fn register(self, builder: SessionBuilder) -> ort::Result<SessionBuilder> {
        let Operators { instructions } = self;
        let domain = ort::operator::OperatorDomain::new(DOMAIN)?
            .add(products::MatMulNBits { instructions })?
            .add(attention::GroupQueryAttention { instructions })?;
        Ok(builder.with_operators(domain)?)
    }
}

/// No other processor has them.
#[cfg(not(target_arch = "x86_64"))]
impl Operators {
    pub(super) fn of(_: Kernels) -> Option<Operators> {
        None
    }

    pub(super) fn instructions(self) -> &'static str {
        match self.none {}
    }

    pub(super) fn register(self, _: SessionBuilder) -> ort::Result<SessionBuilder> {
        match self.none {}
    }
}
