//! Python's notions of characters, which the reference implementations' results depend on.

/// Whether `str.split()`, `str.strip()` and `\s` of the `re` module take a character for white space: Unicode's, and four
/// separators of ASCII. NLTK's patterns run in the `regex` module, whose `\s` is Unicode's: [`char::is_whitespace`].
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Whether `\w` of the `re` module matches: letters, numbers, the underscore.
pub(crate) fn is_word(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() || c == '_' } else { c.is_alphabetic() || c.is_numeric() }
}

/// Whether `\w` of the `regex` module matches, in which NLTK's own patterns run: letters, marks, decimal digits, connectors.
pub(crate) fn is_regex_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    let combining = matches!(u32::from(c), 0x300..=0x36F | 0x483..=0x489 | 0x591..=0x5BD | 0x64B..=0x65F | 0x1AB0..=0x1ACE
        | 0x1DC0..=0x1DFF | 0x20D0..=0x20F0 | 0x3099..=0x309A | 0xFE00..=0xFE0F | 0xFE20..=0xFE2F | 0xE0100..=0xE01EF);
    let connector = matches!(c, '‿' | '⁀' | '⁔' | '︳' | '︴' | '﹍'..='﹏' | '＿');
    c.is_alphabetic() || is_digit(c) || combining || connector
}

/// Whether `\d` matches: decimal digits of any script.
pub(crate) fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || (!c.is_ascii() && c.is_numeric() && is_foreign_digit(c))
}

fn is_foreign_digit(c: char) -> bool {
    let c = u32::from(c);
    let after = ZEROS.partition_point(|&zero| zero <= c);
    after > 0 && c - ZEROS[after - 1] < 10
}

/// The digit zero of each script (general category Nd, Unicode 14).
const ZEROS: [u32; 65] = [
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0, 0xF20,
    0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0,
    0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x10D30, 0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0,
    0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x16A60, 0x16AC0,
    0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E950, 0x1FBF0,
];

/// `str.split()`: the words between white space.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// `str.strip()`.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_of_ascii_are_white_space() {
        assert_eq!(words(" a\u{1c}b\u{a0}c\u{3000}\nd ").collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(words("\u{200b}").count(), 1); // zero width space is none
    }

    #[test]
    fn digits_and_words_are_pythons() {
        assert!(is_digit('7') && is_digit('\u{0665}') && is_digit('\u{ff19}'));
        assert!(!is_digit('²') && !is_digit('½') && !is_digit('Ⅳ'));
        assert!(is_word('²') && is_word('µ') && is_word('ş') && is_word('_'));
        assert!(is_regex_word('\u{301}') && is_regex_word('٣') && !is_regex_word('½') && !is_regex_word('²'));
        assert!(!is_word('°') && !is_word('-') && !is_word('\u{301}'));
    }
}
