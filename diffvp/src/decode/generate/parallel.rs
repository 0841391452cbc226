//! All sections at once: each is a branch behind the prompt, and every run of the decoder gives each its next token, or several
//! by a draft.

use std::time::Instant;

use super::writer::{Ending, Passage, Writer, stop_reason};
use super::{Heading, SectionText, StopReason, Written};
use crate::Result;
use crate::decode::Sampler;
use crate::decode::drafting::{Context, Draft};
use crate::runtime::LogitRows;

/// One section.
struct Branch<'a> {
    passage: Passage<'a>,
    sampler: Sampler,
    context: Context,
    /// The last token, which is not in the cache yet.
    last: Option<u32>,
    /// Text that the listener has not heard, because a section before it is not over.
    untold: String,
    ending: Option<Ending>,
}

/// How far the listener has heard the sections, which are told in their order.
#[derive(Default)]
struct Front {
    section: usize,
    heading_told: bool,
}

impl<'a> Writer<'a> {
    /// Writes sections that see the prompt and themselves alone. What one says does not depend on the others, except by the digits
    /// that sums in another order round off.
    pub(super) fn parallel(&mut self, headings: &[Heading], limit: usize) -> Result<Written> {
        let forced: usize = headings.iter().map(|heading| heading.ids.len()).sum();
        if self.waiting_rows() + forced >= self.cache.room() {
            return Ok((String::new(), Some(Vec::new()), StopReason::ContextFull));
        }
        let mut branches: Vec<Branch<'a>> = (0..headings.len())
            .map(|index| Branch {
                passage: self.passage(index),
                sampler: self.sampler.fork(),
                context: Context::default(),
                last: None,
                untold: String::new(),
                ending: None,
            })
            .collect();
        if let Some(drafter) = &self.drafter {
            branches.iter_mut().enumerate().for_each(|(index, branch)| drafter.begin(&mut branch.context, index));
        }
        let mut front = Front::default();
        self.open(headings, &mut branches, limit)?;
        loop {
            self.tell_on(headings, &mut branches, &mut front)?;
            let active: Vec<usize> = (0..branches.len()).filter(|&i| branches[i].ending.is_none()).collect();
            let share = self.share(&branches, &active);
            let behind: Vec<usize> = active.iter().copied().filter(|&i| branches[i].passage.count < share).collect();
            match active.as_slice() {
                [] => break,
                [last] => self.finish(&mut branches[*last], limit)?,
                _ if !behind.is_empty() => self.step(&mut branches, &behind, limit, share)?,
                _ if self.left == 0 => end(&mut branches, &active, Ending::ReportLimit),
                _ if active.len() > self.cache.room() => end(&mut branches, &active, Ending::ContextFull),
                _ => self.step(&mut branches, &active, limit, 0)?,
            }
        }
        let mut text = String::new();
        for (heading, branch) in headings.iter().zip(&branches) {
            text.push_str(&heading.text);
            text.push_str(branch.passage.stream.shown());
        }
        let endings = || branches.iter().filter_map(|branch| branch.ending);
        let short = endings().find(|ending| matches!(ending, Ending::ReportLimit | Ending::ContextFull));
        let stop = short.map_or(StopReason::Complete, stop_reason);
        let sections = branches.iter().map(|branch| SectionText {
            index: branch.passage.index,
            text: branch.passage.stream.shown().to_owned(),
            truncated: branch.ending != Some(Ending::EndToken),
        });
        Ok((text, Some(sections.collect()), stop))
    }

