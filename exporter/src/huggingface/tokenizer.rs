//! The tokenizer of a checkpoint.

use std::path::{Path, PathBuf};

use tokenizers::Tokenizer;

use super::config::LlamaCheckpoint;
use super::sentencepiece;
use crate::error::{Error, Result};

/// Rows of the embedding without a token, at most: checkpoints are padded to a multiple of 64 or 128, some have reserved rows.
const MAX_UNUSED_ROWS: usize = 1024;

/// A checkpoint's tokenizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointTokenizer {
    /// `tokenizer.json` of the `tokenizers` crate.
    pub json: String,
    /// Tokens, the special ones among them.
    pub tokens: usize,
    /// Begins a text, where the checkpoint names such a token.
    pub begin: Option<String>,
    /// Each of them ends a text.
    pub end: Vec<String>,
}

/// The tokenizer `file`, or the one in `folder`: `tokenizer.json`, or else `tokenizer.model`.
///
/// # Errors
/// [`Error::Read`]; [`Error::Checkpoint`] where none is there, it cannot be read, or it has another vocabulary than the
/// checkpoint.
pub fn tokenizer_of(folder: &Path, file: Option<&Path>, checkpoint: &LlamaCheckpoint) -> Result<CheckpointTokenizer> {
    let path = match file {
        Some(path) => path.to_path_buf(),
        None => find(folder)?,
    };
    let wrong = |detail: String| Error::Checkpoint { path: path.clone(), detail };
    let bytes = std::fs::read(&path).map_err(Error::read(&path))?;
    let json = match path.extension() {
        Some(extension) if extension == "model" => sentencepiece::convert(&bytes).map_err(wrong)?,
        _ => String::from_utf8(bytes).map_err(|_| wrong("it is not text; tokenizer.json is".into()))?,
    };
    let tokenizer = Tokenizer::from_bytes(json.as_bytes())
        .map_err(|e| wrong(format!("the tokenizers crate cannot read it: {e}")))?;
    let (tokens, rows) = (tokenizer.get_vocab_size(true), checkpoint.decoder.vocab_size);
    let highest = tokenizer.get_vocab(true).values().copied().max().map_or(0, |id| id as usize);
    if highest >= rows || tokens + MAX_UNUSED_ROWS < rows {
        return Err(wrong(format!(
            "it has {tokens} tokens, the highest {highest}, and the checkpoint has {rows}: it belongs to another"
        )));
    }
    let token = |id: &u32| {
        let missing = || wrong(format!("it has no token {id}, which begins or ends a text for the checkpoint"));
        tokenizer.id_to_token(*id).ok_or_else(missing)
    };
    if checkpoint.special.end.is_empty() {
        return Err(wrong("the checkpoint names no token that ends a text (eos_token_id)".into()));
    }
    let end = checkpoint.special.end.iter().map(token).collect::<Result<_>>()?;
    let begin = checkpoint.special.begin.as_ref().map(token).transpose()?;
    Ok(CheckpointTokenizer { json, tokens, begin, end })
}

fn find(folder: &Path) -> Result<PathBuf> {
    let found =
        ["tokenizer.json", "tokenizer.model"].map(|name| folder.join(name)).into_iter().find(|path| path.exists());
    found.ok_or_else(|| Error::Checkpoint {
        path: folder.to_path_buf(),
        detail: "holds neither tokenizer.json nor tokenizer.model; name the file that belongs to it".into(),
    })
}
