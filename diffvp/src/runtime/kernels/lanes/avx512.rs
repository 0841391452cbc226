//! AVX-512 with VNNI: a register of sixteen numbers.

use std::arch::x86_64::*;

use super::{AHEAD, Kernel, LANES, Lanes};

pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vnni")
}

/// # Safety
/// Needs what [`available`] asks for.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the instructions are there.
    unsafe { kernel.run::<Avx512>() }
}

pub(super) struct Avx512;

fn mask(count: usize) -> u16 {
    debug_assert!(count <= LANES);
    ((1u32 << count) - 1) as u16
}

#[allow(unsafe_op_in_unsafe_fn, reason = "each function is one or two instructions, and asks for what they need")]
impl Lanes for Avx512 {
    type Floats = __m512;
    type Integers = __m512i;

    const ROWS: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        _mm512_set1_ps(x)
    }

    #[inline(always)]
    unsafe fn load(x: *const f32) -> __m512 {
        _mm512_loadu_ps(x)
    }

    #[inline(always)]
    unsafe fn load_some(x: &[f32]) -> __m512 {
        _mm512_maskz_loadu_ps(mask(x.len()), x.as_ptr())
    }

    #[inline(always)]
    unsafe fn store(x: __m512, at: *mut f32) {
        _mm512_storeu_ps(at, x);
    }

    #[inline(always)]
    unsafe fn store_some(x: __m512, at: &mut [f32]) {
        _mm512_mask_storeu_ps(at.as_mut_ptr(), mask(at.len()), x);
    }

    #[inline(always)]
    unsafe fn abs(x: __m512) -> __m512 {
        _mm512_abs_ps(x)
    }

    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        _mm512_max_ps(a, b)
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        _mm512_add_ps(a, b)
    }

    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        _mm512_sub_ps(a, b)
    }

    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        _mm512_mul_ps(a, b)
    }

    #[inline(always)]
    unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, c)
    }

    #[inline(always)]
    unsafe fn mul_sub_from(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fnmadd_ps(a, b, c)
    }

    #[inline(always)]
    unsafe fn round(x: __m512) -> __m512 {
        _mm512_roundscale_ps::<0>(x)
    }

    #[inline(always)]
    unsafe fn scale_by_power(x: __m512, n: __m512) -> __m512 {
        _mm512_scalef_ps(x, n)
    }

    #[inline(always)]
    unsafe fn largest(x: __m512) -> f32 {
        _mm512_reduce_max_ps(x)
    }

    #[inline(always)]
    unsafe fn sum(x: __m512) -> f32 {
        _mm512_reduce_add_ps(x)
    }

    #[inline(always)]
    unsafe fn load_bytes(x: *const u8) -> __m512 {
        _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(x.cast())))
    }

    #[inline(always)]
    unsafe fn integers(x: i32) -> __m512i {
        _mm512_set1_epi32(x)
    }

    #[inline(always)]
    unsafe fn load_integers(x: *const i32) -> __m512i {
        _mm512_loadu_si512(x.cast())
    }

    #[inline(always)]
    unsafe fn add_integers(a: __m512i, b: __m512i) -> __m512i {
        _mm512_add_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn sub_integers(a: __m512i, b: __m512i) -> __m512i {
        _mm512_sub_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn mul_integers(a: __m512i, b: __m512i) -> __m512i {
        _mm512_mullo_epi32(a, b)
    }

    #[inline(always)]
    unsafe fn sum_integers(x: __m512i) -> i32 {
        _mm512_reduce_add_epi32(x)
    }

    #[inline(always)]
    unsafe fn to_integers(x: __m512) -> __m512i {
        _mm512_cvtps_epi32(x)
    }

    #[inline(always)]
    unsafe fn to_floats(x: __m512i) -> __m512 {
        _mm512_cvtepi32_ps(x)
    }

    #[inline(always)]
    unsafe fn to_bytes(x: __m512i) -> __m128i {
        _mm512_cvtsepi32_epi8(x)
    }

    #[inline(always)]
    unsafe fn dots<const BITS: usize, const BLOCK: usize, const M: usize>(
        codes: *const u8,
        activations: *const i8,
        stride: usize,
    ) -> [__m512i; M] {
        let low = _mm512_set1_epi8(0xf);
        // Few rows would wait for their own sums: they have two, which are added in the end.
        let mut dots = [[_mm512_setzero_si512(); M]; 2];
        for i in 0..const { BLOCK * BITS / 8 / 4 } {
            let line = codes.wrapping_add(i * 64);
            // Past the end nothing is fetched, and nothing fails.
            _mm_prefetch::<_MM_HINT_NTA>(line.wrapping_add(AHEAD).cast());
            let codes = _mm512_loadu_si512(line.cast());
            // The part of the codes that meets the activations from `at` on, in one of the sums.
            let halves = if BITS == 4 {
                [
                    Some((0, _mm512_and_si512(codes, low), 8 * i)),
                    Some((1, _mm512_and_si512(_mm512_srli_epi16::<4>(codes), low), 8 * i + 4)),
                ]
            } else {
                [Some((i % 2, codes, 4 * i)), None]
            };
            for (half, part, at) in halves.into_iter().flatten() {
                for (j, dot) in dots[if M < 4 { half } else { 0 }].iter_mut().enumerate() {
                    let four = activations.add(j * stride + at).cast::<i32>().read_unaligned();
                    *dot = _mm512_dpbusd_epi32(*dot, part, _mm512_set1_epi32(four));
                }
            }
        }
        let [mut sums, others] = dots;
        for (sum, other) in sums.iter_mut().zip(others) {
            *sum = _mm512_add_epi32(*sum, other);
        }
        sums
    }
}
