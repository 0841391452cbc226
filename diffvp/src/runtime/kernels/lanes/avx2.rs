//! AVX2 with fused products: two registers of eight numbers.

use std::arch::x86_64::*;

use super::{AHEAD, Kernel, LANES, Lanes};

pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// # Safety
/// Needs what [`available`] asks for.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the instructions are there.
    unsafe { kernel.run::<Avx2>() }
}

pub(super) struct Avx2;

/// The upper half of a register on the lower.
#[inline(always)]
unsafe fn upper(x: __m256) -> __m128 {
    // SAFETY: the caller has the instructions.
    unsafe { _mm256_extractf128_ps::<1>(x) }
}

#[allow(unsafe_op_in_unsafe_fn, reason = "each function is a few instructions, and asks for what they need")]
impl Lanes for Avx2 {
    type Floats = [__m256; 2];
    type Integers = [__m256i; 2];

    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> [__m256; 2] {
        [_mm256_set1_ps(x); 2]
    }

    #[inline(always)]
    unsafe fn load(x: *const f32) -> [__m256; 2] {
        [_mm256_loadu_ps(x), _mm256_loadu_ps(x.add(8))]
    }

    #[inline(always)]
    unsafe fn load_some(x: &[f32]) -> [__m256; 2] {
        if x.len() == LANES {
            return Self::load(x.as_ptr());
        }
        let mut all = [0f32; LANES];
        all[..x.len()].copy_from_slice(x);
        Self::load(all.as_ptr())
    }

    #[inline(always)]
    unsafe fn store([low, high]: [__m256; 2], at: *mut f32) {
        _mm256_storeu_ps(at, low);
        _mm256_storeu_ps(at.add(8), high);
    }

    #[inline(always)]
    unsafe fn store_some(x: [__m256; 2], at: &mut [f32]) {
        if at.len() == LANES {
            return Self::store(x, at.as_mut_ptr());
        }
        let mut all = [0f32; LANES];
        Self::store(x, all.as_mut_ptr());
        at.copy_from_slice(&all[..at.len()]);
    }

    #[inline(always)]
    unsafe fn abs([low, high]: [__m256; 2]) -> [__m256; 2] {
        let sign = _mm256_set1_ps(-0.0);
        [_mm256_andnot_ps(sign, low), _mm256_andnot_ps(sign, high)]
    }

