//! The built-in labeller on text it was not written on: real reports with labels set by people, and reports of phantoms.

use std::collections::BTreeMap;
use std::path::Path;

use diffvp_train::eval::clinical::builtin::{NormalReader, RuleLabeller};
use diffvp_train::eval::clinical::{Labels, Scores};
use diffvp_train::labels::{FINDINGS, REGIONS};
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

/// Reports that are normal by their labels, by their text, and by both.
#[derive(Default)]
struct Normals {
    reports: usize,
    by_labels: usize,
    by_text: usize,
    by_both: usize,
}

/// Rows of a CSV file: the cell of `key`, and those of `columns`.
fn rows(path: &Path, key: &str, columns: &[&str]) -> Vec<(String, Vec<String>)> {
    let mut reader = csv::Reader::from_path(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let header = reader.headers().expect("a header").clone();
    let place = |name: &str| header.iter().position(|h| h == name).expect(name);
    let (key, columns) = (place(key), columns.iter().map(|name| place(name)).collect::<Vec<_>>());
    let row = |row: csv::StringRecord| (row[key].to_owned(), columns.iter().map(|c| row[*c].to_owned()).collect());
    reader.records().map(|record| row(record.expect("a row"))).collect()
}

/// Normal references by text: far fewer than by labels, which know 18 findings only, and hardly one that has a finding.
#[test]
fn reports_that_state_no_abnormality() {
    let Some(data) = diffvp_tests::shared_data() else { return };
    let folder = data.join("reports");
    if !folder.join("ctclip_train.csv").is_file() || !folder.join("reg2rg_radgenome").is_dir() {
        eprintln!("skipped: no labelled reports in {}", folder.display());
        return;
    }
    type Labelled = Vec<(String, String, bool)>;
    let mut sets: Vec<(&str, Labelled)> = Vec::new();
    let columns: Vec<&str> = ["report_text"].into_iter().chain(FINDINGS).collect();
    let whole = rows(&folder.join("ctclip_train.csv"), "AccessionNo", &columns).into_iter();
    let whole = whole.map(|(id, cells)| (id, cells[0].clone(), cells[1..].iter().all(|label| label == "0")));
    sets.push(("CT-RATE, whole reports", whole.collect()));
    let mut by_region = BTreeMap::<String, String>::new();
    for region in REGIONS {
        let path = folder.join(format!("reg2rg_radgenome/{region}_reports.csv"));
        for (id, cells) in rows(&path, "AccNum", &["GT_combined_report"]) {
            by_region.entry(id).or_default().push_str(&format!("{region}: {}\n", cells[0]));
        }
    }
    let labels = rows(&folder.join("ctrate_valid_labels.csv"), "VolumeName", &FINDINGS);
    let labels: BTreeMap<String, bool> = labels
        .into_iter()
        .map(|(id, labels)| (id, labels.iter().all(|l| ["0", "0.0"].contains(&l.as_str()))))
        .collect();
    let divided = by_region.into_iter().map(|(id, text)| {
        let normal = labels[&id];
        (id, text, normal)
    });
    sets.push(("RadGenome-ChestCT, test split, by region", divided.collect()));

    for (name, reports) in sets {
        let (mut written_on, mut held_out) = (Normals::default(), Normals::default());
        for (id, text, by_labels) in reports {
            let counts = if development(&id) { &mut written_on } else { &mut held_out };
            let by_text = NormalReader::get().states_no_abnormality(&text);
            counts.reports += 1;
            counts.by_labels += usize::from(by_labels);
            counts.by_text += usize::from(by_text);
            counts.by_both += usize::from(by_labels && by_text);
        }
        for (half, counts) in [("written on", &written_on), ("held out", &held_out)] {
            let Normals { reports, by_labels, by_text, by_both } = counts;
            println!("{name}, {half}: {reports} reports, normal by labels {by_labels}, text {by_text}, both {by_both}");
        }
        let Normals { by_labels, by_text, by_both, .. } = held_out;
        assert!(20 * (by_text - by_both) <= by_text, "{name}: {by_both} of {by_text} by text are normal by labels");
        assert!(2 * by_text > by_labels && by_text < by_labels, "{name}: {by_text} by text, {by_labels} by labels");
    }
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
