//! The labeller that needs no weights: rules over sentences.
//!
//! 1. `text`: the report becomes sentences of plain lower-case words;
//! 2. `region`: headings are taken off, and each sentence gets the region it speaks of;
//! 3. `context`: a sentence becomes clauses, and each clause its cues of negation, hypothesis and doubt;
//! 4. `rule`: phrases name findings in a clause, and its cues decide whether they count;
//! 5. `rule_set`: all of this for several rules at once.
//!
//! [`RuleLabeller`] asks for the 18 findings, [`NormalReader`] whether a report states no abnormality at all.
//!
//! Words are data, in `rules/`: one table a finding, with example sentences that a test reads; `abnormality.toml` and
//! `normality.toml` for the other question; `context.toml` and `regions.toml` for what all share. `docs/labeller.md` says
//! what each finding's rules accept and refuse.

mod context;
mod normal;
mod phrase;
mod region;
mod rule;
mod rule_set;
#[cfg(test)]
mod tests;
mod text;

use std::sync::LazyLock;

pub use context::Status;
pub use normal::NormalReader;
use phrase::PhraseError;
pub use rule_set::Evidence;
use rule_set::RuleSet;

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
    set: RuleSet,
}

impl RuleLabeller {
    /// The rules of this version, compiled once per process.
    pub fn get() -> &'static RuleLabeller {
        static LABELLER: LazyLock<RuleLabeller> =
            LazyLock::new(|| RuleLabeller::parse(&RULES).expect("the rules of this version compile"));
        &LABELLER
    }

    /// All tables of the rules in one text, to tell versions apart.
    pub fn tables() -> String {
        RULES.iter().chain([&CONTEXT, &REGIONS]).copied().collect::<Vec<_>>().concat()
    }

    fn parse(rules: &[&str]) -> Result<RuleLabeller, PhraseError> {
        let set = RuleSet::parse(rules)?;
        for (rule, finding) in set.rules.iter().zip(FINDINGS) {
            if rule.finding != finding {
                return Err(PhraseError(format!("rules of {:?} stand where {finding:?} should", rule.finding)));
            }
        }
        Ok(RuleLabeller { set })
    }

    /// The findings of a report, in the order of [`FINDINGS`]. An empty text has none.
    pub fn label(&self, report: &str) -> [bool; 18] {
        let mut labels = [false; 18];
        self.set.read(report, |finding, _, _, _, counts| labels[finding] |= counts);
        labels
    }

    /// Every place where the report names a finding, with what was made of it.
    pub fn explain(&self, report: &str) -> Vec<Evidence> {
        self.set.explain(report)
    }
}
