//! How many tokens a run of the decoder gives, replayed on real region reports: a decoder that would write exactly these
//! texts, with drafts from phrases of other patients' reports.
//!
//! `cargo xtask bench drafting`; needs the region reports of `shared/data` and its LLaMA-2 tokenizer.

use std::collections::BTreeMap;
use std::path::Path;

use diffvp::package::PhraseBank;
use diffvp_tests::shared_data;
use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;

const REGIONS: [&str; 10] = [
    "abdomen",
    "bone",
    "breast",
    "esophagus",
    "heart",
    "lung",
    "mediastinum",
    "pleura",
    "thyroid",
    "trachea and bronchie",
];
const END: u32 = 2;

/// What a run of so many rows costs, where one row costs 1.
struct Curve {
    name: &'static str,
    costs: [(usize, f64); 8],
}

/// Rows of a run with drafts, at most.
const MOST_ROWS: usize = 16;

/// `cargo xtask bench decode -- --shape tiny-llama --block 128`, column by column.
const CURVES: [Curve; 2] = [
    Curve { name: "own kernels", costs: [(1, 1.0), (2, 1.0), (3, 1.09), (4, 1.19), (6, 1.42), (8, 1.7)] },
    Curve { name: "ONNX Runtime", costs: [(1, 1.0), (2, 1.17), (3, 1.58), (4, 1.89), (6, 2.52), (8, 3.2)] },
];

impl Curve {
    fn cost(&self, rows: usize) -> f64 {
        let above = self.costs.iter().position(|c| c.0 >= rows).unwrap_or(self.costs.len() - 1);
        let (b, high) = self.costs[above];
        let (a, low) = self.costs[above.saturating_sub(1)];
        if a == b { high } else { low + (high - low) * (rows as f64 - a as f64) / (b - a) as f64 }
    }
}

/// One region of one scan.
struct Text {
    scan: String,
    region: usize,
    /// Whether its patient is one of those whose reports make the phrases.
    for_phrases: bool,
    real: Vec<u32>,
    predicted: Vec<u32>,
}

fn main() {
    let Some(data) = shared_data() else { return };
    let tokenizer = Tokenizer::from_file(data.join("llm/tokenizer.json")).expect("a tokenizer");
    let texts: Vec<Text> = REGIONS
        .iter()
        .enumerate()
        .flat_map(|(region, name)| {
            let path = data.join(format!("reports/reg2rg_radgenome/{name}_reports.csv"));
            read(&path, region, &tokenizer)
        })
        .collect();
    let phrases = texts.iter().filter(|t| t.for_phrases).map(|t| (t.region, t.real.clone()));
    let bank = PhraseBank::new(phrases, tokenizer.get_vocab_size(true), 1 << 20).expect("phrases");
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

/// The texts of each scan that makes no phrases.
fn held_out_scans(texts: &[Text], of: fn(&Text) -> &Vec<u32>) -> Vec<Vec<(usize, &Vec<u32>)>> {
    let mut scans: BTreeMap<&str, Vec<(usize, &Vec<u32>)>> = BTreeMap::new();
    for text in texts.iter().filter(|text| !text.for_phrases && of(text).len() > 1) {
        scans.entry(&text.scan).or_default().push((text.region, of(text)));
    }
    scans.into_values().collect()
}

/// The table of all sections of a scan at once.
fn at_once(bank: &PhraseBank, scans: &[Vec<(usize, &Vec<u32>)>], tokens: usize) {
    let curve = &CURVES[0];
    println!("\nall sections at once: {} scans\n", scans.len());
    println!("| proposed for each, at most | rows a run | tokens a run | faster with {} |\n|---|---|---|---|", curve.name);
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

/// Writes texts beside each other, as [`replay`] writes one, and tells how many rows each run has.
fn replay_at_once(bank: &PhraseBank, texts: &[(usize, &Vec<u32>)], most: usize, mut on_run: impl FnMut(usize)) {
    let mut open: Vec<(Vec<u32>, usize, &Vec<u32>)> =
        texts.iter().map(|(region, text)| (vec![bank.start(*region)], 0, *text)).collect();
    while !open.is_empty() {
        let mut rows = open.len();
        for (context, at, text) in &mut open {
            let draft = draft(bank, context, most.min(MOST_ROWS.saturating_sub(rows)));
            rows += draft.len();
            let right = draft.iter().zip(&text[*at..]).take_while(|(a, b)| a == b).count();
            let end = (*at + right + 1).min(text.len());
            context.extend(&text[*at..end]);
            *at = end;
        }
        on_run(rows);
        open.retain(|(_, at, text)| *at < text.len());
    }
}

/// What the phrases have behind a context, without an end.
fn draft(bank: &PhraseBank, context: &mut Vec<u32>, most: usize) -> Vec<u32> {
    let known = context.len();
    while context.len() - known < most {
        match bank.next(context).filter(|guess| guess.token != END) {
            Some(guess) => context.push(guess.token),
            None => break,
        }
    }
    context.split_off(known)
}

/// Writes a text as a decoder does that picks exactly its tokens, and tells of each run how many tokens were proposed and right.
fn replay(bank: &PhraseBank, region: usize, text: &[u32], most: usize, mut on_run: impl FnMut(usize, usize)) {
    let mut context = vec![bank.start(region)];
    let mut at = 0;
    while at < text.len() {
        let draft = draft(bank, &mut context, most);
        let right = draft.iter().zip(&text[at..]).take_while(|(a, b)| a == b).count();
        on_run(draft.len(), right);
        let end = (at + right + 1).min(text.len());
        context.extend(&text[at..end]);
        at = end;
    }
}

fn read(path: &Path, region: usize, tokenizer: &Tokenizer) -> Vec<Text> {
    let mut table = csv::Reader::from_path(path).expect("region reports");
    let rows = table.records().map(|row| row.expect("a row"));
    let ids = |text: &str| {
        let mut ids = tokenizer.encode(format!(" {text}"), false).expect("tokens").get_ids().to_vec();
        ids.push(END);
        ids
    };
    // `valid_649_a_1.nii.gz`: the patient is `valid_649`.
    let patient = |name: &str| name.split('_').take(2).collect::<Vec<_>>().join("_");
    rows.map(|row| Text {
        scan: row[0].to_owned(),
        region,
        for_phrases: Sha256::digest(patient(&row[0])).as_slice()[0].is_multiple_of(2),
        real: ids(&row[1]),
        predicted: ids(&row[2]),
    })
    .collect()
}
