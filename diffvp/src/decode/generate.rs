//! The loop that writes a report.

use serde::Serialize;

use super::{Embedding, Sampler, TextCodec};
use crate::package::manifest::{DecoderSizes, Manifest, ReportForm};
use crate::runtime::{CancelToken, Decoder, KvCache, LogitRows};
use crate::{Error, Result};

/// Why a report ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopReason {
    /// The model ended the report, or every section was written.
    Complete,
    /// The limit of new tokens was reached.
    MaxTokens,
    /// The decoder's context is full.
    ContextFull,
}

/// What a text event tells.
pub(crate) enum TextEvent<'a> {
    /// The prompt is in the cache, the first token comes next.
    Prefilled,
    /// New text, forced or written.
    Text(&'a str),
}

/// One piece of work.
pub(crate) struct Request<'a> {
    /// X_in, `[rows, d_llm]`.
    pub(crate) prompt: Vec<f32>,
    pub(crate) sampler: Sampler,
    pub(crate) max_new_tokens: usize,
    pub(crate) cancel: &'a CancelToken,
}

/// A section as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SectionText {
    /// Position in the manifest's sections.
    pub(crate) index: usize,
    pub(crate) text: String,
    /// Whether the section ended by its limit.
    pub(crate) truncated: bool,
}

/// A written report.
#[derive(Debug)]
pub(crate) struct Generated {
    /// The whole text, headings included.
    pub(crate) text: String,
    /// The sections, where the form of the report gives them; otherwise they are found in the text.
    pub(crate) sections: Option<Vec<SectionText>>,
    pub(crate) stop: StopReason,
    pub(crate) prompt_tokens: usize,
    /// Tokens that the model chose, without end tokens.
    pub(crate) generated_tokens: usize,
}

/// Everything that does not change between reports.
pub(crate) struct Generator<'a> {
    pub(crate) decoder: &'a Decoder,
    pub(crate) embedding: &'a Embedding,
    pub(crate) codec: &'a TextCodec,
    pub(crate) manifest: &'a Manifest,
}

impl Generator<'_> {
    /// Writes a report.
    ///
    /// `on_event` may stop the work by an error, which is passed on.
    pub(crate) fn generate(
        &self,
        request: Request<'_>,
        on_event: &mut dyn FnMut(TextEvent<'_>) -> Result<()>,
    ) -> Result<Generated> {
        let sizes = self.decoder.sizes();
        let prompt_tokens = request.prompt.len() / sizes.hidden_size;
        if prompt_tokens >= sizes.context_length {
            return Err(Error::ContextFull { prompt: prompt_tokens, context: sizes.context_length });
        }
        let headings = self.headings()?;
        let forced: usize = headings.iter().map(|h| h.ids.len()).sum();
        let wanted = prompt_tokens.saturating_add(forced).saturating_add(request.max_new_tokens);
        let cache = self.decoder.new_cache(wanted.min(sizes.context_length), request.cancel)?;
        let mut writer = Writer {
            generator: self,
            sizes,
            cancel: request.cancel,
            cache,
            waiting: request.prompt,
            sampler: request.sampler,
            left: request.max_new_tokens,
            generated: 0,
            prefilled: false,
            on_event,
        };
        let (text, sections, stop) = match &self.manifest.generation.form {
            ReportForm::Free => writer.free()?,
            ReportForm::GuidedSections { max_section_tokens, .. } => writer.guided(&headings, *max_section_tokens)?,
        };
        Ok(Generated { text, sections, stop, prompt_tokens, generated_tokens: writer.generated })
    }

    /// Forced text of each section; empty for free reports.
    fn headings(&self) -> Result<Vec<Heading>> {
        let ReportForm::GuidedSections { before_heading, after_heading, .. } = &self.manifest.generation.form else {
            return Ok(Vec::new());
        };
        let heading = |(index, section): (usize, &crate::package::manifest::SectionSpec)| {
            // Text does not begin with a separator.
            let before = if index == 0 { "" } else { before_heading.as_str() };
            let text = format!("{before}{}{after_heading}", section.heading);
            Ok(Heading { ids: self.codec.encode(&text)?, text })
        };
        self.manifest.sections.iter().enumerate().map(heading).collect()
    }
}

