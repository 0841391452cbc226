//! Region reports of real scans, and what a model wrote for them, replayed as if a decoder picked exactly their tokens, with drafts
//! from the phrases of other patients' reports.

use std::collections::BTreeMap;
use std::path::Path;

use diffvp::package::PhraseBank;
use diffvp_tests::shared_data;
use diffvp_train::labels::REGIONS;
use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;

/// Ends each text.
const END: u32 = 2;

/// Rows of a run with drafts, at most.
const MOST_ROWS: usize = 16;

/// One region of one scan.
pub(crate) struct Text {
    scan: String,
    pub(crate) region: usize,
    /// Whether its patient is one of those whose reports make the phrases.
    pub(crate) for_phrases: bool,
    pub(crate) real: Vec<u32>,
    pub(crate) predicted: Vec<u32>,
}

/// All texts, and the phrases of one half of the patients; none where there are no data.
pub(crate) fn open() -> Option<(Vec<Text>, PhraseBank)> {
    let data = shared_data()?;
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
    Some((texts, bank))
}

/// The texts of each scan that makes no phrases.
pub(crate) fn held_out_scans(texts: &[Text], of: fn(&Text) -> &Vec<u32>) -> Vec<Vec<(usize, &Vec<u32>)>> {
    let mut scans: BTreeMap<&str, Vec<(usize, &Vec<u32>)>> = BTreeMap::new();
    for text in texts.iter().filter(|text| !text.for_phrases && of(text).len() > 1) {
        scans.entry(&text.scan).or_default().push((text.region, of(text)));
    }
    scans.into_values().collect()
}

/// A text that a decoder writes which picks exactly its tokens.
struct Replay<'a> {
    bank: &'a PhraseBank,
    text: &'a [u32],
    /// Tokens written.
    at: usize,
    /// They, behind the mark of their region.
    context: Vec<u32>,
}

impl<'a> Replay<'a> {
    fn new(bank: &'a PhraseBank, region: usize, text: &'a [u32]) -> Self {
        Replay { bank, text, at: 0, context: vec![bank.start(region)] }
    }

    fn is_open(&self) -> bool {
        self.at < self.text.len()
    }

    /// A run with at most so many tokens proposed: how many were, and how many of them were right.
    fn run(&mut self, most: usize) -> (usize, usize) {
        let known = self.context.len();
        while self.context.len() - known < most {
            match self.bank.next(&self.context).filter(|guess| guess.token != END) {
                Some(guess) => self.context.push(guess.token),
                None => break,
            }
        }
        let draft = self.context.split_off(known);
        let right = draft.iter().zip(&self.text[self.at..]).take_while(|(a, b)| a == b).count();
        let end = (self.at + right + 1).min(self.text.len());
        self.context.extend(&self.text[self.at..end]);
        self.at = end;
        (draft.len(), right)
    }
}

/// Writes a text, and tells of each run how many tokens were proposed and right.
pub(crate) fn replay(
    bank: &PhraseBank,
    region: usize,
    text: &[u32],
    most: usize,
    mut on_run: impl FnMut(usize, usize),
) {
    let mut replay = Replay::new(bank, region, text);
    while replay.is_open() {
        let (proposed, right) = replay.run(most);
        on_run(proposed, right);
    }
}

/// Writes texts beside each other, and tells how many rows each run has.
pub(crate) fn replay_at_once(
    bank: &PhraseBank,
    texts: &[(usize, &Vec<u32>)],
    most: usize,
    mut on_run: impl FnMut(usize),
) {
    let mut open: Vec<Replay<'_>> = texts.iter().map(|(region, text)| Replay::new(bank, *region, text)).collect();
    while !open.is_empty() {
        let mut rows = open.len();
        for replay in &mut open {
            rows += replay.run(most.min(MOST_ROWS.saturating_sub(rows))).0;
        }
        on_run(rows);
        open.retain(Replay::is_open);
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
