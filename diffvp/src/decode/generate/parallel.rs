//! All sections at once: each is a branch behind the prompt, and every run of the decoder gives each its next token.

use super::writer::{Ending, Passage, Writer, stop_reason};
use super::{Heading, SectionText, StopReason, Written};
use crate::Result;
use crate::decode::Sampler;
use crate::runtime::LogitRows;

/// One section.
struct Branch<'a> {
    passage: Passage<'a>,
    sampler: Sampler,
    tokens: Vec<u32>,
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
                tokens: Vec::new(),
                untold: String::new(),
                ending: None,
            })
            .collect();
        let mut front = Front::default();
        self.open(headings, &mut branches, limit)?;
        loop {
            self.tell_on(headings, &mut branches, &mut front)?;
            let active: Vec<usize> = (0..branches.len()).filter(|&i| branches[i].ending.is_none()).collect();
            match active.as_slice() {
                [] => break,
                // A text alone can be drafted.
                [last] => self.finish(&mut branches[*last], limit)?,
                _ if self.left == 0 => end(&mut branches, &active, Ending::ReportLimit),
                _ if active.len() > self.cache.room() => end(&mut branches, &active, Ending::ContextFull),
                _ => self.step(&mut branches, &active, limit)?,
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
        self.prefilled()?;
        for (branch, last) in branches.iter_mut().zip(lasts) {
            self.pick(branch, row(&logits, last - first, self.sizes.vocab_size), limit)?;
        }
        Ok(())
    }

    /// One token for each of the `active` sections.
    fn step(&mut self, branches: &mut [Branch<'_>], active: &[usize], limit: usize) -> Result<()> {
        let ids: Vec<u32> = active.iter().filter_map(|&i| branches[i].tokens.last().copied()).collect();
        let places: Vec<usize> = active.iter().map(|i| i + 1).collect();
        let logits = self.forward(self.embed(&ids)?, &places, LogitRows::All)?;
        for (at, &index) in active.iter().enumerate() {
            self.pick(&mut branches[index], row(&logits, at, self.sizes.vocab_size), limit)?;
        }
        Ok(())
    }

    fn forward(&mut self, rows: Vec<f32>, places: &[usize], wanted: LogitRows) -> Result<Vec<f32>> {
        self.cancel.check()?;
        if let Some(drafter) = &mut self.drafter {
            drafter.counts.decoder_runs += 1;
        }
        self.generator.decoder.forward_on(&mut self.cache, rows, places, wanted, self.cancel)
    }

    fn pick(&mut self, branch: &mut Branch<'_>, logits: &[f32], limit: usize) -> Result<()> {
        let id = branch.sampler.pick(logits)?.id;
        if self.sizes.end_token_ids.contains(&id) {
            branch.ending = Some(Ending::EndToken);
        } else if self.left == 0 {
            branch.ending = Some(Ending::ReportLimit);
        } else {
            let new = self.take(&mut branch.passage, id)?;
            branch.untold.push_str(&new);
            branch.tokens.push(id);
            branch.ending = (branch.passage.count == limit).then_some(Ending::Limit);
        }
        Ok(())
    }

    /// Goes on with the one section that is left. All before it are told.
    fn finish(&mut self, branch: &mut Branch<'_>, limit: usize) -> Result<()> {
        let last = branch.tokens.last().copied();
        self.waiting = self.embed(last.as_slice())?;
        self.branch = branch.passage.index + 1;
        self.sampler = branch.sampler.clone();
        if let Some(drafter) = &mut self.drafter {
            drafter.begin(branch.passage.index);
            branch.tokens.iter().for_each(|id| drafter.push(*id));
        }
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
