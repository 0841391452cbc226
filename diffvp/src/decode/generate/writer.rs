//! A text token by token, or several by a draft: free reports, and section after section.

use std::time::Instant;

use super::{Generator, Heading, Request, SectionText, StopReason, TextEvent, Written};
use crate::Result;
use crate::decode::Sampler;
use crate::decode::drafting::{Context, Draft, DraftCounts, Drafter, MOST_ROWS};
use crate::decode::text::TextStream;
use crate::package::manifest::DecoderSizes;
use crate::runtime::{CancelToken, KvCache, LogitRows};

/// How one stretch of writing ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    EndToken,
    Limit,
    ReportLimit,
    ContextFull,
}

/// A section, or a free report, that is being written.
pub(super) struct Passage<'a> {
    /// Position in the manifest's sections.
    pub(super) index: usize,
    pub(super) stream: TextStream<'a>,
    /// Tokens written.
    pub(super) count: usize,
}

/// One report in the making.
pub(super) struct Writer<'a> {
    pub(super) generator: &'a Generator<'a>,
    pub(super) sizes: &'a DecoderSizes,
    pub(super) cancel: &'a CancelToken,
    pub(super) cache: KvCache,
    /// Embeddings that are accepted but not yet in the cache.
    pub(super) waiting: Vec<f32>,
    /// Branch of the decoder's cache that they belong to.
    pub(super) branch: usize,
    pub(super) sampler: Sampler,
    /// Tokens that may still be generated.
    pub(super) left: usize,
    pub(super) generated: usize,
    prefilled: bool,
    pub(super) drafter: Option<Drafter<'a>>,
    /// The text so far, for drafts.
    pub(super) context: Context,
    /// Whether the next run may have a draft: not where one has left a pick uncertain.
    draft_next: bool,
    on_event: &'a mut dyn FnMut(TextEvent<'_>) -> Result<()>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        generator: &'a Generator<'a>,
        cache: KvCache,
        request: Request<'a>,
        on_event: &'a mut dyn FnMut(TextEvent<'_>) -> Result<()>,
    ) -> Self {
        let sizes = generator.decoder.sizes();
        Writer {
            generator,
            sizes,
            cancel: request.cancel,
            cache,
            waiting: request.prompt,
            branch: 0,
            sampler: request.sampler,
            left: request.max_new_tokens,
            generated: 0,
            prefilled: false,
            drafter: (request.drafting && generator.decoder.rows_agree())
                .then(|| Drafter::new(generator.phrases, &sizes.end_token_ids)),
            context: Context::default(),
            draft_next: true,
            on_event,
        }
    }

    /// Tokens that the model chose, without end tokens.
    pub(super) fn generated(&self) -> usize {
        self.generated
    }

    /// What drafting did, where it was on.
    pub(super) fn drafting(&self) -> Option<DraftCounts> {
        self.drafter.as_ref().map(|drafter| drafter.counts)
    }

    pub(super) fn free(&mut self) -> Result<Written> {
        let (text, ending) = self.write(0, usize::MAX)?;
        Ok((text, None, stop_reason(ending)))
    }

    pub(super) fn guided(&mut self, headings: &[Heading], limit: usize) -> Result<Written> {
        let mut whole = String::new();
        let mut sections = Vec::new();
        for (index, heading) in headings.iter().enumerate() {
            if self.waiting_rows() + heading.ids.len() >= self.cache.room() {
                return Ok((whole, Some(sections), StopReason::ContextFull));
            }
            let rows = self.generator.embedding.embed(&heading.ids, self.cancel)?;
            self.waiting.extend(rows);
            self.tell(&heading.text)?;
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
        let mut passage = self.passage(section);
        if let Some(drafter) = &self.drafter {
            drafter.begin(&mut self.context, section);
        }
        let ending = self.go_on(&mut passage, limit)?;
        let rest = passage.stream.finish()?;
        self.tell(&rest)?;
        Ok((passage.stream.shown().to_owned(), ending))
    }

    pub(super) fn passage(&self, index: usize) -> Passage<'a> {
        Passage { index, stream: self.generator.codec.stream(), count: 0 }
    }

    /// Goes on with a passage.
    pub(super) fn go_on(&mut self, passage: &mut Passage<'_>, limit: usize) -> Result<Ending> {
        loop {
            if passage.count == limit {
                return Ok(Ending::Limit);
            }
            if self.left == 0 {
                return Ok(Ending::ReportLimit);
            }
            if self.waiting_rows() > self.cache.room() {
                return Ok(Ending::ContextFull);
            }
            for id in self.run((limit - passage.count).min(self.left))? {
                if self.sizes.end_token_ids.contains(&id) {
                    return Ok(Ending::EndToken);
                }
                let new = self.take(passage, id)?;
                self.tell(&new)?;
            }
        }
    }

    /// A passage goes on with a token: the text that became certain.
    pub(super) fn take(&mut self, passage: &mut Passage<'_>, id: u32) -> Result<String> {
        passage.count += 1;
        self.left -= 1;
        self.generated += 1;
        passage.stream.push(id)
    }

    /// Tells the listener of new text.
    pub(super) fn tell(&mut self, text: &str) -> Result<()> {
        if text.is_empty() { Ok(()) } else { (self.on_event)(TextEvent::Text(text)) }
    }

    /// The first run of the decoder is over.
    pub(super) fn prefilled(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.prefilled, true) { Ok(()) } else { (self.on_event)(TextEvent::Prefilled) }
    }

    /// Runs what is waiting, with a draft behind it where one pays, and returns the tokens that were picked: from one to
    /// `most`, of which only the last can be an end token. None where a pick has to be made again without a draft.
    fn run(&mut self, most: usize) -> Result<Vec<u32>> {
        self.cancel.check()?;
        let (before, waiting) = (self.cache.len(), self.waiting_rows());
        let draft = self.draft(waiting, most);
        let mut rows = std::mem::take(&mut self.waiting);
        let drafted = self.embed(&draft.tokens)?;
        let kept = if draft.tokens.is_empty() { Vec::new() } else { rows.clone() };
        rows.extend_from_slice(&drafted);
        let begin = Instant::now();
        let wanted = LogitRows::From(waiting - 1);
        let branches = vec![self.branch; waiting + draft.tokens.len()];
        let logits = self.generator.decoder.forward_on(&mut self.cache, rows, &branches, wanted, self.cancel)?;
        let seconds = begin.elapsed().as_secs_f64();
        self.prefilled()?;

        self.draft_next = true;
        let mut picked = Vec::new();
        let mut checked = 0;
        for (i, logits) in logits.chunks_exact(self.sizes.vocab_size).enumerate() {
            let sampler = self.sampler.clone();
            let pick = self.sampler.pick(logits)?;
            if !pick.certain && !draft.tokens.is_empty() {
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
            let accepted = draft.tokens.get(i) == Some(&pick.id);
            checked = draft.tokens.len().min(i + 1);
            if self.sizes.end_token_ids.contains(&pick.id) {
                self.cache.truncate(before + waiting + i);
                break;
            }
            self.context.push(pick.id);
            if !accepted {
                self.cache.truncate(before + waiting + i);
                self.waiting = self.embed(&[pick.id])?;
                break;
            }
        }
        if let Some(drafter) = &mut self.drafter {
            let accepted = picked.iter().zip(&draft.tokens).filter(|(a, b)| a == b).count();
            drafter.ran(waiting + draft.tokens.len(), seconds);
            drafter.checked(&draft, accepted, checked);
        }
        Ok(picked)
    }

    /// What to propose behind so many waiting rows, where `most` tokens may be picked.
    fn draft(&mut self, waiting: usize, most: usize) -> Draft {
        let room = (self.cache.room() - waiting).min(most - 1);
        match &self.drafter {
            Some(drafter) if self.draft_next && waiting < MOST_ROWS => {
                drafter.draft(&mut [(&mut self.context, room)], waiting).pop().unwrap_or_default()
            }
            _ => Draft::default(),
        }
    }

    pub(super) fn embed(&self, ids: &[u32]) -> Result<Vec<f32>> {
        self.generator.embedding.embed(ids, self.cancel)
    }

    pub(super) fn waiting_rows(&self) -> usize {
        self.waiting.len() / self.sizes.hidden_size
    }
}

pub(super) fn stop_reason(ending: Ending) -> StopReason {
    match ending {
        Ending::EndToken | Ending::Limit => StopReason::Complete,
        Ending::ReportLimit => StopReason::MaxTokens,
        Ending::ContextFull => StopReason::ContextFull,
    }
}
