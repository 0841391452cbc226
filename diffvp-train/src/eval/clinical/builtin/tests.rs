//! The rules on their own example sentences, and on damaged and enormous text.

use proptest::prelude::*;

use super::*;

#[test]
fn every_rule_labels_its_own_examples() {
    let labeller = RuleLabeller::get();
    let mut wrong = Vec::new();
    for (finding, rule) in labeller.rules.iter().enumerate() {
        let (present, absent) = &rule.examples;
        assert!(present.len() >= 3 && absent.len() >= 3, "{}: three examples of each kind at least", rule.finding);
        for (text, expected) in present.iter().map(|t| (t, true)).chain(absent.iter().map(|t| (t, false))) {
            if labeller.label(text)[finding] != expected {
                let evidence = labeller.explain(text).into_iter().filter(|e| e.finding == finding);
                wrong.push(format!("{}, {expected}: {text:?} {:?}", rule.finding, evidence.collect::<Vec<_>>()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
