//! Tokens → X_in: the rows that the decoder reads before it writes (paper, equation 9).

use crate::decode::{Embedding, TextCodec};
use crate::package::manifest::{FindingsText, Manifest, PromptSegment};
use crate::runtime::CancelToken;
use crate::vision::Contrast;
use crate::{Error, Result};

/// The findings text E: names of the findings taken as present, in the manifest's order.
pub(crate) fn findings_text(spec: &FindingsText, present: &[&str]) -> String {
    if present.is_empty() {
        return spec.none.clone();
    }
    format!("{}{}{}", spec.prefix, present.join(&spec.separator), spec.suffix)
}

/// X_in `[rows, d_llm]`, segment by segment as the manifest lists them. Each text is tokenised on its own.
pub(crate) fn assemble(
    manifest: &Manifest,
    codec: &TextCodec,
    embedding: &Embedding,
    contrast: &Contrast,
    findings: &str,
    cancel: &CancelToken,
) -> Result<Vec<f32>> {
    let mut rows = Vec::new();
    for segment in &manifest.prompt {
        match segment {
            PromptSegment::Difference => rows.extend_from_slice(&contrast.prefix),
            PromptSegment::Visual => rows.extend_from_slice(&contrast.visual),
            PromptSegment::Findings => rows.extend(embedding.embed(&codec.encode(findings)?, cancel)?),
            PromptSegment::Text { text } => rows.extend(embedding.embed(&codec.encode(text)?, cancel)?),
            PromptSegment::Token { token } => {
                let id = codec.token_id(token).ok_or_else(|| Error::PackageContent {
                    file: "tokenizer.json".into(),
                    detail: format!("the prompt needs the token {token:?}, which it does not have"),
                })?;
                rows.extend(embedding.embed(&[id], cancel)?);
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_written_as_the_manifest_says() {
        let spec = FindingsText {
            prefix: "Findings: ".into(),
            separator: ", ".into(),
            suffix: ".".into(),
            none: "Findings: none.".into(),
        };
        assert_eq!(findings_text(&spec, &["Cardiomegaly", "Emphysema"]), "Findings: Cardiomegaly, Emphysema.");
        assert_eq!(findings_text(&spec, &[]), "Findings: none.");
    }
}
