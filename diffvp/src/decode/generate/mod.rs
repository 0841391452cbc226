//! The loops that write a report: `writer` a text, or section after section; `parallel` all sections at once.

mod parallel;
mod writer;

use serde::Serialize;

use self::writer::Writer;
use super::drafting::DraftCounts;
use super::{Embedding, Sampler, TextCodec};
use crate::package::PhraseBank;
use crate::package::manifest::{Manifest, ReportForm, SectionOrder};
use crate::runtime::{CancelToken, Decoder};
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
    /// One of the orders of the manifest's form.
    pub(crate) order: SectionOrder,
    /// Whether tokens are proposed and checked several at a time.
    pub(crate) drafting: bool,
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
    /// What drafting did, where it was on.
    pub(crate) drafting: Option<DraftCounts>,
}

/// Everything that does not change between reports.
pub(crate) struct Generator<'a> {
    pub(crate) decoder: &'a Decoder,
    pub(crate) embedding: &'a Embedding,
    pub(crate) codec: &'a TextCodec,
    pub(crate) manifest: &'a Manifest,
    pub(crate) phrases: Option<&'a PhraseBank>,
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
        let headings = self.headings(request.order)?;
        let forced: usize = headings.iter().map(|h| h.ids.len()).sum();
        let wanted = prompt_tokens.saturating_add(forced).saturating_add(request.max_new_tokens);
        let cache = self.decoder.new_cache(wanted.min(sizes.context_length), request.cancel)?;
        let order = request.order;
        let mut writer = Writer::new(self, cache, request, on_event);
        let (text, sections, stop) = match (&self.manifest.generation.form, order) {
            (ReportForm::Free, _) => writer.free()?,
            (ReportForm::GuidedSections { max_section_tokens, .. }, SectionOrder::Sequential) => {
                writer.guided(&headings, *max_section_tokens)?
            }
            (ReportForm::GuidedSections { max_section_tokens, .. }, SectionOrder::Parallel) => {
                writer.parallel(&headings, *max_section_tokens)?
            }
        };
        Ok(Generated {
            text,
            sections,
            stop,
            prompt_tokens,
            generated_tokens: writer.generated(),
            drafting: writer.drafting(),
        })
    }

    /// Forced text of each section; empty for free reports.
    fn headings(&self, order: SectionOrder) -> Result<Vec<Heading>> {
        let ReportForm::GuidedSections { before_heading, after_heading, .. } = &self.manifest.generation.form else {
            return Ok(Vec::new());
        };
        let heading = |(index, section): (usize, &crate::package::manifest::SectionSpec)| {
            // Text does not begin with a separator.
            let before = if index == 0 { "" } else { before_heading.as_str() };
            let alone = format!("{}{after_heading}", section.heading);
            let text = format!("{before}{alone}");
            // What stands alone stands behind the prompt as the first section does.
            let read = if order == SectionOrder::Parallel { &alone } else { &text };
            Ok(Heading { ids: self.codec.encode(read)?, text })
        };
        self.manifest.sections.iter().enumerate().map(heading).collect()
    }
}

struct Heading {
    /// As it stands in the report, behind the section before.
    text: String,
    /// As the decoder reads it.
    ids: Vec<u32>,
}

/// The whole text, its sections, and why it ended.
type Written = (String, Option<Vec<SectionText>>, StopReason);
