//! Whether a mention is affirmed: negation, hypothesis and doubt, in the way of NegEx and ConText.
//!
//! A *cue* before the mention ("no", "without") reaches forward, a cue after it ("was not observed", "is normal")
//! reaches back, and both stop at a *stop*, which is a verb that begins another statement ("is observed and").
//! The phrases are data: `rules/context.toml`.

use regex::Regex;
use serde::Deserialize;

use super::phrase::{PhraseError, compile_any};

/// What the words around a mention make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Said to be there.
    Present,
    /// Said to be there perhaps.
    Doubtful,
    /// Said not to be there, or to have gone.
    Absent,
    /// Asked for, recommended, or a condition; nothing is said about it.
    Hypothetical,
}

/// The table `context.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    clause: Vec<String>,
    negation_before: Vec<String>,
    negation_after: Vec<String>,
    no_negation: Vec<String>,
    hypothesis_before: Vec<String>,
    hypothesis_after: Vec<String>,
    doubt_before: Vec<String>,
    doubt_after: Vec<String>,
    stop: Vec<String>,
    stop_forward: Vec<String>,
    stop_back: Vec<String>,
    existence: Vec<String>,
    aside: Vec<String>,
}

/// The compiled cues.
#[derive(Debug)]
pub(super) struct Context {
    clause: Regex,
    negation_before: Regex,
    negation_after: Regex,
    no_negation: Regex,
    hypothesis_before: Regex,
    hypothesis_after: Regex,
    doubt_before: Regex,
    doubt_after: Regex,
    stop_forward: Regex,
    stop_back: Regex,
    existence: Regex,
    aside: Regex,
}

impl Context {
    pub(super) fn parse(toml: &str) -> Result<Context, PhraseError> {
        let table: Table = toml::from_str(toml).map_err(|e| PhraseError(format!("context.toml: {e}")))?;
        let any = |phrases: &[String]| compile_any(phrases);
        Ok(Context {
            clause: any(&table.clause)?,
            negation_before: any(&table.negation_before)?,
            negation_after: any(&table.negation_after)?,
            no_negation: any(&table.no_negation)?,
            hypothesis_before: any(&table.hypothesis_before)?,
            hypothesis_after: any(&table.hypothesis_after)?,
            doubt_before: any(&table.doubt_before)?,
            doubt_after: any(&table.doubt_after)?,
            stop_forward: any(&[table.stop.clone(), table.stop_forward].concat())?,
            stop_back: any(&[table.stop, table.stop_back].concat())?,
            existence: any(&table.existence)?,
            aside: Regex::new(&format!(r"\([^()]*\)|{}", any(&table.aside)?))
                .map_err(|e| PhraseError(e.to_string()))?,
        })
    }

    /// Splits a sentence into clauses: at `;` and `:`, and before words such as "but".
    pub(super) fn clauses<'a>(&self, sentence: &'a str) -> Vec<&'a str> {
        let mut cuts = vec![0];
        for (at, _) in sentence.match_indices([';', ':']) {
            cuts.push(at);
        }
        cuts.extend(self.clause.find_iter(sentence).map(|m| m.start()));
        cuts.push(sentence.len());
        cuts.sort_unstable();
        cuts.dedup();
        let pieces = cuts.windows(2).map(|w| sentence[w[0]..w[1]].trim_matches([' ', ';', ':']));
        pieces.filter(|piece| !piece.is_empty()).collect()
    }

    /// Finds the cues of a clause, once for all its mentions.
    pub(super) fn read(&self, clause: &str) -> Cues {
        let spans = |regex: &Regex| regex.find_iter(clause).map(|m| (m.start(), m.end())).collect::<Vec<_>>();
        let masks = spans(&self.no_negation);
        let outside = |regex: &Regex, masks: &[Span]| {
            let mut found = spans(regex);
            found.retain(|(start, end)| !masks.iter().any(|(s, e)| s <= start && end <= e));
            found
        };
        let unmasked = |regex: &Regex| outside(regex, &masks);
        let asides = spans(&self.aside);
        // A mark in brackets doubts what stands in them, not what stands before.
        let questions = clause.match_indices('?').map(|(at, _)| {
            let open = clause[..at].rfind('(').filter(|open| !clause[*open..at].contains(')'));
            (open.unwrap_or(0), at)
        });
        Cues {
            negation_before: unmasked(&self.negation_before),
            negation_after: unmasked(&self.negation_after),
            hypothesis_before: spans(&self.hypothesis_before),
            hypothesis_after: spans(&self.hypothesis_after),
            doubt_before: spans(&self.doubt_before),
            doubt_after: spans(&self.doubt_after),
            questions: questions.collect(),
            stop_forward: outside(&self.stop_forward, &asides),
            stop_back: outside(&self.stop_back, &asides),
            existence: spans(&self.existence),
            joints: clause.match_indices(',').chain(clause.match_indices(" and ")).map(|(at, _)| at).collect(),
        }
    }
}

type Span = (usize, usize);

