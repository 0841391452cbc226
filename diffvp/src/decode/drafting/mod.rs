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

/// Tokens of a report that is being written, each section behind a mark; of a section that is written beside others, its own alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Context {
    tokens: Vec<u32>,
    section: usize,
}

impl Context {
    /// The text goes on with this token.
    pub(super) fn push(&mut self, token: u32) {
        self.tokens.push(token);
    }
}

/// Tokens that probably follow, with the classes of how sure each was.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) tokens: Vec<u32>,
    classes: Vec<usize>,
}

impl Draft {
    /// At most so many tokens of it.
    pub(super) fn truncate(&mut self, most: usize) {
        self.tokens.truncate(most);
        self.classes.truncate(most);
    }
}

/// Proposals for one report.
pub(super) struct Drafter<'a> {
    bank: Option<&'a PhraseBank>,
    end_token_ids: &'a [u32],
    pace: Pace,
    pub(super) counts: DraftCounts,
}

impl<'a> Drafter<'a> {
    pub(super) fn new(bank: Option<&'a PhraseBank>, end_token_ids: &'a [u32]) -> Self {
        Drafter { bank, end_token_ids, pace: Pace::default(), counts: DraftCounts::default() }
    }

    /// A section begins (of a free report: the report).
    pub(super) fn begin(&self, context: &mut Context, section: usize) {
        context.section = context.tokens.len();
        context.push(self.bank.map_or(u32::MAX, |bank| bank.start(section)));
    }

    /// What to propose behind each text, at most so many tokens each: as many as pay behind `waiting` rows that are run anyway
    /// and give a token of each text.
    pub(super) fn draft(&self, texts: &mut [(&mut Context, usize)], waiting: usize) -> Vec<Draft> {
        let room = MOST_ROWS.saturating_sub(waiting);
        let count = texts.len();
        let (mut drafts, mut likely) = (Vec::with_capacity(count), Vec::new());
        for (text, (context, most)) in texts.iter_mut().enumerate() {
            let (draft, of_draft) = self.guesses(context, room.min(*most));
            likely.extend(of_draft.into_iter().map(|likely| (likely, text)));
            drafts.push(draft);
        }
        // A guess is never likelier than those that it follows, and of equals it stays behind them.
        likely.sort_by(|a, b| b.0.total_cmp(&a.0));
        likely.truncate(room);
        let shares: Vec<f32> = likely.iter().map(|guess| guess.0).collect();
        likely.truncate(self.pace.worthwhile(waiting, count, &shares));
        for (text, draft) in drafts.iter_mut().enumerate() {
            let kept = likely.iter().filter(|guess| guess.1 == text).count();
            draft.truncate(kept);
        }
        drafts
    }

    /// Guesses that follow each other, and how likely each is right together with those before it.
    fn guesses(&self, context: &mut Context, most: usize) -> (Draft, Vec<f32>) {
        let known = context.tokens.len();
        let (mut draft, mut likely, mut all) = (Draft::default(), Vec::new(), 1.0);
        while draft.tokens.len() < most && all >= 0.05 {
            let Some(guess) = self.guess(context).filter(|guess| !self.end_token_ids.contains(&guess.token)) else {
                break;
            };
            let (share, class) = self.pace.expected(guess.share);
            all *= share;
            likely.push(all);
            draft.tokens.push(guess.token);
            draft.classes.push(class);
            context.push(guess.token);
        }
        context.tokens.truncate(known);
        (draft, likely)
    }

    /// A run of the decoder took so long.
    pub(super) fn ran(&mut self, rows: usize, seconds: f64) {
        self.pace.ran(rows, seconds);
        self.counts.decoder_runs += 1;
    }

    /// Of the tokens of a draft the first `accepted` were right, out of `checked`.
    pub(super) fn checked(&mut self, draft: &Draft, accepted: usize, checked: usize) {
        self.pace.checked(&draft.classes[..checked.min(draft.classes.len())], accepted);
        self.counts.proposed += draft.tokens.len();
        self.counts.accepted += accepted;
    }

