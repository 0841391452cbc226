//! Rules of one finding: what names it, and where a name does not mean it. The tables are `rules/*.toml`.

use regex::Regex;
use serde::Deserialize;

use super::context::Status;
use super::phrase::{PhraseError, compile, compile_any};
use super::region::{RegionTables, Regions};

/// The table of a finding.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    finding: String,
    mention: Vec<MentionTable>,
    examples: ExampleTable,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MentionTable {
    /// Any of these names the finding.
    phrases: Vec<String>,
    /// A name inside one of these, or overlapping it, is none.
    #[serde(default)]
    except: Vec<String>,
    /// The sentence must also hold one of these.
    #[serde(default)]
    with: Vec<String>,
    /// The clause must hold none of these.
    #[serde(default)]
    without: Vec<String>,
    /// The sentence must speak of one of these regions, or of none.
    #[serde(default)]
    regions: Vec<String>,
    /// The sentence must not speak of only these regions.
    #[serde(default)]
    not_regions: Vec<String>,
    /// What a doubtful mention counts as.
    #[serde(default)]
    doubt: Doubt,
}

/// What "perhaps" counts as.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Doubt {
    /// As present: a radiologist who names a finding, even with doubt, saw something.
    #[default]
    Present,
    /// As absent.
    Absent,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExampleTable {
    present: Vec<String>,
    absent: Vec<String>,
}

/// Compiled rules of a finding.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) finding: String,
    pub(super) mentions: Vec<Mention>,
    /// Texts that have the finding, and texts that have not.
    #[cfg(test)]
    pub(super) examples: (Vec<String>, Vec<String>),
}

/// One way of naming a finding.
#[derive(Debug)]
pub(super) struct Mention {
    pub(super) phrases: Vec<String>,
    pub(super) compiled: Vec<Regex>,
    except: Vec<Regex>,
    with: Option<Regex>,
    without: Option<Regex>,
    regions: Regions,
    not_regions: Regions,
    doubt: Doubt,
}

impl Rule {
    pub(super) fn parse(toml: &str, regions: &RegionTables) -> Result<Rule, PhraseError> {
        let table: Table = toml::from_str(toml).map_err(|e| PhraseError(e.to_string()))?;
        let named = |e: PhraseError| PhraseError(format!("rules of {:?}: {}", table.finding, e.0));
        let mentions =
            table.mention.iter().map(|m| Mention::compile(m, regions)).collect::<Result<_, _>>().map_err(&named)?;
        if table.examples.present.is_empty() || table.examples.absent.is_empty() {
            return Err(named(PhraseError("it has no examples of both kinds".into())));
        }
        Ok(Rule {
            mentions,
            #[cfg(test)]
            examples: (table.examples.present, table.examples.absent),
            finding: table.finding,
        })
    }
}

impl Mention {
    fn compile(table: &MentionTable, tables: &RegionTables) -> Result<Mention, PhraseError> {
        let each = |phrases: &[String]| phrases.iter().map(|p| compile(p)).collect::<Result<Vec<_>, _>>();
        let any = |phrases: &[String]| if phrases.is_empty() { Ok(None) } else { compile_any(phrases).map(Some) };
        let bits = |names: &[String]| names.iter().try_fold(0, |all, name| Ok(all | tables.bit(name)?));
        Ok(Mention {
            phrases: table.phrases.clone(),
            compiled: each(&table.phrases)?,
            except: each(&table.except)?,
            with: any(&table.with)?,
            without: any(&table.without)?,
            regions: bits(&table.regions)?,
            not_regions: bits(&table.not_regions)?,
            doubt: table.doubt,
        })
    }

    /// Whether this way of naming can apply in a clause of a sentence.
    pub(super) fn applies(&self, sentence: &str, clause: &str, regions: Regions) -> bool {
        (self.regions == 0 || regions == 0 || regions & self.regions != 0)
            && (self.not_regions == 0 || regions == 0 || regions & !self.not_regions != 0)
            && self.with.as_ref().is_none_or(|with| with.is_match(sentence))
            && self.without.as_ref().is_none_or(|without| !without.is_match(clause))
    }

    /// Places in a clause where the phrase of that index names the finding.
    pub(super) fn places(&self, phrase: usize, clause: &str) -> Vec<(usize, usize)> {
        let mut found: Vec<_> = self.compiled[phrase].find_iter(clause).map(|m| (m.start(), m.end())).collect();
        for except in &self.except {
            if found.is_empty() {
                break;
            }
            for m in except.find_iter(clause) {
                found.retain(|(start, end)| *end <= m.start() || m.end() <= *start);
            }
        }
        found
    }

    /// Whether a mention of that status makes the finding present.
    pub(super) fn counts(&self, status: Status) -> bool {
        match status {
            Status::Present => true,
            Status::Doubtful => self.doubt == Doubt::Present,
            Status::Absent | Status::Hypothetical => false,
        }
    }
}
