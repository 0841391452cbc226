//! The loop that writes a report.

use std::time::Instant;

use serde::Serialize;

use super::drafting::{DraftCounts, Drafter, MOST_ROWS};
use super::{Embedding, Sampler, TextCodec};
use crate::package::PhraseBank;
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
            drafter: (request.drafting && self.decoder.rows_agree())
                .then(|| Drafter::new(self.phrases, &sizes.end_token_ids)),
            draft_next: true,
            on_event,
        };
        let (text, sections, stop) = match &self.manifest.generation.form {
            ReportForm::Free => writer.free()?,
            ReportForm::GuidedSections { max_section_tokens, .. } => writer.guided(&headings, *max_section_tokens)?,
        };
        let drafting = writer.drafter.as_ref().map(|drafter| drafter.counts);
        Ok(Generated { text, sections, stop, prompt_tokens, generated_tokens: writer.generated, drafting })
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
    drafter: Option<Drafter<'a>>,
    /// Whether the next run may have a draft: not where one has left a pick uncertain.
    draft_next: bool,
    on_event: &'a mut dyn FnMut(TextEvent<'_>) -> Result<()>,
}

impl Writer<'_> {
    fn free(&mut self) -> Result<(String, Option<Vec<SectionText>>, StopReason)> {
        let (text, ending) = self.write(0, usize::MAX)?;
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
            let (text, ending) = self.write(index, limit)?;
            whole.push_str(&text);
            sections.push(SectionText { index, text, truncated: ending != Ending::EndToken });
            if matches!(ending, Ending::ReportLimit | Ending::ContextFull) {
                return Ok((whole, Some(sections), stop_reason(ending)));
            }
        }
        Ok((whole, Some(sections), StopReason::Complete))
    }

    /// Writes a section until an end token, or `limit` tokens, or the end of the report's room.
    fn write(&mut self, section: usize, limit: usize) -> Result<(String, Ending)> {
        if let Some(drafter) = &mut self.drafter {
            drafter.begin(section);
        }
        let mut stream = self.generator.codec.stream();
        let mut count = 0;
        let ending = 'section: loop {
            if count == limit {
                break Ending::Limit;
            }
            if self.left == 0 {
                break Ending::ReportLimit;
            }
            if self.waiting_rows() > self.cache.room() {
                break Ending::ContextFull;
            }
            for id in self.run((limit - count).min(self.left))? {
                if self.sizes.end_token_ids.contains(&id) {
                    break 'section Ending::EndToken;
                }
                count += 1;
                self.left -= 1;
                self.generated += 1;
                let new = stream.push(id)?;
                if !new.is_empty() {
                    (self.on_event)(TextEvent::Text(&new))?;
                }
            }
        };
        let rest = stream.finish()?;
        if !rest.is_empty() {
            (self.on_event)(TextEvent::Text(&rest))?;
        }
        Ok((stream.shown().to_owned(), ending))
    }

    /// Runs what is waiting, with a draft behind it where one pays, and returns the tokens that were picked: from one to
    /// `most`, of which only the last can be an end token. None where a pick has to be made again without a draft.
    fn run(&mut self, most: usize) -> Result<Vec<u32>> {
        self.cancel.check()?;
        let (before, waiting) = (self.cache.len(), self.waiting_rows());
        let draft = self.draft(waiting, most);
        let mut rows = std::mem::take(&mut self.waiting);
        let drafted = self.embed(&draft)?;
        let kept = if draft.is_empty() { Vec::new() } else { rows.clone() };
        rows.extend_from_slice(&drafted);
        let begin = Instant::now();
        let wanted = LogitRows::From(waiting - 1);
        let logits = self.generator.decoder.forward(&mut self.cache, rows, wanted, self.cancel)?;
        let seconds = begin.elapsed().as_secs_f64();
        if !self.prefilled {
            self.prefilled = true;
            (self.on_event)(TextEvent::Prefilled)?;
        }

        self.draft_next = true;
        let mut picked = Vec::new();
        let mut checked = 0;
        for (i, logits) in logits.chunks_exact(self.sizes.vocab_size).enumerate() {
            let sampler = self.sampler.clone();
            let pick = self.sampler.pick(logits)?;
            if !pick.certain && !draft.is_empty() {
                // The last digits would decide, and they may depend on the rows of a run: decide as without a draft.
                self.sampler = sampler;
                self.draft_next = false;
                let width = self.sizes.hidden_size;
                (self.waiting, checked) = match i {
                    0 => (kept, 0),
                    _ => (drafted[(i - 1) * width..i * width].to_vec(), i),
                };
                self.cache.truncate(if i == 0 { before } else { before + waiting + i - 1 });
                break;
            }
            picked.push(pick.id);
            let accepted = draft.get(i) == Some(&pick.id);
            checked = draft.len().min(i + 1);
            if self.sizes.end_token_ids.contains(&pick.id) {
                self.cache.truncate(before + waiting + i);
                break;
            }
            if let Some(drafter) = &mut self.drafter {
                drafter.push(pick.id);
            }
            if !accepted {
                self.cache.truncate(before + waiting + i);
                self.waiting = self.embed(&[pick.id])?;
                break;
            }
        }
        if let Some(drafter) = &mut self.drafter {
            let accepted = picked.iter().zip(&draft).filter(|(a, b)| a == b).count();
            drafter.ran(waiting + draft.len(), seconds, accepted, checked, draft.len());
        }
        Ok(picked)
    }

    /// What to propose behind so many waiting rows, where `most` tokens may be picked.
    fn draft(&mut self, waiting: usize, most: usize) -> Vec<u32> {
        let room = (self.cache.room() - waiting).min(most - 1);
        match &mut self.drafter {
            Some(drafter) if self.draft_next && waiting < MOST_ROWS => drafter.draft(waiting, room),
            _ => Vec::new(),
        }
    }

    fn embed(&self, ids: &[u32]) -> Result<Vec<f32>> {
        self.generator.embedding.embed(ids, self.cancel)
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