    fn guess(&self, context: &Context) -> Option<Guess> {
        let of_bank = self.bank.and_then(|bank| bank.next(&context.tokens[context.section..]));
        match (of_bank, self.repeat(context)) {
            (Some(bank), Some(own)) if own.context > bank.context => Some(own),
            (bank, own) => bank.or(own),
        }
    }

    /// What followed the last time that the report went on as it does now.
    fn repeat(&self, context: &Context) -> Option<Guess> {
        let (text, all) = (&context.tokens[context.section..], &context.tokens);
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

    /// The draft of one text.
    fn draft(drafter: &Drafter<'_>, context: &mut Context, waiting: usize, most: usize) -> Vec<u32> {
        drafter.draft(&mut [(context, most)], waiting).remove(0).tokens
    }

    #[test]
    fn phrases_of_the_section_are_proposed_up_to_their_end() {
        let bank = bank();
        let (drafter, mut text) = (Drafter::new(Some(&bank), &[0]), Context::default());
        drafter.begin(&mut text, 0);
        assert_eq!(draft(&drafter, &mut text, 1, 3), [1, 2, 3]);
        text.push(1);
        assert_eq!(draft(&drafter, &mut text, 1, 10), [2, 3, 4, 5], "the end is not proposed");
        drafter.begin(&mut text, 1);
        assert_eq!(draft(&drafter, &mut text, 1, 10), [1, 9]);
        assert!(draft(&drafter, &mut text, MOST_ROWS, 10).is_empty());
    }

    #[test]
    fn a_report_that_repeats_itself_is_drafted_from_itself() {
        let (drafter, mut text) = (Drafter::new(None, &[0]), Context::default());
        drafter.begin(&mut text, 0);
        for token in [1, 2, 3, 4, 5, 6, 1, 2, 3] {
            text.push(token);
        }
        let found = draft(&drafter, &mut text, 1, 3);
        assert!(!found.is_empty() && [4, 5, 6].starts_with(&found), "{found:?}");
        text.push(7);
        assert!(draft(&drafter, &mut text, 1, 3).is_empty());
        drafter.begin(&mut text, 1);
        assert!(draft(&drafter, &mut text, 1, 3).is_empty(), "the mark of a section is no token");
    }

    #[test]
    fn texts_share_the_rows_that_pay() {
        let bank = bank();
        let (drafter, mut texts) = (Drafter::new(Some(&bank), &[0]), [Context::default(), Context::default()]);
        let [first, second] = &mut texts;
        drafter.begin(first, 0);
        drafter.begin(second, 1);
        let found = drafter.draft(&mut [(first, 10), (second, 1)], 2);
        assert!([1, 2, 3, 4, 5].starts_with(&found[0].tokens) && !found[0].tokens.is_empty(), "{found:?}");
        assert_eq!(found[1].tokens, [1]);
        let full = drafter.draft(&mut [(first, 10), (second, 10)], MOST_ROWS - 1);
        assert_eq!(full.iter().map(|draft| draft.tokens.len()).sum::<usize>(), 1, "one row is left");
    }

    #[test]
    fn proposals_that_fail_are_given_up() {
        let bank = bank();
        let (mut drafter, mut text) = (Drafter::new(Some(&bank), &[0]), Context::default());
        drafter.begin(&mut text, 0);
        for _ in 0..50 {
            let found = drafter.draft(&mut [(&mut text, 8)], 1).remove(0);
            let rows = 1 + found.tokens.len();
            drafter.ran(rows, rows as f64);
            drafter.checked(&found, 0, found.tokens.len().min(1));
        }
        assert!(draft(&drafter, &mut text, 1, 8).is_empty(), "rows that cost as much as runs, and are never right");
    }
}
