//! What reports of phantoms state, against the truth.

use serde::Serialize;

use super::Reported;
use crate::Result;
use crate::eval::clinical::{Counts, Labels, Scores};
use crate::eval::statistics::mean;
use crate::eval::text::{Metric, Pair, ScoreOptions, score_pairs};
use crate::labels::FINDINGS;
use crate::statement::{Statement, statements};
use crate::synth::{Finding, Lobe, Truth};

/// How often something is right, and how often it would be by chance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Rate {
    /// Right answers.
    pub right: u64,
    /// All answers.
    pub all: u64,
    /// Sum of the answers' chances to be right without looking.
    pub by_chance: f64,
}

impl Rate {
    fn add(&mut self, right: bool, chance: f64) {
        self.right += u64::from(right);
        self.all += 1;
        self.by_chance += chance;
    }

    /// Part of the answers that are right; 0 without answers.
    pub fn value(&self) -> f64 {
        self.right as f64 / self.all.max(1) as f64
    }

    /// Part that would be right by chance.
    pub fn chance(&self) -> f64 {
        self.by_chance / self.all.max(1) as f64
    }
}

/// Scores of the reports of one seed.
#[derive(Debug, Clone, PartialEq)]
pub struct PhantomScores {
    /// Reports; refused scans are among them, with nothing found.
    pub reports: u64,
    /// Scans that were refused.
    pub refused: u64,
    /// Findings that the reports state.
    pub stated: Scores,
    /// F1 of each report's own findings, in the order of the reports; 1 where neither it nor the truth has any.
    pub report_f1: Vec<f64>,
    /// Findings that the classifier alone takes as present.
    pub classifier: Scores,
    /// Sides of statements on findings that are there and have a side: right where the finding is on each side stated.
    pub sides: Rate,
    /// Lobes of such statements: right where one finding is in this lobe of this side.
    pub lobes: Rate,
    /// |stated − true| in mm, of statements with a size on findings that are there.
    pub size_errors_mm: Vec<f64>,
    /// The same over the true size.
    pub size_errors_relative: Vec<f64>,
    /// Mean BLEU-4 of the reports' texts without headings.
    pub bleu_4: f64,
    /// Mean ROUGE-L of them.
    pub rouge_l: f64,
    /// Mean time for a report, in milliseconds.
    pub milliseconds: f64,
    /// Mean time for reading prompts and writing texts, in milliseconds.
    pub writing_milliseconds: f64,
}

/// Scores reports.
///
/// # Errors
/// [`Error::Incomparable`](crate::Error::Incomparable) without reports.
pub fn score(name: &str, reports: &[Reported]) -> Result<PhantomScores> {
    let mut pairs = Vec::new();
    let mut scores = PhantomScores {
        reports: reports.len() as u64,
        refused: reports.iter().filter(|r| r.refused.is_some()).count() as u64,
        stated: Scores::default(),
        report_f1: Vec::with_capacity(reports.len()),
        classifier: Scores::default(),
        sides: Rate::default(),
        lobes: Rate::default(),
        size_errors_mm: Vec::new(),
        size_errors_relative: Vec::new(),
        bleu_4: 0.0,
        rouge_l: 0.0,
        milliseconds: mean(&reports.iter().map(|r| r.milliseconds).collect::<Vec<_>>()),
        writing_milliseconds: mean(&reports.iter().map(|r| r.writing_milliseconds).collect::<Vec<_>>()),
    };
    for reported in reports {
        let truth: Labels = reported.truth.labels().map(|l| l == 1);
        let statements = statements(reported.sections.iter().map(|(region, text)| (region.as_str(), text.as_str())));
        let mut stated: Labels = [false; 18];
        for statement in &statements {
            stated[statement.finding] = true;
            scores.places_and_size(statement, &reported.truth);
        }
        scores.stated.add(&truth, &stated);
        let mut own = Scores::default();
        own.add(&truth, &stated);
        let nothing = own.total() == Counts::default();
        scores.report_f1.push(if nothing { 1.0 } else { own.micro().f1 });
        scores.classifier.add(&truth, &reported.classifier);
        let prediction: Vec<&str> = reported.sections.iter().map(|(_, text)| text.as_str()).collect();
        let reference: Vec<String> = crate::synth::report(&reported.truth).into_iter().map(|r| r.text).collect();
        pairs.push(Pair {
            row: pairs.len() as u64 + 1,
            id: Some(reported.truth.name.clone()),
            reference: reference.join(" "),
            prediction: prediction.join(" "),
        });
    }
    let texts = score_pairs(name, &pairs, &ScoreOptions::default())?;
    let of = |metric| texts.values(metric).map_or(0.0, |values| mean(&values));
    (scores.bleu_4, scores.rouge_l) = (of(Metric::Bleu(4)), of(Metric::RougeL));
    Ok(scores)
}

