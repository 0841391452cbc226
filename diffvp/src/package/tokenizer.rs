//! The packaged tokenizer, checked against the decoder's sizes and the prompt.

use std::path::Path;

use tokenizers::Tokenizer;

use super::manifest::{Manifest, PromptSegment};
use super::names;
use crate::files::read_error;
use crate::{Error, Result};

const MAX_BYTES: u64 = 256 << 20;

/// Loads `tokenizer.json` for a trial: its ids must fit the decoder, and the fixed part of the prompt must leave room.
pub(super) fn check(folder: &Path, manifest: &Manifest) -> Result<()> {
    let content = |detail: String| Error::PackageContent { file: names::TOKENIZER.into(), detail };
    let path = folder.join(names::TOKENIZER);
    let found = manifest.files[names::TOKENIZER].bytes;
    if found > MAX_BYTES {
        return Err(Error::LimitExceeded { what: "tokenizer.json in bytes".into(), found, limit: MAX_BYTES });
    }
    let bytes = std::fs::read(&path).map_err(|source| read_error(&path, source))?;
    let tokenizer = Tokenizer::from_bytes(bytes).map_err(|e| content(format!("not a tokenizer: {e}")))?;

    let rows = manifest.decoder.vocab_size;
    match tokenizer.get_vocab(true).into_values().max() {
        None => return Err(content("its vocabulary is empty".into())),
        Some(id) if id as usize >= rows => {
            return Err(content(format!("it has the id {id}, and the decoder has {rows} rows")));
        }
        Some(_) => {}
    }
    let mut positions = 0;
    for segment in &manifest.prompt {
        positions += match segment {
            PromptSegment::Token { token } => match tokenizer.token_to_id(token) {
                Some(_) => 1,
                None => {
                    return Err(content(format!("it has no token {token:?}, which the prompt needs")));
                }
            },
            PromptSegment::Text { text } => {
                let ids = crate::decode::encode(&tokenizer, text);
                ids.map_err(|e| content(format!("it cannot encode the prompt's text: {e}")))?.len()
            }
            PromptSegment::Difference => manifest.vision.prefix_tokens,
            PromptSegment::Visual => manifest.vision.tokens,
            PromptSegment::Findings => 1,
        };
    }
    let context = manifest.decoder.context_length;
    if positions >= context {
        let detail = format!("the prompt takes at least {positions} of the decoder's {context} positions");
        return Err(Error::Manifest { detail });
    }
    Ok(())
}
