//! Statistics against NumPy and SciPy.

use diffvp_tests::golden_file;
use diffvp_train::eval::statistics::{
    TTest, mean, paired_bootstrap, paired_t_test, standard_deviation, welch_t_test, wilson,
};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(&std::fs::read_to_string(golden_file("evaluation/statistics.json")).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn close(ours: f64, theirs: f64, what: &str) {
    assert!((ours - theirs).abs() <= 1e-9 * theirs.abs().max(1e-9), "{what}: {ours}, not {theirs}");
}

fn same_test(ours: TTest, theirs: &Value, what: &str) {
    for (ours, theirs) in [ours.t, ours.degrees, ours.p].into_iter().zip(numbers(theirs)) {
        close(ours, theirs, what);
    }
}

#[test]
fn tests_and_intervals_are_scipys() {
    let golden = golden();
    let mut paired = 0;
    for case in golden["cases"].as_array().unwrap() {
        let (a, b) = (numbers(&case["a"]), numbers(&case["b"]));
        close(mean(&a), case["mean"].as_f64().unwrap(), "mean");
        close(standard_deviation(&a, 1), case["std"].as_f64().unwrap(), "standard deviation");
        same_test(welch_t_test(&a, &b).unwrap(), &case["welch"], "Welch");
        if a.len() == b.len() {
            let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| b - a).collect();
            same_test(paired_t_test(&differences).unwrap(), &case["paired"], "paired");
            let interval = paired_bootstrap(&differences, 2000, 0.95, 7).unwrap();
            let expected = numbers(&case["bootstrap"]);
            close(interval.low, expected[0], "lower bound");
            close(interval.high, expected[1], "upper bound");
            paired += 1;
        }
    }
    assert_eq!(paired, 4);
}

#[test]
fn wilson_intervals_are_scipys() {
    for row in golden()["wilson"].as_array().unwrap() {
        let row = numbers(row);
        let interval = wilson(row[0] as u64, row[1] as u64, 0.95).unwrap();
        close(interval.low, row[2], "lower bound");
        close(interval.high, row[3], "upper bound");
    }
}
