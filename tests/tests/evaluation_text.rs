//! Text metrics against the reference packages: texts of our own, and the published values of Reg2RG.

use std::path::{Path, PathBuf};

use diffvp_tests::{golden_file, shared_data};
use diffvp_train::eval::statistics::{mean, standard_deviation};
use diffvp_train::eval::text::{
    DEBIAN_FOLDER, Meteor, Metric, Pair, PairSource, ScoreOptions, WordNet, markdown, score, score_pairs,
};
use serde_json::Value;

/// WordNet's folder: `$DIFFVP_WORDNET`, else where Debian has it.
fn options() -> ScoreOptions {
    let folder = std::env::var_os("DIFFVP_WORDNET").map_or_else(|| PathBuf::from(DEBIAN_FOLDER), PathBuf::from);
    let mut options = ScoreOptions::default();
    if folder.is_dir() {
        options.meteor = Some(Meteor::new(WordNet::open(&folder).unwrap()));
    } else {
        eprintln!("METEOR skipped: no WordNet at {} (install wordnet-base, or set DIFFVP_WORDNET)", folder.display());
    }
    options
}

#[test]
fn every_report_scores_what_the_reference_packages_say() {
    let golden: Value =
        serde_json::from_str(&std::fs::read_to_string(golden_file("evaluation/text.json")).unwrap()).unwrap();
    let pairs: Vec<Pair> = golden["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(row, pair)| {
            let text = |i: usize| pair[i].as_str().unwrap().to_owned();
            Pair { row: row as u64 + 1, id: None, reference: text(0), prediction: text(1) }
        })
        .collect();
    let evaluation = score_pairs("golden", &pairs, &options()).unwrap();
    assert!(pairs.len() > 30);
    for metric in Metric::ALL {
        let Some(values) = evaluation.values(metric) else { continue };
        let expected = golden["scores"][metric.name()].as_array().unwrap();
        assert_eq!(values.len(), expected.len());
        for ((value, expected), pair) in values.iter().zip(expected).zip(&pairs) {
            let expected = expected.as_f64().unwrap();
            assert!((value - expected).abs() < 1e-12, "{}: {value}, not {expected}: {pair:?}", metric.name());
        }
    }
    for (metric, _, value) in evaluation.corpus_values() {
        if let Some(expected) = golden["overall"][metric.name()].as_f64() {
            assert!((value - expected).abs() < 1e-12, "overall {}: {value}, not {expected}", metric.name());
        }
    }
}

#[test]
fn the_published_values_of_reg2rg_are_printed() {
    let Some(data) = shared_data() else { return };
    let folder = data.join("reports/reg2rg_radgenome");
    let published = std::fs::read_to_string(folder.join("nlg_evaluation_results_all_regions.csv")).unwrap();
    let mut lines = published.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let options = options();
    let mut checked = 0;
    for cells in lines {
        let source =
            source(&folder.join(format!("{}_reports.csv", cells[0])), "GT_combined_report", "Pred_combined_report");
        let evaluation = score(&source, &options, &|_| ()).unwrap();
        let corpus = evaluation.corpus_values();
        let table = markdown(std::slice::from_ref(&evaluation));
        for (name, expected) in header.iter().zip(&cells).skip(1) {
            let metric = |name: &str| Metric::ALL.into_iter().find(|metric| metric.name() == name);
            let ours = match name.strip_prefix("Overall_") {
                Some(name) => corpus.iter().find(|(metric, _, _)| metric.name() == name).map(|v| format!("{:.4}", v.2)),
                None => {
                    let values = evaluation.values(metric(name).unwrap());
                    values.map(|values| format!("{:.4}±{:.4}", mean(&values), standard_deviation(&values, 0)))
                }
            };
            match ours {
                Some(ours) => {
                    assert_eq!(ours, *expected, "{}: {name}", cells[0]);
                    assert!(table.contains(expected), "{}: {name}: {expected} is not in the table", cells[0]);
                    checked += 1;
                }
                None => assert!(options.meteor.is_none() && name.ends_with("METEOR"), "{name} was not computed"),
            }
        }
    }
    // Ten regions; nine means and eight overall values each, two of them METEOR.
    assert_eq!(checked, if options.meteor.is_some() { 170 } else { 150 });
}

fn source(path: &Path, reference: &str, prediction: &str) -> PairSource {
    PairSource {
        path: path.to_path_buf(),
        reference: reference.into(),
        prediction: prediction.into(),
        references: None,
        id: None,
    }
}
