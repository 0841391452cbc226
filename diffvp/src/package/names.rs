//! Names of the files in a package, and which names a manifest may list.

/// The manifest itself, the one file that it does not list.
pub const MANIFEST: &str = "manifest.json";
/// Volume → tokens and attention.
pub const ENCODER: &str = "encoder.onnx";
/// Volume → probabilities of the findings.
pub const CLASSIFIER: &str = "classifier.onnx";
/// Tokens of scan and reference → prefix, visual tokens, importance.
pub const DIFFERENCE: &str = "difference.onnx";
/// Token ids → embeddings.
pub const EMBEDDING: &str = "embedding.onnx";
/// Embeddings and cache → logits and cache.
pub const DECODER: &str = "decoder.onnx";
/// Tokens of the normal references.
pub const BANK: &str = "reference_bank.safetensors";
/// What model inputs of training scans look like, where the manifest has `familiarity`.
pub const FAMILIARITY: &str = "familiarity.safetensors";
/// Phrases of training reports, where the package has them.
pub const PHRASES: &str = "phrases.safetensors";
/// The decoder's tokenizer.
pub const TOKENIZER: &str = "tokenizer.json";

/// The graphs of a package.
pub const GRAPHS: [&str; 5] = [ENCODER, CLASSIFIER, DIFFERENCE, EMBEDDING, DECODER];

/// Files that every manifest lists.
pub const REQUIRED: [&str; 7] = [ENCODER, CLASSIFIER, DIFFERENCE, EMBEDDING, DECODER, BANK, TOKENIZER];

const LONGEST: usize = 120;

/// Checks that a name stays inside the package and means the same on every operating system: letters,
/// digits, `.`, `_` and `-`, at most one folder deep, no part that starts or ends with a dot.
pub(super) fn check(name: &str) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("the name {name:?} {why}"));
    if name.len() > LONGEST {
        return Err(format!("a name of {} bytes is longer than {LONGEST}", name.len()));
    }
    if name.eq_ignore_ascii_case(MANIFEST) {
        return refuse("is the manifest's own");
    }
    if name.matches('/').count() > 1 {
        return refuse("is more than one folder deep");
    }
    for part in name.split('/') {
        if part.is_empty() || part.starts_with('.') || part.ends_with('.') {
            return refuse("has a part that is empty, or starts or ends with a dot");
        }
        if !part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            return refuse("has characters other than letters, digits, '.', '_' and '-'");
        }
        // Windows gives these names to devices, whatever follows the first dot.
        let stem = part.split('.').next().unwrap_or(part).to_ascii_uppercase();
        let numbered = (stem.starts_with("COM") || stem.starts_with("LPT")) && stem.len() == 4;
        if numbered || ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str()) {
            return refuse("is a device's on some systems");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside_the_package() {
        for name in REQUIRED.iter().chain(&["decoder.onnx.data", "MODEL_CARD.md", "variants/decoder-fp16.onnx"]) {
            assert_eq!(check(name), Ok(()));
        }
        for name in [
            "",
            ".",
            "..",
            "../encoder.onnx",
            "a/../b",
            "/etc/passwd",
            "a/b/c",
            "a//b",
            "a/",
            "a\\b",
            "C:x",
            "x\0",
            ".hidden",
            "dot.",
            "ünï",
            "Manifest.JSON",
            "nul.onnx",
            "com1",
            "a b",
        ] {
            assert!(check(name).is_err(), "{name:?}");
        }
        assert!(check(&"a".repeat(121)).is_err());
    }
}
