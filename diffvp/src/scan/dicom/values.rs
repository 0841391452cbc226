//! Values of single elements: numbers, codes and identifiers. Free text is never returned.

use super::element::Element;

fn text<'a>(element: &Element<'a>) -> &'a str {
    let trimmed = element.value.trim_ascii();
    let end = trimmed.iter().rposition(|b| *b != 0 && *b != b' ').map_or(0, |p| p + 1);
    std::str::from_utf8(&trimmed[..end]).unwrap_or("")
}

/// A number stored as US, SS, UL or SL, whatever its VR says: two or four bytes.
pub(super) fn unsigned(element: &Element) -> Option<u32> {
    match *element.value {
        [a, b] => Some(element.encoding.u16([a, b]) as u32),
        [a, b, c, d] => Some(element.encoding.u32([a, b, c, d])),
        _ => None,
    }
}

/// A number stored as FL or FD, by its length.
pub(super) fn float(element: &Element) -> Option<f64> {
    let mut raw: Vec<u8> = element.value.to_vec();
    if element.encoding.big_endian {
        raw.reverse();
    }
    let value = match *raw.as_slice() {
        [a, b, c, d] => f64::from(f32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => return None,
    };
    value.is_finite().then_some(value)
}

/// The numbers of a DS or IS value; `None` if there are not exactly `N`, or one is not finite.
pub(super) fn decimals<const N: usize>(element: &Element) -> Option<[f64; N]> {
    let mut numbers = [0.0; N];
    let mut parts = text(element).split('\\');
    for number in &mut numbers {
        *number = parts.next()?.trim().parse().ok().filter(|v: &f64| v.is_finite())?;
    }
    parts.next().is_none().then_some(numbers)
}

/// One DS or IS number.
pub(super) fn decimal(element: &Element) -> Option<f64> {
    decimals::<1>(element).map(|[v]| v)
}

/// A UID: digits and dots, at most 64 (PS3.5, 9.1).
pub(super) fn uid(element: &Element) -> Option<String> {
    let text = text(element);
    let valid = !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    valid.then(|| text.to_string())
}

/// Whether one of the values of a CS element is `code`.
pub(super) fn has_code(element: &Element, code: &str) -> bool {
    text(element).split('\\').any(|part| part.trim() == code)
}

/// The defined terms of Modality (PS3.3, C.7.3.1.1.1) that stand for images, documents and plans.
const MODALITIES: &[&str] = &[
    "AR", "BI", "BMD", "CR", "CT", "DG", "DOC", "DX", "ECG", "ES", "FID", "GM", "IO", "IVUS", "KO", "LEN", "M3D", "MG",
    "MR", "NM", "OCT", "OP", "OT", "PLAN", "PR", "PT", "PX", "REG", "RF", "RTDOSE", "RTIMAGE", "RTPLAN", "RTRECORD",
    "RTSTRUCT", "SC", "SEG", "SM", "SR", "TG", "US", "XA", "XC",
];

/// Modality, if it is a defined term.
pub(super) fn modality(element: &Element) -> Option<&'static str> {
    let text = text(element);
    MODALITIES.iter().copied().find(|known| *known == text)
}

/// ConvolutionKernel, if it is a name that manufacturers use; other text could hold anything.
pub(super) fn kernel(element: &Element) -> Option<String> {
    let name = text(element).split('\\').next()?.trim();
    let known = super::kernel::class(name).is_some();
    known.then(|| name.to_string())
}

/// A number that is the same for the same text, and tells nothing of it.
pub(super) fn hash(element: &Element) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text(element).hash(&mut hasher);
    hasher.finish()
}

/// The same for the same text; `None` for no text.
pub(super) fn key(element: &Element) -> Option<u64> {
    is_present(element).then(|| hash(element))
}

/// Whether there is any text at all.
pub(super) fn is_present(element: &Element) -> bool {
    !text(element).is_empty()
}

#[cfg(test)]
mod tests {
    use super::super::element::Encoding;
    use super::*;

    fn element(value: &[u8]) -> Element<'_> {
        Element { tag: 0, value, undefined_length: false, encoding: Encoding::EXPLICIT_LE }
    }

    #[test]
    fn numbers_are_read_and_nonsense_is_not() {
        assert_eq!(decimals(&element(b"0.5\\ 0.25 ")), Some([0.5, 0.25]));
        assert_eq!(decimals::<2>(&element(b"0.5")), None);
        assert_eq!(decimals::<2>(&element(b"0.5\\1\\2")), None);
        assert_eq!(decimal(&element(b"nan")), None);
        assert_eq!(unsigned(&element(&[1, 2])), Some(513));
        assert_eq!(unsigned(&element(&[1])), None);
        assert_eq!(float(&element(&75f32.to_le_bytes())), Some(75.0));
        assert_eq!(float(&element(&0.5f64.to_le_bytes())), Some(0.5));
        assert_eq!((float(&element(b"75")), float(&element(&f32::NAN.to_le_bytes()))), (None, None));
    }

    #[test]
    fn text_that_could_name_a_patient_is_dropped() {
        assert_eq!(uid(&element(b"1.2.3\0")), Some("1.2.3".into()));
        assert_eq!(uid(&element(b"DOE^JANE")), None);
        assert_eq!(modality(&element(b"CT ")), Some("CT"));
        assert_eq!(modality(&element(b"DOE")), None);
        assert_eq!(kernel(&element(b"B30f")), Some("B30f".into()));
        assert_eq!(kernel(&element(b"DOE^JANE")), None);
    }
}