    #[inline(always)]
    unsafe fn max(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])]
    }

    #[inline(always)]
    unsafe fn add(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])]
    }

    #[inline(always)]
    unsafe fn sub(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])]
    }

    #[inline(always)]
    unsafe fn mul(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])]
    }

    #[inline(always)]
    unsafe fn mul_add(a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])]
    }

    #[inline(always)]
    unsafe fn mul_sub_from(a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        [_mm256_fnmadd_ps(a[0], b[0], c[0]), _mm256_fnmadd_ps(a[1], b[1], c[1])]
    }

    #[inline(always)]
    unsafe fn round([low, high]: [__m256; 2]) -> [__m256; 2] {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        [_mm256_round_ps::<NEAREST>(low), _mm256_round_ps::<NEAREST>(high)]
    }

    #[inline(always)]
    unsafe fn scale_by_power(x: [__m256; 2], n: [__m256; 2]) -> [__m256; 2] {
        let exponent = Self::add_integers(Self::to_integers(n), Self::integers(127));
        let power = exponent.map(|e| _mm256_castsi256_ps(_mm256_slli_epi32::<23>(e)));
        Self::mul(x, power)
    }

    #[inline(always)]
    unsafe fn largest([low, high]: [__m256; 2]) -> f32 {
        let x = _mm256_max_ps(low, high);
        let x = _mm_max_ps(_mm256_castps256_ps128(x), upper(x));
        let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
        _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)))
    }

    #[inline(always)]
    unsafe fn sum([low, high]: [__m256; 2]) -> f32 {
        let x = _mm256_add_ps(low, high);
        let x = _mm_add_ps(_mm256_castps256_ps128(x), upper(x));
        let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
        _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
    }

    #[inline(always)]
    unsafe fn load_bytes(x: *const u8) -> [__m256; 2] {
        let eight = |x: *const u8| _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(x.cast())));
        [eight(x), eight(x.add(8))]
    }

    #[inline(always)]
    unsafe fn integers(x: i32) -> [__m256i; 2] {
        [_mm256_set1_epi32(x); 2]
    }

    #[inline(always)]
    unsafe fn load_integers(x: *const i32) -> [__m256i; 2] {
        [_mm256_loadu_si256(x.cast()), _mm256_loadu_si256(x.add(8).cast())]
    }

    #[inline(always)]
    unsafe fn add_integers(a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])]
    }

    #[inline(always)]
    unsafe fn sub_integers(a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        [_mm256_sub_epi32(a[0], b[0]), _mm256_sub_epi32(a[1], b[1])]
    }

    #[inline(always)]
    unsafe fn mul_integers(a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        [_mm256_mullo_epi32(a[0], b[0]), _mm256_mullo_epi32(a[1], b[1])]
    }

    #[inline(always)]
    unsafe fn sum_integers([low, high]: [__m256i; 2]) -> i32 {
        let x = _mm256_add_epi32(low, high);
        let x = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
        let x = _mm_add_epi32(x, _mm_shuffle_epi32::<0b01_00_11_10>(x));
        _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32::<0b10_11_00_01>(x)))
    }

    #[inline(always)]
    unsafe fn to_integers([low, high]: [__m256; 2]) -> [__m256i; 2] {
        [_mm256_cvtps_epi32(low), _mm256_cvtps_epi32(high)]
    }

    #[inline(always)]
    unsafe fn to_floats([low, high]: [__m256i; 2]) -> [__m256; 2] {
        [_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high)]
    }

    #[inline(always)]
    unsafe fn to_bytes([low, high]: [__m256i; 2]) -> __m128i {
        // Packing goes by halves of registers: a quarter of the sixteen lies in the wrong place.
        let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high));
        _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words))
    }

    #[inline(always)]
    unsafe fn dots<const BITS: usize, const BLOCK: usize, const M: usize>(
        codes: *const u8,
        activations: *const i8,
        stride: usize,
    ) -> [[__m256i; 2]; M] {
        let (low, ones) = (_mm256_set1_epi8(0xf), _mm256_set1_epi16(1));
        let mut halves = [[_mm256_setzero_si256(); M]; 2];
        for (half, sums) in halves.iter_mut().enumerate() {
            for some in 0..const { BLOCK * BITS / 8 / 4 / SAFE } {
                // Sums of two products, of halves of bytes: eight of them fit into sixteen bits with a sign.
                let mut pairs = [[_mm256_setzero_si256(); M]; 2];
                for i in some * SAFE..(some + 1) * SAFE {
                    let line = codes.wrapping_add(i * 64 + half * 32);
                    if half == 0 {
                        // Past the end nothing is fetched, and nothing fails.
                        _mm_prefetch::<_MM_HINT_NTA>(line.wrapping_add(AHEAD).cast());
                    }
                    let codes = _mm256_loadu_si256(line.cast());
                    let parts = [_mm256_and_si256(codes, low), _mm256_and_si256(_mm256_srli_epi16::<4>(codes), low)];
                    // Of eight bits both halves meet the same activations, and the upper one counts sixteen times.
                    let [at, sum] = if BITS == 4 { [[8 * i, 8 * i + 4], [0, 0]] } else { [[4 * i, 4 * i], [0, 1]] };
                    for part in 0..2 {
                        for (j, pairs) in pairs[sum[part]].iter_mut().enumerate() {
                            let four = activations.add(j * stride + at[part]).cast::<i32>().read_unaligned();
                            let products = _mm256_maddubs_epi16(parts[part], _mm256_set1_epi32(four));
                            *pairs = _mm256_add_epi16(*pairs, products);
                        }
                    }
                }
                for j in 0..M {
                    sums[j] = _mm256_add_epi32(sums[j], _mm256_madd_epi16(pairs[0][j], ones));
                    if BITS == 8 {
                        let upper = _mm256_madd_epi16(pairs[1][j], _mm256_set1_epi16(16));
                        sums[j] = _mm256_add_epi32(sums[j], upper);
                    }
                }
            }
        }
        let mut dots = [[_mm256_setzero_si256(); 2]; M];
        for (dot, (low, high)) in dots.iter_mut().zip(halves[0].iter().zip(&halves[1])) {
            *dot = [*low, *high];
        }
        dots
    }
}

/// Lines whose products are added in sixteen bits: of two halves each, 8 · 2 · 15 · 127 is the most.
const SAFE: usize = 4;