/// The cues of one clause, by place.
#[derive(Debug)]
pub(super) struct Cues {
    negation_before: Vec<Span>,
    negation_after: Vec<Span>,
    hypothesis_before: Vec<Span>,
    hypothesis_after: Vec<Span>,
    doubt_before: Vec<Span>,
    doubt_after: Vec<Span>,
    /// Question marks: from where they reach, and where they are.
    questions: Vec<Span>,
    stop_forward: Vec<Span>,
    stop_back: Vec<Span>,
    existence: Vec<Span>,
    joints: Vec<usize>,
}

impl Cues {
    /// The status of the mention at `start..end` of the clause.
    pub(super) fn status(&self, start: usize, end: usize) -> Status {
        if self.reaches_forward(&self.negation_before, start, end) || self.negated_after(start, end) {
            Status::Absent
        } else if self.reaches_forward(&self.hypothesis_before, start, end)
            || self.reaches_back(&self.hypothesis_after, end).is_some()
        {
            Status::Hypothetical
        } else if self.reaches_forward(&self.doubt_before, start, end)
            || self.reaches_back(&self.doubt_after, end).is_some()
            || self.questioned(start, end)
        {
            Status::Doubtful
        } else {
            Status::Present
        }
    }

    fn questioned(&self, start: usize, end: usize) -> bool {
        let stopped = |at: usize| self.stop_back.iter().any(|stop| stop.0 >= end && stop.0 < at);
        self.questions.iter().any(|&(open, at)| open <= start && end <= at && !stopped(at))
    }

    /// Whether the last cue before the mention reaches it. A cue that is the mention's own word ("nonspecific")
    /// does not count.
    fn reaches_forward(&self, cues: &[Span], start: usize, end: usize) -> bool {
        let Some(cue) = cues.iter().rev().find(|cue| cue.0 < start && cue.1 <= end) else {
            return false;
        };
        !self.stop_forward.iter().any(|stop| stop.0 >= cue.1 && stop.1 <= start)
    }

    /// The first cue after the mention, if no statement ends between.
    fn reaches_back(&self, cues: &[Span], end: usize) -> Option<Span> {
        let cue = *cues.iter().find(|cue| cue.0 >= end)?;
        let stopped = self.stop_back.iter().any(|stop| stop.0 >= end && stop.0 < cue.0);
        (!stopped).then_some(cue)
    }

    fn negated_after(&self, start: usize, end: usize) -> bool {
        // A cue may stand inside a long mention: "effusion was not seen in the pleural space".
        let inside = |cues: &[Span]| cues.iter().any(|cue| cue.0 >= start && cue.1 <= end);
        if inside(&self.negation_after) || inside(&self.negation_before) {
            return true;
        }
        let Some(cue) = self.reaches_back(&self.negation_after, end) else {
            return false;
        };
        // "There are nodules, effusion was not observed": the verb at the end has a subject of its own, which begins
        // at the last comma or "and".
        let affirmed = self
            .existence
            .iter()
            .any(|e| e.1 <= start && !self.stop_back.iter().any(|stop| stop.0 >= e.1 && stop.1 <= start));
        let subject = self.joints.iter().copied().filter(|&joint| joint < cue.0).max().unwrap_or(0);
        !(affirmed && end <= subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str, mention: &str) -> Status {
        let context = Context::parse(super::super::CONTEXT).unwrap();
        let clause = context.clauses(text).into_iter().find(|clause| clause.contains(mention)).unwrap();
        let start = clause.find(mention).unwrap();
        context.read(clause).status(start, start + mention.len())
    }

    #[test]
    fn negation_before_and_after() {
        for text in [
            "no effusion was detected",
            "no mass , nodule or effusion",
            "without effusion",
            "effusion was not observed",
            "pericardial thickening and effusion were not detected",
            "there are nodules , effusion was not observed",
            "there is no effusion",
            "effusion is absent",
            "the effusion has resolved completely",
            "free of effusion",
        ] {
            assert_eq!(status(text, "effusion"), Status::Absent, "{text}");
        }
    }

    #[test]
    fn a_negation_stops_at_the_next_statement() {
        for text in [
            "effusion is observed and nodules were not detected",
            "no nodule was detected and effusion is observed",
            "there is effusion , nodules were not detected",
            "no nodule ; effusion on the left",
            "no nodule but a small effusion",
            "no change was detected in the effusion",
            "no significant change in effusion",
            "effusion that was not observed in the previous examination",
        ] {
            assert_eq!(status(text, "effusion"), Status::Present, "{text}");
        }
    }

    #[test]
    fn doubt_and_hypothesis() {
        assert_eq!(status("findings may be compatible with effusion", "effusion"), Status::Doubtful);
        assert_eq!(status("density ( effusion ? )", "effusion"), Status::Doubtful);
        assert_eq!(status("if there is suspicion of effusion", "effusion"), Status::Hypothetical);
        assert_eq!(status("evaluation for effusion is recommended", "effusion"), Status::Hypothetical);
    }
}
