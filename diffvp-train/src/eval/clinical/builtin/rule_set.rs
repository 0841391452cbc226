//! Rules of several subjects, compiled together, and what they find in a text.

use regex::{RegexSet, RegexSetBuilder};

use super::context::{Context, Status};
use super::phrase::PhraseError;
use super::region::{Place, RegionTables};
use super::rule::Rule;
use super::{CONTEXT, REGIONS, text};

/// Rules of several subjects.
#[derive(Debug)]
pub(super) struct RuleSet {
    context: Context,
    regions: RegionTables,
    pub(super) rules: Vec<Rule>,
    /// All phrases of all rules: which of them a clause holds is asked once.
    phrases: RegexSet,
    /// For each of `phrases`: rule, mention, phrase.
    owners: Vec<(usize, usize, usize)>,
}

/// Where a text names the subject of a rule, and what it says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Which rule: of the labeller, an index in [`FINDINGS`](crate::labels::FINDINGS).
    pub finding: usize,
    /// The phrase of the rule.
    pub phrase: String,
    /// The clause, as the rules see it: lower-case words.
    pub clause: String,
    /// What the words around it make of it.
    pub status: Status,
    /// Whether it makes the finding present.
    pub counts: bool,
}

impl RuleSet {
    /// From one table a subject, in their order, with the context and the regions that all share.
    pub(super) fn parse(tables: &[&str]) -> Result<RuleSet, PhraseError> {
        let regions = RegionTables::parse(REGIONS)?;
        let context = Context::parse(CONTEXT)?;
        let rules = tables.iter().map(|toml| Rule::parse(toml, &regions)).collect::<Result<Vec<_>, _>>()?;
        let mut owners = Vec::new();
        let mut expressions = Vec::new();
        for (subject, rule) in rules.iter().enumerate() {
            for (index, mention) in rule.mentions.iter().enumerate() {
                for (phrase, regex) in mention.compiled.iter().enumerate() {
                    owners.push((subject, index, phrase));
                    expressions.push(regex.as_str());
                }
            }
        }
        let phrases = RegexSetBuilder::new(expressions)
            .size_limit(64 << 20)
            .dfa_size_limit(64 << 20)
            .build()
            .map_err(|e| PhraseError(e.to_string()))?;
        Ok(RuleSet { context, regions, rules, phrases, owners })
    }

    /// Every place where the text names a subject, with what was made of it.
    pub(super) fn explain(&self, text: &str) -> Vec<Evidence> {
        let mut found = Vec::new();
        self.read(text, |finding, phrase, clause, status, counts| {
            let (phrase, clause) = (phrase.to_owned(), clause.to_owned());
            found.push(Evidence { finding, phrase, clause, status, counts });
        });
        found
    }

    /// Hands every such place to `found`: rule, phrase, clause, status, and whether it counts.
    pub(super) fn read(&self, text: &str, mut found: impl FnMut(usize, &str, &str, Status, bool)) {
        let mut place = Place::default();
        for sentence in text::sentences(text) {
            let Some((words, regions)) = self.regions.follow(&sentence, &mut place) else {
                continue;
            };
            for clause in self.context.clauses(words) {
                let matched = self.phrases.matches(clause);
                if !matched.matched_any() {
                    continue;
                }
                let cues = self.context.read(clause);
                for (subject, index, phrase) in matched.iter().map(|i| self.owners[i]) {
                    let mention = &self.rules[subject].mentions[index];
                    if !mention.applies(words, clause, regions) {
                        continue;
                    }
                    for (start, end) in mention.places(phrase, clause) {
                        let status = cues.status(start, end);
                        found(subject, &mention.phrases[phrase], clause, status, mention.counts(status));
                    }
                }
            }
        }
    }
}
