//! Whether a report states no abnormality at all: what makes a scan a normal reference.

use std::sync::LazyLock;

use super::phrase::PhraseError;
use super::rule_set::RuleSet;
use super::{Evidence, RuleLabeller, Status};

const ABNORMALITY: usize = 0;
const NORMALITY: usize = 1;
/// Abnormalities beside the 18 findings, and statements that something is as it should be.
const RULES: [&str; 2] = [include_str!("rules/abnormality.toml"), include_str!("rules/normality.toml")];

/// Tells reports that state no abnormality from others.
#[derive(Debug)]
pub struct NormalReader {
    set: RuleSet,
}

impl NormalReader {
    /// The rules of this version, compiled once per process.
    pub fn get() -> &'static NormalReader {
        static READER: LazyLock<NormalReader> =
            LazyLock::new(|| NormalReader::parse(&RULES).expect("the rules of this version compile"));
        &READER
    }

    /// The tables of these rules in one text, to tell versions apart.
    pub fn tables() -> String {
        RULES.concat()
    }

    fn parse(rules: &[&str]) -> Result<NormalReader, PhraseError> {
        Ok(NormalReader { set: RuleSet::parse(rules)? })
    }

    /// Whether the report says that something is normal or not there, and nothing that is not: none of the 18 findings,
    /// and no other abnormality. An empty text says neither.
    pub fn states_no_abnormality(&self, report: &str) -> bool {
        let (mut abnormal, mut normal) = (false, false);
        self.set.read(report, |subject, _, _, status, counts| {
            abnormal |= subject == ABNORMALITY && counts;
            normal |= if subject == NORMALITY { counts } else { status == Status::Absent };
        });
        normal && !abnormal && RuleLabeller::get().label(report) == [false; 18]
    }

    /// What the report states beside the 18 findings that is not normal, with the words that say so.
    pub fn abnormalities(&self, report: &str) -> Vec<Evidence> {
        let mut found = self.set.explain(report);
        found.retain(|evidence| evidence.finding == ABNORMALITY && evidence.counts);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::{PhantomOptions, report, truth};

    #[test]
    fn every_table_reads_its_own_examples() {
        let reader = NormalReader::get();
        let mut wrong = Vec::new();
        for (subject, rule) in reader.set.rules.iter().enumerate() {
            let (present, absent) = &rule.examples;
            assert!(present.len() >= 3 && absent.len() >= 3, "{}: three examples of each kind at least", rule.finding);
            for (text, expected) in present.iter().map(|t| (t, true)).chain(absent.iter().map(|t| (t, false))) {
                let evidence = reader.set.explain(text);
                if evidence.iter().any(|e| e.finding == subject && e.counts) != expected {
                    wrong.push(format!("{}, {expected}: {text:?} {evidence:?}", rule.finding));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// Reports of several schools, translated ones among them.
    #[test]
    fn whole_reports() {
        let normal = [
            "FINDINGS: Lungs: Clear. Pleura: No effusion or pneumothorax. Heart: Normal size. Mediastinum: No adenopathy. \
             Upper abdomen: Unremarkable. Bones: No acute abnormality.\nIMPRESSION: Normal chest CT.",
            "The bony thorax is symmetrical. The lung markings are natural and both lungs are clear; no abnormal density shadow is \
             found in either. The trachea and bronchi of each lobe are unobstructed. The mediastinum is centred, and no enlarged lymph \
             nodes are seen. The heart and great vessels are of normal shape and size. There is no effusion in the chest cavities.",
            "lung: Both lungs are normally aerated, without nodule or infiltration.\nbone: No lytic lesion was found in the bones that \
             entered the sections.\nheart: As far as can be seen without contrast, heart and vessels are normal.",
            "There is no evidence of pneumonia. Respiratory motion artefacts are seen at the bases. Examination within normal limits.",
        ];
        let abnormal = [
            "The lungs are clear. There is a simple cyst in the right kidney. Otherwise normal.",
            "Lung texture is increased, and a flake of blurred shadow can be seen in the right upper lobe. The heart is normal.",
            "No nodule, no effusion. Gallbladder: several stones. Heart size is normal.",
            "Normal lungs. Degenerative changes in the spine.",
            "The lungs are clear. A 4 mm nodule was seen before and is unchanged.",
            "No mass. Fatty liver is noted; the spleen is normal.",
            "The lungs are normal. Status after cholecystectomy.",
            "Lungs clear. Situs inversus is seen.",
            "Both lungs are normal, but the left hemidiaphragm is elevated.",
            "A calcified plaque is seen in the aortic arch. Otherwise normal.",
        ];
        let says_neither = ["", " ", "...", "—!?", "See the earlier report.", "Lung:", "Indication: normal follow-up."];
        let reader = NormalReader::get();
        for text in normal {
            let found = (reader.abnormalities(text), RuleLabeller::get().explain(text));
            assert!(reader.states_no_abnormality(text), "{text}\n{found:?}");
        }
        for text in abnormal.iter().chain(&says_neither) {
            assert!(!reader.states_no_abnormality(text), "{text:?}");
        }
        assert_eq!(reader.abnormalities(abnormal[0])[0].clause, "there is a simple cyst in the right kidney");
    }

    #[test]
    fn normal_phantoms_and_no_others_are_normal() {
        let reader = NormalReader::get();
        let mut normal = 0;
        for index in 0..300 {
            let truth = truth(9, index, &PhantomOptions::default()).unwrap();
            let text: String = report(&truth).iter().map(|r| format!("{}: {}\n", r.region, r.text)).collect();
            normal += usize::from(truth.normal);
            assert_eq!(reader.states_no_abnormality(&text), truth.normal, "{text}\n{:?}", reader.abnormalities(&text));
        }
        assert!(normal > 10, "{normal} normal phantoms");
    }

    /// A million characters: linear time, so seconds even when unoptimised.
    #[test]
    fn enormous_reports_take_time_in_proportion() {
        for piece in ["no cyst and stone is seen , ", "a", "there is ", "not normal ", "cyst "] {
            let text = piece.repeat(1_000_000 / piece.len());
            let start = std::time::Instant::now();
            NormalReader::get().states_no_abnormality(&text);
            assert!(start.elapsed().as_secs() < 60, "{piece:?} took {:?}", start.elapsed());
        }
    }
}
