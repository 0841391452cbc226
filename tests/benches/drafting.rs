//! How many tokens a run of the decoder gives, replayed on real region reports: a decoder that would write exactly these
//! texts, with drafts from phrases of other patients' reports.
//!
//! `cargo xtask bench drafting`; needs the region reports of `shared/data` and its LLaMA-2 tokenizer.

mod replay;

use std::collections::BTreeMap;

use diffvp::package::PhraseBank;

use replay::{Text, held_out_scans, replay, replay_at_once};

/// What a run of so many rows costs, where one row costs 1.
struct Curve {
    name: &'static str,
    costs: [(usize, f64); 8],
}

/// `cargo xtask bench decode -- --shape tiny-llama --block 128`, column by column.
const CURVES: [Curve; 2] = [
    Curve {
        name: "own kernels",
        costs: [(1, 1.0), (2, 1.06), (3, 1.14), (4, 1.28), (6, 1.55), (8, 1.81), (12, 2.62), (16, 3.2)],
    },
    Curve {
        name: "ONNX Runtime",
        costs: [(1, 1.0), (2, 1.09), (3, 1.31), (4, 1.5), (6, 1.94), (8, 2.35), (12, 3.16), (16, 4.09)],
    },
];

impl Curve {
    fn cost(&self, rows: usize) -> f64 {
        let above = self.costs.iter().position(|c| c.0 >= rows).unwrap_or(self.costs.len() - 1);
        let (b, high) = self.costs[above];
        let (a, low) = self.costs[above.saturating_sub(1)];
        if a == b { high } else { low + (high - low) * (rows as f64 - a as f64) / (b - a) as f64 }
    }
}

fn main() {
    let Some((texts, bank)) = replay::open() else { return };
    println!("{} phrases of other patients", bank.len());
    for (what, of) in
        [("reports of a model", (|t| &t.predicted) as fn(&Text) -> &Vec<u32>), ("real reports", |t| &t.real)]
    {
        let held_out: Vec<(usize, &Vec<u32>)> =
            texts.iter().filter(|t| !t.for_phrases && of(t).len() > 1).map(|t| (t.region, of(t))).collect();
        let tokens: usize = held_out.iter().map(|(_, text)| text.len()).sum();
        println!("\n{what}: {} regions, {tokens} tokens with their ends\n", held_out.len());
        print!("| proposed, at most | proposals that were right | tokens a run |");
        CURVES.iter().for_each(|curve| print!(" faster with {} |", curve.name));
        println!("\n|---|---|---|{}", "---|".repeat(CURVES.len()));
        for most in [0, 1, 2, 3, 5, 7] {
            let mut runs: BTreeMap<usize, usize> = BTreeMap::new();
            let (mut proposed, mut right) = (0, 0);
            for (region, text) in &held_out {
                replay(&bank, *region, text, most, |draft, accepted| {
                    *runs.entry(1 + draft).or_default() += 1;
                    proposed += draft;
                    right += accepted;
                });
            }
            let all: usize = runs.values().sum();
            print!(
                "| {most} | {:.0} % | {:.2} |",
                100.0 * right as f64 / (proposed as f64).max(1.0),
                tokens as f64 / all as f64
            );
            for curve in &CURVES {
                let cost: f64 = runs.iter().map(|(rows, count)| *count as f64 * curve.cost(*rows)).sum();
                print!(" {:.2} |", tokens as f64 / cost);
            }
            println!();
        }
        at_once(&bank, &held_out_scans(&texts, of), tokens);
    }
}

/// The table of all sections of a scan at once.
fn at_once(bank: &PhraseBank, scans: &[Vec<(usize, &Vec<u32>)>], tokens: usize) {
    let curve = &CURVES[0];
    println!("\nall sections at once: {} scans\n", scans.len());
    println!(
        "| proposed for each, at most | rows a run | tokens a run | faster with {} |\n|---|---|---|---|",
        curve.name
    );
    for most in [0, 1, 2, 3, 5] {
        let (mut runs, mut rows, mut cost) = (0, 0, 0.0);
        for texts in scans {
            replay_at_once(bank, texts, most, |of_run| {
                runs += 1;
                rows += of_run;
                cost += curve.cost(of_run);
            });
        }
        let (rows, rate) = (rows as f64 / runs as f64, tokens as f64 / runs as f64);
        println!("| {most} | {rows:.2} | {rate:.2} | {:.2} |", tokens as f64 / cost);
    }
}