impl PhantomScores {
    fn places_and_size(&mut self, statement: &Statement, truth: &Truth) {
        let there: Vec<&Finding> = truth.of(FINDINGS[statement.finding]).collect();
        if there.is_empty() {
            return;
        }
        let on = |f: &Finding, side: usize| f.side.is_some_and(|s| s.word() == ["right", "left"][side]);
        let stated_sides: Vec<usize> = (0..2).filter(|&s| statement.sides[s]).collect();
        let sided = there.iter().all(|f| f.side.is_some());
        if sided && !stated_sides.is_empty() {
            let true_sides = (0..2).filter(|&s| there.iter().any(|f| on(f, s))).count();
            let right = stated_sides.iter().all(|&s| there.iter().any(|f| on(f, s)));
            self.sides.add(right, true_sides as f64 / 2.0);
        }
        let lobes = [Lobe::Upper, Lobe::Middle, Lobe::Lower];
        let stated_lobes: Vec<usize> = (0..3).filter(|&l| statement.lobes[l]).collect();
        let in_lobe = |f: &Finding, l: usize| f.lobe == Some(lobes[l]);
        let in_place = |f: &Finding| {
            (stated_sides.is_empty() || stated_sides.iter().any(|&s| on(f, s)))
                && (stated_lobes.is_empty() || stated_lobes.iter().any(|&l| in_lobe(f, l)))
        };
        if there.iter().all(|f| f.lobe.is_some()) && !stated_lobes.is_empty() {
            // Of five lobes, those that hold one.
            let mut held: Vec<_> = there.iter().map(|f| (f.side, f.lobe)).collect();
            held.sort_by_key(|place| format!("{place:?}"));
            held.dedup();
            self.lobes.add(there.iter().any(|f| in_place(f)), held.len() as f64 / 5.0);
        }
        if let Some(mm) = statement.size_mm {
            let placed: Vec<&&Finding> = there.iter().filter(|f| in_place(f)).collect();
            let candidates = if placed.is_empty() { there.iter().collect() } else { placed };
            let error = |f: &Finding| (f64::from(mm) - f.size_mm).abs();
            if let Some(nearest) = candidates.into_iter().min_by(|a, b| error(a).total_cmp(&error(b))) {
                self.size_errors_mm.push(error(nearest));
                self.size_errors_relative.push(error(nearest) / nearest.size_mm.max(1.0));
            }
        }
    }
}

/// The middle value; 0 without values.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::{PhantomOptions, report, truth};

    fn reported(index: u64, text: impl Fn(&Truth) -> Vec<(String, String)>) -> Reported {
        let truth = truth(11, index, &PhantomOptions::default()).unwrap();
        Reported {
            package: String::new(),
            sections: text(&truth),
            classifier: truth.labels().map(|l| l == 1),
            truth,
            warnings: Vec::new(),
            refused: None,
            milliseconds: 1.0,
            writing_milliseconds: 0.5,
        }
    }

    fn own(truth: &Truth) -> Vec<(String, String)> {
        report(truth).into_iter().map(|r| (r.region.to_owned(), r.text)).collect()
    }

    #[test]
    fn true_reports_score_one_and_mirrored_ones_have_no_side_right() {
        let right: Vec<Reported> = (0..60).map(|i| reported(i, own)).collect();
        let scores = score("true", &right).unwrap();
        assert_eq!(scores.stated.micro().f1, 1.0);
        assert_eq!((scores.sides.value(), scores.lobes.value()), (1.0, 1.0));
        assert!(scores.sides.all > 30 && scores.sides.chance() < 0.75, "{:?}", scores.sides);
        assert!(scores.size_errors_mm.iter().all(|mm| *mm <= 0.5), "rounding to whole mm only");
        assert_eq!((scores.bleu_4, scores.rouge_l), (1.0, 1.0));

        let mirror = |truth: &Truth| {
            let swap = |t: String| t.replace("right", "LEFT").replace("left", "right").replace("LEFT", "left");
            own(truth).into_iter().map(|(region, text)| (region, swap(text))).collect()
        };
        let mirrored: Vec<Reported> = (0..60).map(|i| reported(i, mirror)).collect();
        let scores = score("mirrored", &mirrored).unwrap();
        assert_eq!(scores.stated.micro().f1, 1.0);
        assert!(scores.sides.value() < 2.0 * (scores.sides.chance() - 0.5) + 0.05, "{:?}", scores.sides);
    }

    #[test]
    fn a_report_of_another_scan_is_near_chance() {
        let wrong: Vec<Reported> = (0..200)
            .map(|i| Reported { sections: own(&truth(12, i, &PhantomOptions::default()).unwrap()), ..reported(i, own) })
            .collect();
        let scores = score("wrong", &wrong).unwrap();
        assert!(scores.stated.micro().f1 < 0.35, "{:?}", scores.stated.micro());
        assert!((scores.sides.value() - scores.sides.chance()).abs() < 0.15, "{:?}", scores.sides);
    }
}
