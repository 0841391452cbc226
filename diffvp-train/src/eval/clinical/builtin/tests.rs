//! The rules on their own example sentences, and on damaged and enormous text.

use proptest::prelude::*;

use super::*;

#[test]
fn every_rule_labels_its_own_examples() {
    let labeller = RuleLabeller::get();
    let mut wrong = Vec::new();
    for (finding, rule) in labeller.set.rules.iter().enumerate() {
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

/// Whole reports in the manner of several schools, and what they hold.
#[test]
fn whole_reports_of_several_styles() {
    let cases: [(&str, &[&str]); 8] = [
        (
            "FINDINGS: Lines and tubes: Right-sided PICC terminates in the SVC. Heart: The cardiac silhouette is enlarged. \
             Coronary artery calcifications are noted. Lungs: Bibasilar atelectasis. No focal consolidation or pneumothorax. \
             Pleura: Trace bilateral pleural effusions. Lymph nodes: No mediastinal or hilar adenopathy.\n\
             IMPRESSION: 1. Small bilateral effusions with adjacent atelectasis. 2. Cardiomegaly.",
            &[
                "Medical material",
                "Cardiomegaly",
                "Coronary artery wall calcification",
                "Atelectasis",
                "Pleural effusion",
            ],
        ),
        (
            "INDICATION: Nodule follow-up, known emphysema.\nTECHNIQUE: Helical CT without contrast material.\nCOMPARISON: None.\n\
             FINDINGS:\nThe lungs are clear. No nodule is identified. Heart size is normal. The aorta is unremarkable.\n\
             IMPRESSION:\nNormal examination.",
            &[],
        ),
        (
            "The region 0 is abdomen: A 12 mm nodule is seen in the left adrenal gland. The region 4 is heart: Heart size is normal. \
             The region 5 is lung: A 4 mm nodule in the middle lobe and mild centrilobular emphysema. The region 8 is thyroid: A nodule of 2 cm.",
            &["Lung nodule", "Emphysema"],
        ),
        (
            "Lung: No nodule, no consolidation. There are ground-glass opacities at both bases, and septal thickening.\n\
             Pleura: No effusion.\nMediastinum: Atherosclerotic calcification of the aortic arch. A few lymph nodes are seen, none enlarged.",
            &["Lung opacity", "Interlobular septal thickening", "Arterial wall calcification", "Lymphadenopathy"],
        ),
        (
            "**Lungs and pleura**\nBilateral cylindrical bronchiectasis with peribronchial thickening and mosaic attenuation; no effusion.\n\
             **Heart**\nA small pericardial effusion. Pacemaker leads end in the right ventricle.\n**Esophagus**\nSmall sliding hiatal hernia.",
            &[
                "Bronchiectasis",
                "Peribronchial thickening",
                "Mosaic attenuation pattern",
                "Pericardial effusion",
                "Medical material",
                "Hiatal hernia",
            ],
        ),
        (
            "Compared with the earlier scan, the consolidation in the right lower lobe has resolved completely, and the pleural effusion \
             is no longer seen. Fibrotic bands remain in the right lower lobe. The central venous catheter has been removed.",
            &["Pulmonary fibrotic sequela"],
        ),
        (
            "No lymphadenopathy. No pericardial or pleural effusion. No pulmonary nodule, mass, consolidation or ground-glass opacity. \
             No bronchiectasis, emphysema, or fibrosis. No coronary calcification. No hiatal hernia.",
            &[],
        ),
        (
            "Minimal pleural effusion on the left, but no pericardial effusion. If there is clinical suspicion of pneumonia, consolidation \
             should be excluded. Findings may be compatible with emphysema. Subcutaneous emphysema on the right.",
            &["Pleural effusion", "Emphysema"],
        ),
    ];
    let mut wrong = Vec::new();
    for (text, expected) in cases {
        let labels = RuleLabeller::get().label(text);
        let found: Vec<&str> = FINDINGS.into_iter().enumerate().filter(|(i, _)| labels[*i]).map(|(_, f)| f).collect();
        let mut expected = expected.to_vec();
        expected.sort_by_key(|e| FINDINGS.iter().position(|f| f == e));
        if found != expected {
            wrong.push(format!("{text}\n  found {found:?}\n  not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_found_in_nothing() {
    for text in ["", " \n ", "…", "?", "::", "Lung:", "Findings:\n\n"] {
        assert_eq!(RuleLabeller::get().label(text), [false; 18], "{text:?}");
    }
}

/// A million characters, with and without sentences, words and headings: linear time, so seconds even when unoptimised.
#[test]
fn enormous_reports_take_time_in_proportion() {
    let labeller = RuleLabeller::get();
    for piece in [
        "no nodule and effusion is seen in the lung , ",
        "Lung: ",
        "a",
        "(",
        "nodule ",
        "? ",
        "effusion.\n",
        "lymph node is not which ",
    ] {
        let text = piece.repeat(1_000_000 / piece.len());
        let start = std::time::Instant::now();
        labeller.label(&text);
        assert!(start.elapsed().as_secs() < 30, "{piece:?} took {:?}", start.elapsed());
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_rules_panic(text in "(?s)([a-zA-Z ,.:;?()\n\"0-9éİß×]|nodule |effusion |no |was not seen |Lung: ){0,200}") {
        RuleLabeller::get().explain(&text);
    }
}
