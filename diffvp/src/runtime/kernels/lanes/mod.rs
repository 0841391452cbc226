//! Sixteen numbers side by side, in the instructions of different processors.
//!
//! A kernel is written once, over [`Lanes`], and compiled for each: [`Instructions::run`] calls it with the instructions
//! switched on. What a kernel calls must be inlined into it, or it would be compiled without them.

mod avx2;
mod avx512;

use std::arch::x86_64::__m128i;

/// Numbers side by side.
pub(super) const LANES: usize = super::products::LANES;

/// Instructions that this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instructions(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Avx512Vnni,
    Avx2,
}

impl Instructions {
    /// Those of this processor for which there are kernels, the fastest first.
    pub(super) fn all() -> impl Iterator<Item = Instructions> {
        let there = [(Kind::Avx512Vnni, avx512::available()), (Kind::Avx2, avx2::available())];
        there.into_iter().filter(|(_, there)| *there).map(|(kind, _)| Instructions(kind))
    }

    /// All of them, for tests; says where there are none.
    #[cfg(test)]
    pub(super) fn tested() -> Vec<Instructions> {
        let all: Vec<Instructions> = Instructions::all().collect();
        if all.is_empty() {
            eprintln!("skipped: this processor has no instructions for kernels");
        }
        all
    }

    /// The fastest.
    pub(super) fn best() -> Option<Instructions> {
        Instructions::all().next()
    }

    /// AVX2, where the processor has it.
    pub(super) fn avx2() -> Option<Instructions> {
        Instructions::all().find(|instructions| instructions.0 == Kind::Avx2)
    }

    /// Their name in reports.
    pub(super) fn name(self) -> &'static str {
        match self.0 {
            Kind::Avx512Vnni => "avx512_vnni",
            Kind::Avx2 => "avx2",
        }
    }

    /// Runs a kernel with them.
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: `all` makes none that this processor does not have.
        unsafe {
            match self.0 {
                Kind::Avx512Vnni => avx512::run(kernel),
                Kind::Avx2 => avx2::run(kernel),
            }
        }
    }
}

/// Work over lanes.
pub(super) trait Kernel {
    type Output;

    /// Must be `#[inline(always)]`.
    ///
    /// # Safety
    /// The processor must have the instructions of V.
    unsafe fn run<V: Lanes>(self) -> Self::Output;
}

/// Operations on [`LANES`] numbers at a time.
///
/// # Safety
/// All functions need the instructions, and pointers to as many numbers as they say.
pub(super) trait Lanes {
    type Floats: Copy;
    type Integers: Copy;

    /// Rows of activations whose sums fit into the registers: at most 8.
    const ROWS: usize;

    unsafe fn splat(x: f32) -> Self::Floats;
    /// [`LANES`] numbers.
    unsafe fn load(x: *const f32) -> Self::Floats;
    /// At most [`LANES`] numbers, and zeros behind them.
    unsafe fn load_some(x: &[f32]) -> Self::Floats;
    unsafe fn store(x: Self::Floats, at: *mut f32);
    /// As many as there is place for, at most [`LANES`].
    unsafe fn store_some(x: Self::Floats, at: &mut [f32]);
    unsafe fn abs(x: Self::Floats) -> Self::Floats;
    /// b where one is not a number.
    unsafe fn max(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn add(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn sub(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// a · b + c, rounded once.
    unsafe fn mul_add(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// c − a · b, rounded once.
    unsafe fn mul_sub_from(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// To the nearest integer, to the even one of two.
    unsafe fn round(x: Self::Floats) -> Self::Floats;
    /// x · 2ⁿ, for integers n from −126 to 127.
    unsafe fn scale_by_power(x: Self::Floats, n: Self::Floats) -> Self::Floats;
    unsafe fn largest(x: Self::Floats) -> f32;
    unsafe fn sum(x: Self::Floats) -> f32;
    /// Integers of eight bits.
    unsafe fn load_bytes(x: *const u8) -> Self::Floats;

    unsafe fn integers(x: i32) -> Self::Integers;
    /// [`LANES`] integers of 32 bits.
    unsafe fn load_integers(x: *const i32) -> Self::Integers;
    unsafe fn add_integers(a: Self::Integers, b: Self::Integers) -> Self::Integers;
    unsafe fn sub_integers(a: Self::Integers, b: Self::Integers) -> Self::Integers;
    unsafe fn mul_integers(a: Self::Integers, b: Self::Integers) -> Self::Integers;
    unsafe fn sum_integers(x: Self::Integers) -> i32;
    /// To the nearest integer, to the even one of two.
    unsafe fn to_integers(x: Self::Floats) -> Self::Integers;
    unsafe fn to_floats(x: Self::Integers) -> Self::Floats;
    /// The nearest integers of eight bits.
    unsafe fn to_bytes(x: Self::Integers) -> __m128i;

    /// In each lane the sum of products of a row of a weight with M rows of activations, over one block: `codes` are lines of 64 bytes,
    /// four of them for each lane, of BITS bits without a sign; activations are integers of eight bits, in the order in which the halves of
    /// bytes meet them, the rows `stride` bytes apart.
    unsafe fn dots<const BITS: usize, const BLOCK: usize, const M: usize>(
        codes: *const u8,
        activations: *const i8,
        stride: usize,
    ) -> [Self::Integers; M];
}

/// How many bytes ahead codes are fetched. The processor does it too, but not soon enough where several rows are multiplied; each
/// line is read once, so that it need not push activations out of the nearer caches.
const AHEAD: usize = 64 * 64;
