//! Text ↔ token ids.

use std::panic::resume_unwind;
use std::path::Path;

use tokenizers::Tokenizer;

use crate::{Error, Result};

/// The package's tokenizer.
pub(crate) struct TextCodec {
    tokenizer: Tokenizer,
}

impl TextCodec {
    /// Loads `tokenizer.json`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut tokenizer = Tokenizer::from_file(path)
            .map_err(|error| Error::PackageContent { file: "tokenizer.json".into(), detail: error.to_string() })?;
        // A file may ask for cutting or filling up; a prompt must be neither.
        let _ = tokenizer.with_truncation(None);
        tokenizer.with_padding(None);
        Ok(TextCodec { tokenizer })
    }

    /// Ids of a text, without special tokens.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        encode(&self.tokenizer, text).map_err(|detail| Error::Internal { detail: format!("tokenizer: {detail}") })
    }

    /// Id of a token by its text.
    pub(crate) fn token_id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// Starts a text that is decoded token by token.
    pub(crate) fn stream(&self) -> TextStream<'_> {
        TextStream { codec: self, ids: Vec::new(), shown: String::new() }
    }
}

/// Ids of a text, without special tokens, or why there are none.
///
/// On a thread of its own, because a BPE model of `tokenizers` leaves a cache in each thread that encodes, which is
/// not freed with the tokenizer: the threads of a host would grow with every package that is opened.
pub(crate) fn encode(tokenizer: &Tokenizer, text: &str) -> std::result::Result<Vec<u32>, String> {
    let work = || tokenizer.encode_fast(text, false).map(|encoding| encoding.get_ids().to_vec());
    let encoded = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("diffvp-encode".into()).spawn_scoped(scope, work);
        thread.map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    encoded.map_err(|error| format!("no thread: {error}"))?.map_err(|error| error.to_string())
}

/// Decodes a growing list of ids. What was shown is never taken back: a character whose bytes are spread
/// over several tokens appears with the last of them. Control characters, which a terminal or a viewer would
/// obey, become U+FFFD.
pub(crate) struct TextStream<'a> {
    codec: &'a TextCodec,
    ids: Vec<u32>,
    shown: String,
}

impl TextStream<'_> {
    /// Adds a token and returns the text that became certain with it, often empty.
    pub(crate) fn push(&mut self, id: u32) -> Result<String> {
        self.ids.push(id);
        let text = self.decode()?;
        let certain = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
        Ok(self.show(certain))
    }

    /// The rest, with U+FFFD for bytes that never became a character.
    pub(crate) fn finish(&mut self) -> Result<String> {
        let text = self.decode()?;
        Ok(self.show(&text))
    }

    /// Everything shown so far.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    fn show(&mut self, text: &str) -> String {
        // Some decoders change earlier text when more follows (clean-up of spaces): wait until it agrees again.
        let Some(new) = text.strip_prefix(self.shown.as_str()) else { return String::new() };
        let new = new.to_owned();
        self.shown.push_str(&new);
        new
    }

    fn decode(&self) -> Result<String> {
        let text = self
            .codec
            .tokenizer
            .decode(&self.ids, true)
            .map_err(|error| Error::Internal { detail: format!("tokenizer: {error}") })?;
        Ok(printable(text))
    }
}

fn printable(text: String) -> String {
    let obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(obeyed) { text.replace(obeyed, "\u{FFFD}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_command_a_terminal() {
        let text = "Lung: clear.\n\tHeart:\u{1b}[2J\r\u{9b}31m normal\u{7f}";
        assert_eq!(printable(text.into()), "Lung: clear.\n\tHeart:\u{FFFD}[2J\u{FFFD}\u{FFFD}31m normal\u{FFFD}");
    }
}
