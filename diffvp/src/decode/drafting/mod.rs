//! Tokens that the report probably has next, so that the decoder checks several in one run.
//!
//! What is proposed changes how long a report takes, never its text: the sampler picks every token from the decoder's own
//! logits, and a proposal counts only where it is what was picked. That is exact for random sampling too: a proposal is accepted
//! with the probability that the decoder gives it.

mod pace;

use crate::package::{Guess, PhraseBank};

pub(super) use pace::MOST_ROWS;
use pace::Pace;

/// Tokens in common that make the report's own text worth repeating.
const SHORTEST_REPEAT: usize = 3;
/// Share of such repeats that is expected to be right before any was seen.
const REPEAT_SHARE: f32 = 0.5;

/// What drafting did for one report. The decoder's measured speed decides how many tokens are proposed, so that two runs may
/// differ in this, and in nothing else but their times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct DraftCounts {
    /// Runs of the decoder, that of the prompt included.
    pub decoder_runs: usize,
    /// Tokens proposed.
    pub proposed: usize,
    /// Proposals that were what the model wrote.
    pub accepted: usize,
}

/// Proposals for one report.
pub(super) struct Drafter<'a> {
    bank: Option<&'a PhraseBank>,
    /// Tokens of the report, each section behind a mark.
    text: Vec<u32>,
    section: usize,
    end_token_ids: &'a [u32],
    pace: Pace,
    pub(super) counts: DraftCounts,
}

impl<'a> Drafter<'a> {
    pub(super) fn new(bank: Option<&'a PhraseBank>, end_token_ids: &'a [u32]) -> Self {
        Drafter {
            bank,
            text: Vec::new(),
            section: 0,
            end_token_ids,
            pace: Pace::default(),
            counts: DraftCounts::default(),
        }
    }

    /// A section begins (of a free report: the report).
    pub(super) fn begin(&mut self, section: usize) {
        self.section = self.text.len();
        self.text.push(self.bank.map_or(u32::MAX, |bank| bank.start(section)));
    }

    /// The report goes on with this token.
    pub(super) fn push(&mut self, token: u32) {
        self.text.push(token);
    }

    /// At most `most` tokens that probably follow, as many as pay behind `waiting` rows that are run anyway.
    pub(super) fn draft(&mut self, waiting: usize, most: usize) -> Vec<u32> {
        let known = self.text.len();
        let mut shares = Vec::new();
        while shares.len() < most.min(MOST_ROWS.saturating_sub(waiting)) {
            let Some(guess) = self.guess() else { break };
            if self.end_token_ids.contains(&guess.token) || shares.iter().product::<f32>() < 0.05 {
                break;
            }
            shares.push(self.pace.expected(guess.share));
            self.text.push(guess.token);
        }
        let count = self.pace.worthwhile(waiting, &shares);
        self.pace.proposed(&shares[..count]);
        let draft = self.text[known..known + count].to_vec();
        self.text.truncate(known);
        draft
    }

    /// A run of the decoder took so long; of the tokens of its draft so many were right, out of `checked`.
    pub(super) fn ran(&mut self, rows: usize, seconds: f64, accepted: usize, checked: usize, drafted: usize) {
        self.pace.ran(rows, seconds, accepted, checked);
        self.counts.decoder_runs += 1;
        self.counts.proposed += drafted;
        self.counts.accepted += accepted;
    }

    fn guess(&self) -> Option<Guess> {
        let of_bank = self.bank.and_then(|bank| bank.next(&self.text[self.section..]));
        match (of_bank, self.repeat()) {
            (Some(bank), Some(own)) if own.context > bank.context => Some(own),
            (bank, own) => bank.or(own),
        }
    }

    /// What followed the last time that the report went on as it does now.
    fn repeat(&self) -> Option<Guess> {
        let (text, all) = (&self.text[self.section..], &self.text);
        if text.len() <= SHORTEST_REPEAT {
            return None;
        }
        let end = &text[text.len() - SHORTEST_REPEAT..];
        let before = &all[..all.len() - 1];
        let at = before.windows(SHORTEST_REPEAT).rposition(|window| window == end)?;
        let common = (0..at + SHORTEST_REPEAT)
            .take_while(|i| text.iter().rev().nth(*i) == Some(&all[at + SHORTEST_REPEAT - 1 - i]));
        let token = all[at + SHORTEST_REPEAT];
        // A mark is no token.
        let is_mark = self.bank.map_or(token == u32::MAX, |bank| token >= bank.start(0));
        (!is_mark).then(|| Guess { token, share: REPEAT_SHARE, context: common.count() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bank() -> PhraseBank {
        PhraseBank::new([(0, vec![1, 2, 3, 4, 5, 0]), (1, vec![1, 9, 0])], 10, 1000).unwrap()
    }

    #[test]
    fn phrases_of_the_section_are_proposed_up_to_their_end() {
        let bank = bank();
        let mut drafter = Drafter::new(Some(&bank), &[0]);
        drafter.begin(0);
        assert_eq!(drafter.draft(1, 3), [1, 2, 3]);
        drafter.push(1);
        assert_eq!(drafter.draft(1, 10), [2, 3, 4, 5], "the end is not proposed");
        drafter.begin(1);
        assert_eq!(drafter.draft(1, 10), [1, 9]);
        assert!(drafter.draft(MOST_ROWS, 10).is_empty());
    }

    #[test]
    fn a_report_that_repeats_itself_is_drafted_from_itself() {
        let mut drafter = Drafter::new(None, &[0]);
        drafter.begin(0);
        for token in [1, 2, 3, 4, 5, 6, 1, 2, 3] {
            drafter.push(token);
        }
        let draft = drafter.draft(1, 3);
        assert!(!draft.is_empty() && [4, 5, 6].starts_with(&draft), "{draft:?}");
        drafter.push(7);
        assert!(drafter.draft(1, 3).is_empty());
        drafter.begin(1);
        assert!(drafter.draft(1, 3).is_empty(), "the mark of a section is no token");
    }

    #[test]
    fn proposals_that_fail_are_given_up() {
        let bank = bank();
        let mut drafter = Drafter::new(Some(&bank), &[0]);
        drafter.begin(0);
        for _ in 0..50 {
            let draft = drafter.draft(1, 8);
            let rows = 1 + draft.len();
            drafter.ran(rows, rows as f64, 0, draft.len().min(1), draft.len());
        }
        assert!(drafter.draft(1, 8).is_empty(), "rows that cost as much as runs, and are never right");
    }
}
