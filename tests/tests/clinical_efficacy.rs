//! `eval clinical` and `eval label`: scores as scikit-learn has them, a classifier as PyTorch has it, and files of every kind.

use std::path::{Path, PathBuf};

use diffvp::CancelToken;
use diffvp::runtime::SessionOptions;
use diffvp_tests::golden_file;
use diffvp_train::Error;
use diffvp_train::eval::clinical::{
    Comparison, Labeller, Labels, Request, Scores, TextClassifier, Truth, evaluate, json, label, text,
};
use diffvp_train::labels::FINDINGS;
use serde_json::Value;

fn golden(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(golden_file(name)).expect(name)).expect(name)
}

fn rows(value: &Value) -> Vec<Labels> {
    let row = |row: &Value| std::array::from_fn(|i| row[i] == 1);
    value.as_array().unwrap().iter().map(row).collect()
}

#[test]
fn scores_are_those_of_scikit_learn() {
    for (name, case) in golden("clinical/scores.json").as_object().unwrap() {
        let mut scores = Scores::default();
        for (truth, predicted) in rows(&case["truth"]).iter().zip(rows(&case["predicted"])) {
            scores.add(truth, &predicted);
        }
        let close = |found: f64, expected: &Value, what: &str| {
            assert!((found - expected.as_f64().unwrap()).abs() < 1e-12, "{name}, {what}: {found} and {expected}");
        };
        let averages = [
            ("micro", scores.micro()),
            ("macro", scores.macro_average()),
            ("weighted", scores.weighted()),
            ("samples", scores.samples()),
        ];
        for (average, prf) in averages {
            for (i, value) in [prf.precision, prf.recall, prf.f1].into_iter().enumerate() {
                close(value, &case["averages"][average][i], average);
            }
        }
        for (i, counts) in scores.labels().iter().enumerate() {
            let prf = counts.prf();
            for (j, value) in [prf.precision, prf.recall, prf.f1, counts.support() as f64].into_iter().enumerate() {
                close(value, &case["labels"][i][j], FINDINGS[i]);
            }
        }
        close(scores.exact_match(), &case["exact"], "exact");
    }
}

fn classifier() -> TextClassifier {
    let session = SessionOptions { threads: 1, ..SessionOptions::default() };
    TextClassifier::open(&golden_file("clinical/classifier"), &session).expect("run the tests with `cargo xtask test`")
}