struct Heading {
    text: String,
    ids: Vec<u32>,
}

/// How one stretch of writing ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    EndToken,
    Limit,
    ReportLimit,
    ContextFull,
}

/// One report in the making.
struct Writer<'a> {
    generator: &'a Generator<'a>,
    sizes: &'a DecoderSizes,
    cancel: &'a CancelToken,
    cache: KvCache,
    /// Embeddings that are accepted but not yet in the cache.
    waiting: Vec<f32>,
    sampler: Sampler,
    /// Tokens that may still be generated.
    left: usize,
    generated: usize,
    prefilled: bool,
    on_event: &'a mut dyn FnMut(TextEvent<'_>) -> Result<()>,
}

impl Writer<'_> {
    fn free(&mut self) -> Result<(String, Option<Vec<SectionText>>, StopReason)> {
        let (text, ending) = self.write(usize::MAX)?;
        Ok((text, None, stop_reason(ending)))
    }

    fn guided(&mut self, headings: &[Heading], limit: usize) -> Result<(String, Option<Vec<SectionText>>, StopReason)> {
        let mut whole = String::new();
        let mut sections = Vec::new();
        for (index, heading) in headings.iter().enumerate() {
            if self.waiting_rows() + heading.ids.len() >= self.cache.room() {
                return Ok((whole, Some(sections), StopReason::ContextFull));
            }
            let rows = self.generator.embedding.embed(&heading.ids, self.cancel)?;
            self.waiting.extend(rows);
            (self.on_event)(TextEvent::Text(&heading.text))?;
            whole.push_str(&heading.text);
            let (text, ending) = self.write(limit)?;
            whole.push_str(&text);
            sections.push(SectionText { index, text, truncated: ending != Ending::EndToken });
            if matches!(ending, Ending::ReportLimit | Ending::ContextFull) {
                return Ok((whole, Some(sections), stop_reason(ending)));
            }
        }
        Ok((whole, Some(sections), StopReason::Complete))
    }

    /// Writes until an end token, or `limit` tokens, or the end of the report's room.
    fn write(&mut self, limit: usize) -> Result<(String, Ending)> {
        let mut stream = self.generator.codec.stream();
        let mut count = 0;
        let ending = loop {
            if count == limit {
                break Ending::Limit;
            }
            if self.left == 0 {
                break Ending::ReportLimit;
            }
            if self.waiting_rows() > self.cache.room() {
                break Ending::ContextFull;
            }
            let logits = self.forward()?;
            let id = self.sampler.pick(&logits)?;
            if self.sizes.end_token_ids.contains(&id) {
                break Ending::EndToken;
            }
            self.waiting = self.generator.embedding.embed(&[id], self.cancel)?;
            count += 1;
            self.left -= 1;
            self.generated += 1;
            let new = stream.push(id)?;
            if !new.is_empty() {
                (self.on_event)(TextEvent::Text(&new))?;
            }
        };
        let rest = stream.finish()?;
        if !rest.is_empty() {
            (self.on_event)(TextEvent::Text(&rest))?;
        }
        Ok((stream.shown().to_owned(), ending))
    }

    fn forward(&mut self) -> Result<Vec<f32>> {
        self.cancel.check()?;
        let waiting = std::mem::take(&mut self.waiting);
        let logits = self.generator.decoder.forward(&mut self.cache, waiting, LogitRows::Last, self.cancel)?;
        if !self.prefilled {
            self.prefilled = true;
            (self.on_event)(TextEvent::Prefilled)?;
        }
        Ok(logits)
    }

    fn waiting_rows(&self) -> usize {
        self.waiting.len() / self.sizes.hidden_size
    }
}

fn stop_reason(ending: Ending) -> StopReason {
    match ending {
        Ending::EndToken | Ending::Limit => StopReason::Complete,
        Ending::ReportLimit => StopReason::MaxTokens,
        Ending::ContextFull => StopReason::ContextFull,
    }
}