    /// Runs the prompt with all headings, and picks the first token of each section.
    fn open(&mut self, headings: &[Heading], branches: &mut [Branch<'_>], limit: usize) -> Result<()> {
        let prompt = self.waiting_rows();
        let mut rows = std::mem::take(&mut self.waiting);
        let mut places = vec![0; prompt];
        let mut lasts = Vec::with_capacity(headings.len());
        for (index, heading) in headings.iter().enumerate() {
            rows.extend(self.embed(&heading.ids)?);
            places.resize(places.len() + heading.ids.len(), index + 1);
            lasts.push(places.len() - 1);
        }
        let Some(&first) = lasts.first() else { return Ok(()) };
        let logits = self.forward(rows, &places, LogitRows::From(first))?;
        if let Some(drafter) = &mut self.drafter {
            drafter.counts.decoder_runs += 1;
        }
        self.prefilled()?;
        for (branch, last) in branches.iter_mut().zip(lasts) {
            self.pick(branch, row(&logits, last - first, self.sizes.vocab_size), limit)?;
        }
        Ok(())
    }

    /// How long every unfinished section may become before the report's limit, or the end of the cache, can keep another from
    /// being as long. Without drafts sections grow in step and a limit ends them all at the same length; with drafts one may be
    /// ahead of the others, but not beyond this, so that the limit finds the same texts.
    fn share(&self, branches: &[Branch<'_>], active: &[usize]) -> usize {
        let written: usize = active.iter().map(|&i| branches[i].passage.count).sum();
        let sections = active.len().max(1);
        // The last token of each is not in the cache.
        let by_room = (self.cache.room() + written - active.len()) / sections + 1;
        by_room.min((self.left + written) / sections)
    }

    /// One token for each of the `active` sections, and what drafts bring, up to `share` tokens of a section.
    fn step(&mut self, branches: &mut [Branch<'_>], active: &[usize], limit: usize, share: usize) -> Result<()> {
        let drafts = self.drafts(branches, active, limit.min(share));
        let (mut ids, mut places) = (Vec::new(), Vec::new());
        for (&index, draft) in active.iter().zip(&drafts) {
            ids.extend(branches[index].last);
            ids.extend(&draft.tokens);
            places.resize(ids.len(), index + 1);
        }
        let before = self.cache.len();
        let begin = Instant::now();
        let logits = self.forward(self.embed(&ids)?, &places, LogitRows::All)?;
        let seconds = begin.elapsed().as_secs_f64();
        let (mut kept, mut at) = (vec![false; ids.len()], 0);
        for (&index, draft) in active.iter().zip(&drafts) {
            let (mut accepted, mut picked) = (0, 0);
            loop {
                kept[at + picked] = true;
                let logits = row(&logits, at + picked, self.sizes.vocab_size);
                let token = self.pick(&mut branches[index], logits, limit)?;
                let right = token.is_some() && token == draft.tokens.get(picked).copied();
                accepted += usize::from(right);
                picked += 1;
                if !right || branches[index].ending.is_some() {
                    break;
                }
            }
            if let Some(drafter) = &mut self.drafter {
                drafter.checked(draft, accepted, picked);
            }
            at += 1 + draft.tokens.len();
        }
        if let Some(drafter) = &mut self.drafter {
            drafter.ran(ids.len(), seconds);
        }
        self.cache.retain(before, &kept)
    }

    /// A draft for each of the `active` sections, up to `most` tokens of a section; none where rejected rows could not be
    /// forgotten.
    fn drafts(&self, branches: &mut [Branch<'_>], active: &[usize], most: usize) -> Vec<Draft> {
        let Some(drafter) = self.drafter.as_ref().filter(|_| self.cache.forgets_any()) else {
            return active.iter().map(|_| Draft::default()).collect();
        };
        let room = self.cache.room() - active.len();
        let mut texts: Vec<(&mut Context, usize)> = branches
            .iter_mut()
            .enumerate()
            .filter(|(index, _)| active.contains(index))
            // The token behind the draft is one too.
            .map(|(_, branch)| (&mut branch.context, most.saturating_sub(branch.passage.count + 1)))
            .collect();
        let mut drafts = drafter.draft(&mut texts, active.len());
        let mut left = room;
        for draft in &mut drafts {
            draft.truncate(left);
            left -= draft.tokens.len();
        }
        drafts
    }

    fn forward(&mut self, rows: Vec<f32>, places: &[usize], wanted: LogitRows) -> Result<Vec<f32>> {
        self.cancel.check()?;
        self.generator.decoder.forward_on(&mut self.cache, rows, places, wanted, self.cancel)
    }

    /// The token that a section goes on with; none where it ends.
    fn pick(&mut self, branch: &mut Branch<'_>, logits: &[f32], limit: usize) -> Result<Option<u32>> {
        let id = branch.sampler.pick(logits)?.id;
        if self.sizes.end_token_ids.contains(&id) {
            branch.ending = Some(Ending::EndToken);
        } else if self.left == 0 {
            branch.ending = Some(Ending::ReportLimit);
        } else {
            let new = self.take(&mut branch.passage, id)?;
            branch.untold.push_str(&new);
            branch.context.push(id);
            branch.last = Some(id);
            branch.ending = (branch.passage.count == limit).then_some(Ending::Limit);
            return Ok(Some(id));
        }
        Ok(None)
    }

    /// Goes on with the one section that is left. All before it are told.
    fn finish(&mut self, branch: &mut Branch<'_>, limit: usize) -> Result<()> {
        self.waiting = self.embed(branch.last.as_slice())?;
        self.branch = branch.passage.index + 1;
        self.sampler = branch.sampler.clone();
        self.context = std::mem::take(&mut branch.context);
        branch.ending = Some(self.go_on(&mut branch.passage, limit)?);
        Ok(())
    }

    /// Tells what can be told: the sections that are over, and as much as there is of the next.
    fn tell_on(&mut self, headings: &[Heading], branches: &mut [Branch<'_>], front: &mut Front) -> Result<()> {
        while let (Some(branch), Some(heading)) = (branches.get_mut(front.section), headings.get(front.section)) {
            if !std::mem::replace(&mut front.heading_told, true) {
                self.tell(&heading.text)?;
            }
            self.tell(&std::mem::take(&mut branch.untold))?;
            if branch.ending.is_none() {
                break;
            }
            let rest = branch.passage.stream.finish()?;
            self.tell(&rest)?;
            *front = Front { section: front.section + 1, heading_told: false };
        }
        Ok(())
    }
}

fn end(branches: &mut [Branch<'_>], active: &[usize], ending: Ending) {
    active.iter().for_each(|&index| branches[index].ending = Some(ending));
}

fn row(logits: &[f32], at: usize, width: usize) -> &[f32] {
    &logits[at * width..(at + 1) * width]
}