#[test]
fn a_classifier_gives_what_pytorch_gives() {
    let golden = golden("clinical/classifier/expected.json");
    let texts: Vec<&str> = golden["texts"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    let classifier = classifier();
    // Together, with padding, in both orders and alone: the same.
    let backwards: Vec<&str> = texts.iter().rev().copied().collect();
    let (together, cut) = classifier.probabilities(&texts, &CancelToken::default()).unwrap();
    let (mut reversed, _) = classifier.probabilities(&backwards, &CancelToken::default()).unwrap();
    reversed.reverse();
    assert_eq!(cut, golden["cut"].as_u64().unwrap());
    for (i, text) in texts.iter().enumerate() {
        let (alone, _) = classifier.probabilities(&[text], &CancelToken::default()).unwrap();
        for j in 0..18 {
            let logit = golden["logits"][i][j].as_f64().unwrap();
            let expected = 1.0 / (1.0 + (-logit).exp());
            for found in [together[i][j], reversed[i][j], alone[0][j]] {
                assert!((f64::from(found) - expected).abs() < 2e-5, "{text:?}, {j}: {found} and {expected}");
            }
        }
    }
    let (labels, _) = classifier.label(&texts, &CancelToken::default()).unwrap();
    let present = |i: usize, j: usize| golden["logits"][i][j].as_f64().unwrap() >= 0.0;
    assert!(labels.iter().enumerate().all(|(i, row)| row.iter().enumerate().all(|(j, &found)| found == present(i, j))));
    assert!(labels.iter().flatten().any(|&l| l) && labels.iter().flatten().any(|&l| !l));
    // An empty text has no finding, whatever the graph makes of it.
    let (labels, _) = classifier.label(&["", " \n", texts[0]], &CancelToken::default()).unwrap();
    assert_eq!((labels[0], labels[1]), ([false; 18], [false; 18]));
}

struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new() -> Case {
        Case { folder: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

fn builtin() -> Labeller {
    Labeller::open("builtin", &SessionOptions::default()).unwrap()
}

fn compare(file: &Path, truth: Truth, prediction: &str) -> Result<Comparison, Error> {
    let request = Request { file: file.to_owned(), truth, prediction: prediction.to_owned(), id: None };
    evaluate(&request, &builtin(), &CancelToken::default(), |_| {})
}

fn reference() -> Truth {
    Truth::Reference("gt".to_owned())
}

#[test]
fn references_against_predictions() {
    let case = Case::new();
    let file = case.write(
        "a.csv",
        "AccNum,gt,pred\r\n1,\"Cardiomegaly.\nA \"\"small\"\" pleural effusion, left.\",Cardiomegaly.\r\n2,Normal.,\r\n2,,A hiatal hernia is seen.\r\n",
    );
    let comparison = compare(&file, reference(), "pred").unwrap();
    let total = comparison.scores.total();
    assert_eq!((total.true_positives, total.false_positives, total.false_negatives), (1, 1, 1));
    assert_eq!(comparison.scores.reports(), 3, "empty texts are counted");
    let warnings = comparison.warnings.join("\n");
    for said in ["1 texts are empty", "1 references are empty", "rows have the id of a row before", "rows 3", "rows 4"]
    {
        assert!(warnings.contains(said), "{said}: {warnings}");
    }
    let printed = text(&comparison);
    let json = json(&comparison);
    assert_eq!(json["averages"]["micro"]["f1"], 0.5);
    assert_eq!(json["labeller"]["name"], "builtin");
    assert_eq!(json["findings"].as_array().unwrap().len(), 18);
    for said in ["builtin 1-", "micro", "macro", "weighted", "samples", "zero_division=0", "0.5000", "Hiatal hernia"] {
        assert!(printed.contains(said), "{said}: {printed}");
    }
}

#[test]
fn labels_that_were_written_are_truth_for_the_next_run() {
    let case = Case::new();
    let file =
        case.write("a.csv", "VolumeName,text\nx,Emphysema in both lungs.\ny,\nz,Cardiomegaly and hiatal hernia.\n");
    let out = case.folder.path().join("labels.csv");
    let (rows, warnings) = label(&file, "text", None, &builtin(), &out, &CancelToken::default(), |_| {}).unwrap();
    assert_eq!((rows, warnings.len()), (3, 1));
    let written = std::fs::read_to_string(&out).unwrap();
    assert!(written.starts_with("id,Medical material,") && written.contains("\ny,0,0,"), "{written}");
    let comparison = compare(&file, Truth::Labels(out.clone()), "text").unwrap();
    assert_eq!(comparison.scores.micro().f1, 1.0);
    assert_eq!(comparison.scores.total().true_positives, 3);
    // Another order of rows does not matter, a missing one does.
    let shuffled = case.write("b.csv", "VolumeName,text\nz,Cardiomegaly and hiatal hernia.\nx,Emphysema.\n");
    assert_eq!(compare(&shuffled, Truth::Labels(out.clone()), "text").unwrap().scores.micro().f1, 1.0);
    let stranger = case.write("c.csv", "VolumeName,text\nw,Emphysema.\n");
    let error = compare(&stranger, Truth::Labels(out), "text").unwrap_err().to_string();
    assert!(error.contains("row 2") && error.contains("no labels for its id"), "{error}");
}

#[test]
fn what_cannot_be_used_is_named() {
    let case = Case::new();
    let long = format!("gt,pred\n\"{}\",x\n", "no nodule and effusion is seen , ".repeat(31_250));
    let huge = case.write("huge.csv", long);
    assert_eq!(compare(&huge, reference(), "pred").unwrap().scores.reports(), 1);
    let bad: [(&str, &[u8], &str); 8] = [
        ("columns.csv", b"id,report\n1,x\n", "no column \"pred\"; it has \"id\", \"report\""),
        ("semicolons.csv", b"id;gt;pred\n1;x;y\n", "something else than commas"),
        ("twice.csv", b"gt,pred,pred\nx,y,z\n", "two columns \"pred\""),
        ("latin.csv", b"gt,pred\nx,y\nx,na\xefve\n", "row 3, column \"pred\": byte 3 is not UTF-8"),
        ("short.csv", b"gt,pred\nx,y\nx\n", "row 3 has 1 fields, and the header has 2"),
        ("quote.csv", b"gt,pred\nx,\"y\nx,y\n", ""),
        ("empty.csv", b"", "it is empty"),
        ("header.csv", b"gt,pred\n", "no rows"),
    ];
    for (name, content, said) in bad {
        let file = case.write(name, content);
        match compare(&file, reference(), "pred") {
            Err(error) => assert!(error.to_string().contains(said) && error.code() == 41, "{name}: {error}"),
            Ok(comparison) => assert!(said.is_empty(), "{name}: {comparison:?}"),
        }
    }
    let nowhere = compare(&case.folder.path().join("none.csv"), reference(), "pred").unwrap_err();
    assert!(nowhere.to_string().contains("no such file"), "{nowhere}");
    let labels = case.write("labels.csv", "id,Emphysema\n1,1\n");
    let file = case.write("d.csv", "id,gt,pred\n1,x,y\n");
    let error = compare(&file, Truth::Labels(labels), "pred").unwrap_err().to_string();
    assert!(error.contains("lacks the label columns") && error.contains("Cardiomegaly"), "{error}");
    let header = format!("id,{}\n", FINDINGS.join(","));
    for (rows, said) in [
        ("1,2,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0\n".to_owned(), "neither 0 nor 1"),
        (format!("1{0}\n1{0}\n", ",0".repeat(18)), "id of a row before"),
    ] {
        let labels = case.write("wrong.csv", header.clone() + &rows);
        let error = compare(&file, Truth::Labels(labels), "pred").unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    // Nothing is left behind where labels cannot be made.
    let out = case.folder.path().join("out.csv");
    let latin = case.folder.path().join("latin.csv");
    let error = label(&latin, "pred", None, &builtin(), &out, &CancelToken::default(), |_| {}).unwrap_err();
    assert!(error.to_string().contains("row 3") && !out.exists(), "{error}");
}
