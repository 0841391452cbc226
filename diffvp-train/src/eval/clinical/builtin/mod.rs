//! The labeller that needs no weights: rules over sentences.
//!
//! 1. `text`: the report becomes sentences of plain lower-case words;
//! 2. `region`: headings are taken off, and each sentence gets the region it speaks of;
//! 3. `context`: a sentence becomes clauses, and each clause its cues of negation, hypothesis and doubt;
//! 4. `rule`: phrases name findings in a clause, and its cues decide whether they count.
//!
//! Words are data, in `rules/`: one table a finding, with example sentences that a test reads; `context.toml` and
//! `regions.toml` for what all share. `docs/labeller.md` says what each finding's rules accept and refuse.

mod context;
mod phrase;
mod region;
mod rule;
#[cfg(test)]
mod tests;
mod text;

use std::sync::LazyLock;

use regex::{RegexSet, RegexSetBuilder};

use context::Context;
pub use context::Status;
use phrase::PhraseError;
use region::{Place, RegionTables};
use rule::Rule;

use crate::labels::FINDINGS;

const CONTEXT: &str = include_str!("rules/context.toml");
const REGIONS: &str = include_str!("rules/regions.toml");
/// One table a finding, in the order of [`FINDINGS`].
const RULES: [&str; 18] = [
    include_str!("rules/medical_material.toml"),
    include_str!("rules/arterial_wall_calcification.toml"),
    include_str!("rules/cardiomegaly.toml"),
    include_str!("rules/pericardial_effusion.toml"),
    include_str!("rules/coronary_artery_wall_calcification.toml"),
    include_str!("rules/hiatal_hernia.toml"),
    include_str!("rules/lymphadenopathy.toml"),
    include_str!("rules/emphysema.toml"),
    include_str!("rules/atelectasis.toml"),
    include_str!("rules/lung_nodule.toml"),
    include_str!("rules/lung_opacity.toml"),
    include_str!("rules/pulmonary_fibrotic_sequela.toml"),
    include_str!("rules/pleural_effusion.toml"),
    include_str!("rules/mosaic_attenuation_pattern.toml"),
    include_str!("rules/peribronchial_thickening.toml"),
    include_str!("rules/consolidation.toml"),
    include_str!("rules/bronchiectasis.toml"),
    include_str!("rules/interlobular_septal_thickening.toml"),
];

/// The rules of all findings, compiled.
#[derive(Debug)]
pub struct RuleLabeller {
    context: Context,
    regions: RegionTables,
    rules: Vec<Rule>,
    /// All phrases of all rules: which of them a clause holds is asked once.
    phrases: RegexSet,
    /// For each of `phrases`: finding, mention, phrase.
    owners: Vec<(usize, usize, usize)>,
}

/// Where a report names a finding, and what it says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Index in [`FINDINGS`].
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

impl RuleLabeller {
    /// The rules of this version, compiled once per process.
    pub fn get() -> &'static RuleLabeller {
        static LABELLER: LazyLock<RuleLabeller> =
            LazyLock::new(|| RuleLabeller::parse(&RULES, CONTEXT, REGIONS).expect("the rules of this version compile"));
        &LABELLER
    }

    /// All tables of the rules in one text, to tell versions apart.
    pub fn tables() -> String {
        RULES.iter().chain([&CONTEXT, &REGIONS]).copied().collect::<Vec<_>>().concat()
    }

    fn parse(rules: &[&str], context: &str, regions: &str) -> Result<RuleLabeller, PhraseError> {
        let regions = RegionTables::parse(regions)?;
        let context = Context::parse(context)?;
        let rules = rules.iter().map(|toml| Rule::parse(toml, &regions)).collect::<Result<Vec<_>, _>>()?;
        for (rule, finding) in rules.iter().zip(FINDINGS) {
            if rule.finding != finding {
                return Err(PhraseError(format!("rules of {:?} stand where {finding:?} should", rule.finding)));
            }
        }
        let mut owners = Vec::new();
        let mut expressions = Vec::new();
        for (finding, rule) in rules.iter().enumerate() {
            for (index, mention) in rule.mentions.iter().enumerate() {
                for (phrase, regex) in mention.compiled.iter().enumerate() {
                    owners.push((finding, index, phrase));
                    expressions.push(regex.as_str());
                }
            }
        }
        let phrases = RegexSetBuilder::new(expressions)
            .size_limit(64 << 20)
            .dfa_size_limit(64 << 20)
            .build()
            .map_err(|e| PhraseError(e.to_string()))?;
        Ok(RuleLabeller { context, regions, rules, phrases, owners })
    }

    /// The findings of a report, in the order of [`FINDINGS`]. An empty text has none.
    pub fn label(&self, report: &str) -> [bool; 18] {
        let mut labels = [false; 18];
        self.read(report, |finding, _, _, _, counts| labels[finding] |= counts);
        labels
    }

    /// Every place where the report names a finding, with what was made of it.
    pub fn explain(&self, report: &str) -> Vec<Evidence> {
        let mut found = Vec::new();
        self.read(report, |finding, phrase, clause, status, counts| {
            let (phrase, clause) = (phrase.to_owned(), clause.to_owned());
            found.push(Evidence { finding, phrase, clause, status, counts });
        });
        found
    }

    fn read(&self, report: &str, mut found: impl FnMut(usize, &str, &str, Status, bool)) {
        let mut place = Place::default();
        for sentence in text::sentences(report) {
            let Some((words, regions)) = self.regions.follow(&sentence, &mut place) else {
                continue;
            };
            for clause in self.context.clauses(words) {
                let matched = self.phrases.matches(clause);
                if !matched.matched_any() {
                    continue;
                }
                let cues = self.context.read(clause);
                for (finding, index, phrase) in matched.iter().map(|i| self.owners[i]) {
                    let mention = &self.rules[finding].mentions[index];
                    if !mention.applies(words, clause, regions) {
                        continue;
                    }
                    for (start, end) in mention.places(phrase, clause) {
                        let status = cues.status(start, end);
                        found(finding, &mention.phrases[phrase], clause, status, mention.counts(status));
                    }
                }
            }
        }
    }
}
