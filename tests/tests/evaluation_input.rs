//! Bad tables: a clear error or a listed warning, never a skipped report.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use diffvp_train::Error;
use diffvp_train::eval::statistics::{Side, compare};
use diffvp_train::eval::text::{Evaluation, Metric, PairSource, ScoreOptions, score};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn source(&self, name: &str, bytes: impl AsRef<[u8]>) -> PairSource {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        PairSource { path, reference: "ref".into(), prediction: "pred".into(), references: None, id: None }
    }
}

fn run(source: &PairSource) -> Result<Evaluation, Error> {
    score(source, &ScoreOptions::default(), &|_| ())
}

fn message(source: &PairSource) -> String {
    let error = run(source).unwrap_err();
    assert_eq!(error.code(), 41, "{error}");
    error.to_string()
}

#[test]
fn a_missing_column_is_named_with_those_that_are_there() {
    let folder = Folder::new();
    let message = message(&folder.source("t.csv", "id,ref,prediction\n1,a,b\n"));
    assert!(message.contains("no column `pred`") && message.contains("`id`, `ref`, `prediction`"), "{message}");
}

#[test]
fn an_empty_text_scores_zero_and_is_counted() {
    let folder = Folder::new();
    let evaluation = run(&folder.source("t.csv", "ref,pred\na b c d,a b c d\na b c e,\n,x\nf g,\" \n\"\n")).unwrap();
    assert_eq!(evaluation.reports.len(), 4);
    for metric in Metric::ALL.into_iter().filter(|&metric| metric != Metric::Meteor) {
        let values = evaluation.values(metric).unwrap();
        assert!(values[0] > 0.0 && values[1..] == [0.0, 0.0, 0.0], "{metric:?}: {values:?}");
    }
    let warnings = evaluation.warnings.join("\n");
    assert!(warnings.contains("2 of 4 rows have an empty prediction, which scores 0 (row 2, 4)"), "{warnings}");
    assert!(warnings.contains("1 of 4 rows have an empty reference"), "{warnings}");
    assert!(warnings.contains("wordnet-base"), "{warnings}");
}

#[test]
fn rows_of_another_length_are_named() {
    let folder = Folder::new();
    let message = message(&folder.source("t.csv", "ref,pred\na,b\nc,d,e\n"));
    assert!(message.contains("row 2 (line 3) has 3 cells, the header 2"), "{message}");
}

#[test]
fn references_in_another_table_must_be_in_step() {
    let folder = Folder::new();
    let references = folder.source("refs.csv", "ref\na\nb\nc\n").path;
    let mut source = folder.source("t.csv", "pred\na\nb\n");
    source.references = Some(references.clone());
    let shorter = message(&source);
    assert!(shorter.contains("2 rows") && shorter.contains("refs.csv has 3"), "{shorter}");
    let mut equal = folder.source("t.csv", "pred\na\nb\nx\n");
    equal.references = Some(references);
    assert_eq!(run(&equal).unwrap().values(Metric::RougeL).unwrap(), [1.0, 1.0, 0.0]);
}

#[test]
fn text_that_is_not_utf_8_is_named_by_row() {
    let folder = Folder::new();
    let message = message(&folder.source("t.csv", b"ref,pred\na,b\nc,d\xff\n"));
    assert!(message.contains("row 2, column `pred`: byte 2"), "{message}");
}

#[test]
fn quotes_and_line_feeds_in_cells_are_text() {
    let folder = Folder::new();
    let source = folder.source("t.csv", "\u{feff}ref,pred\r\n\"a \"\"b\"\",\nc\",\"a \"\"b\"\",\nc\"\r\nd,d\r\n");
    let pairs: Vec<_> = source.open().unwrap().map(Result::unwrap).collect();
    assert_eq!((pairs.len(), pairs[0].reference.as_str()), (2, "a \"b\",\nc"));
    assert_eq!(run(&source).unwrap().values(Metric::RougeL).unwrap(), [1.0, 1.0]);
    let open = message(&folder.source("open.csv", "ref,pred\na,b\nc,\"d\ne,f\ng,h\n"));
    assert!(open.contains("row 2") && open.contains("never ends"), "{open}");
}

#[test]
fn repeated_identifiers_are_a_warning_and_refused_in_comparisons() {
    let folder = Folder::new();
    let evaluation = run(&folder.source("t.csv", "AccNum,ref,pred\nx,a,b\ny,c,d\nx,e,f\n")).unwrap();
    assert_eq!(evaluation.reports.len(), 3);
    let warning = evaluation.warnings.iter().find(|w| w.contains("repeat")).unwrap();
    assert!(warning.contains("(row 3)") && !warning.contains('x'), "{warning}");
    let side = |name: &str| Side { name: name.into(), runs: vec![evaluation.clone()] };
    let error = compare(&side("a"), &side("b")).unwrap_err();
    assert!(error.code() == 43 && error.to_string().contains("repeats"), "{error}");
}

#[test]
fn comparisons_match_reports_by_identifier_and_check_references() {
    let folder = Folder::new();
    let side = |name: &str, text: &str| {
        let evaluation = run(&folder.source(name, text)).unwrap();
        Side { name: name.into(), runs: vec![evaluation] }
    };
    let a = side("a.csv", "id,ref,pred\n1,a b,a b\n2,c d,x\n3,e f,e f\n");
    let b = side("b.csv", "id,ref,pred\n3,e f,e f\n1,a b,x\n2,c d,c d\n");
    let rouge = compare(&a, &b).unwrap().into_iter().find(|c| c.metric == "ROUGE-L").unwrap();
    assert_eq!(rouge.difference.unwrap().value, 0.0);
    let other = side("c.csv", "id,ref,pred\n1,a b,a b\n2,another,x\n3,e f,e f\n");
    let error = compare(&a, &other).unwrap_err().to_string();
    assert!(error.contains("rows 2 and 2 are different texts"), "{error}");
    let shorter = side("d.csv", "id,ref,pred\n1,a b,a b\n");
    assert!(compare(&a, &shorter).unwrap_err().to_string().contains("3 and 1 reports"));
}

#[test]
fn no_table_is_an_error() {
    let folder = Folder::new();
    assert!(message(&folder.source("empty.csv", "")).contains("no header"));
    assert!(message(&folder.source("head.csv", "ref,pred\n")).contains("no rows"));
    assert!(message(&folder.source("twice.csv", "ref,pred,pred\na,b,c\n")).contains("two columns"));
    let mut source = folder.source("t.csv", "ref,pred\na,b\n");
    source.path = PathBuf::from(folder.0.path());
    assert!(message(&source).contains("not a file"));
    source.path = folder.0.path().join("absent.csv");
    assert_eq!(run(&source).unwrap_err().code(), 41);
}

/// Anything quadratic in the length takes hours here.
#[test]
fn a_report_of_a_million_characters_is_scored_in_seconds() {
    let folder = Folder::new();
    let words: Vec<String> = (0..200_000u32).map(|i| format!("{}", i.wrapping_mul(2_654_435_761) % 997)).collect();
    let long = words.join(" ");
    let marks = "?!. ".repeat(250_000);
    let mut table = String::from("ref,pred\n");
    for (a, b) in
        [(&long, &long[500..]), (&marks, &long), (&long, "short"), (&"a.".repeat(500_000), &"'".repeat(1_000_000))]
    {
        table += &format!("{a},{b}\n");
    }
    let start = Instant::now();
    let evaluation = run(&folder.source("t.csv", table)).unwrap();
    assert_eq!(evaluation.reports.len(), 4);
    assert!(evaluation.reports[0].rouge[2].f_measure > 0.99);
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
}
