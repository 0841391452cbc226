//! The built-in labeller on text it was not written on: real reports with labels set by people, and reports of phantoms.

use std::path::Path;

use diffvp_train::eval::clinical::builtin::RuleLabeller;
use diffvp_train::eval::clinical::{Labels, Scores};
use diffvp_train::labels::FINDINGS;
use diffvp_train::synth::{PhantomOptions, RegionText, report, truth};
use sha2::{Digest, Sha256};

/// Whether a report belongs to the half that rules may be developed on.
fn development(id: &str) -> bool {
    Sha256::digest(id.as_bytes())[0] < 128
}

fn print(scores: &Scores) {
    for (finding, counts) in FINDINGS.iter().zip(scores.labels()) {
        println!("{finding:<36} F1 {:.3} of {}", counts.prf().f1, counts.support());
    }
    println!(
        "micro F1 {:.4}, macro F1 {:.4}, {} reports",
        scores.micro().f1,
        scores.macro_average().f1,
        scores.reports()
    );
}

#[test]
fn reports_that_the_rules_were_not_written_on() {
    let Some(data) = diffvp_tests::shared_data() else { return };
    let path = data.join("reports/ctclip_train.csv");
    if !path.is_file() {
        eprintln!("skipped: no labelled reports at {}", path.display());
        return;
    }
    let (mut scores, mut written_on) = (Scores::default(), Scores::default());
    let mut reader = csv::Reader::from_path(path).expect("the labelled reports");
    let header = reader.headers().expect("a header").clone();
    let column = |name: &str| header.iter().position(|h| h == name).expect(name);
    let (id, text, columns) = (column("AccessionNo"), column("report_text"), FINDINGS.map(column));
    for row in reader.records().map(|row| row.expect("a row")) {
        let expected: Labels = columns.map(|c| &row[c] == "1");
        let half = if development(&row[id]) { &mut written_on } else { &mut scores };
        half.add(&expected, &RuleLabeller::get().label(&row[text]));
    }
    println!("The half that the rules were written on:");
    print(&written_on);
    println!("The other half:");
    print(&scores);
    assert!(scores.reports() > 300, "the held-out half");
    assert!(scores.micro().f1 >= 0.90, "micro F1 {}", scores.micro().f1);
    assert!(scores.macro_average().f1 >= 0.85, "macro F1 {}", scores.macro_average().f1);
}

/// `docs/labeller.md` says what each finding accepts and refuses; each sentence that it quotes is read so.
#[test]
fn the_document_tells_the_truth() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/labeller.md");
    let document = std::fs::read_to_string(document).expect("docs/labeller.md");
    let mut wrong = Vec::new();
    for (index, finding) in FINDINGS.iter().enumerate() {
        let row = document.lines().find(|line| line.starts_with(&format!("| {finding} |")));
        let cells: Vec<&str> = row.unwrap_or_else(|| panic!("no row of {finding}")).split('|').map(str::trim).collect();
        for (cell, expected) in [(cells[2], true), (cells[3], false)] {
            let quoted: Vec<&str> = cell.split('"').skip(1).step_by(2).collect();
            assert!(!quoted.is_empty(), "{finding}: an example of each kind");
            let read = |text: &&str| RuleLabeller::get().label(text)[index] != expected;
            wrong.extend(quoted.into_iter().filter(read).map(|text| format!("{finding}, {expected}: {text}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The demo model is judged with the labeller, so it must read the sentences that the model learns from, in every form
/// that they come in.
#[test]
fn reports_of_phantoms() {
    let forms: [fn(&[RegionText]) -> String; 3] = [
        |regions| regions.iter().map(|r| format!("{}\n", r.text)).collect(),
        |regions| {
            let heading = |name: &str| name[..1].to_uppercase() + &name[1..];
            regions.iter().map(|r| format!("{}: {} ", heading(r.region), r.text)).collect()
        },
        |regions| {
            regions.iter().enumerate().map(|(i, r)| format!("The region {i} is {}: {} ", r.region, r.text)).collect()
        },
    ];
    for (number, form) in forms.iter().enumerate() {
        let mut scores = Scores::default();
        let mut shown = 0;
        for index in 0..700 {
            let truth = truth(77, index, &PhantomOptions::default()).expect("a phantom");
            let text = form(&report(&truth));
            let expected: Labels = truth.labels().map(|label| label == 1);
            let found = RuleLabeller::get().label(&text);
            if found != expected && shown < 5 {
                shown += 1;
                let wrong = FINDINGS.iter().enumerate().filter(|(i, _)| found[*i] != expected[*i]);
                let wrong: Vec<_> = wrong.map(|(i, f)| format!("{f} ({})", expected[i])).collect();
                println!("form {number}, {wrong:?}: {text}");
            }
            scores.add(&expected, &found);
        }
        print(&scores);
        assert!(scores.micro().f1 >= 0.98, "form {number}: micro F1 {}", scores.micro().f1);
        assert!(scores.labels().iter().all(|counts| counts.prf().f1 >= 0.98), "form {number}");
    }
}
