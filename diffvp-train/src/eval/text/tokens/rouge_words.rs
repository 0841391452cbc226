//! The tokeniser of the rouge_score package, without its stemmer.

/// Lower-cased runs of `a` to `z` and `0` to `9`; everything else separates.
pub(crate) fn rouge_words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let separator = |c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit());
    lower.split(separator).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ascii_letters_and_digits_are_kept() {
        assert_eq!(rouge_words("A 4.5-mm nodül, İn\tRLL_2"), ["a", "4", "5", "mm", "nod", "l", "i", "n", "rll", "2"]);
        assert!(rouge_words("…—").is_empty());
    }
}
