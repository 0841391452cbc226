//! Text for C: UTF-8 that ends with a NUL and has none before.

use std::ffi::CString;

use serde::Serialize;

/// A string as C takes it. A NUL inside, which C would take for the end, becomes U+FFFD.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default())
}

/// The stable word of a value, as it stands in JSON.
pub(crate) fn c_word(value: &impl Serialize) -> CString {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => c_text(&word),
        _ => CString::default(),
    }
}

/// A value as JSON.
pub(crate) fn c_json(value: &impl Serialize) -> CString {
    c_text(&serde_json::to_string_pretty(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_does_not_end_a_text() {
        assert_eq!(c_text("a\0b").to_str().unwrap(), "a\u{fffd}b");
        assert_eq!(c_text("").to_bytes(), b"");
        assert_eq!(c_word(&diffvp::WarningCode::SeriesChosen).to_str().unwrap(), "series_chosen");
    }
}
