//! Region reports of real scans, and what a model wrote for them, replayed as if a decoder picked exactly their tokens, with drafts
//! from the phrases of other patients' reports.

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

/// Writes texts beside each other, as [`replay`] writes one, and tells how many rows each run has.
pub(crate) fn replay_at_once(
    bank: &PhraseBank,
    texts: &[(usize, &Vec<u32>)],
    most: usize,
    mut on_run: impl FnMut(usize),
) {
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
pub(crate) fn replay(
    bank: &PhraseBank,
    region: usize,
    text: &[u32],
    most: usize,
    mut on_run: impl FnMut(usize, usize),
) {
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
