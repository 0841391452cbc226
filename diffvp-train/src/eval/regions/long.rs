//! The long layout of RadGenome-ChestCT: one row a sentence, with the columns `Volumename`, `Anatomy`, `Sentence`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Result;
use crate::eval::text::{Pair, PairSource};

/// Text by volume and region. An empty anatomy means the whole scan; it is the region `""`.
pub type LongTable = BTreeMap<String, BTreeMap<String, String>>;

/// Reads a table in the long layout.
///
/// Of several rows with one volume and anatomy the last is kept, as in the lineage. An anatomy may be a path such as
/// `lung/left lung/…`; texts of one top region are joined by a space, in the order of the rows.
///
/// # Errors
/// As [`PairSource::open`].
pub fn read_long(path: &Path) -> Result<LongTable> {
    let source = PairSource {
        path: path.to_path_buf(),
        reference: "Anatomy".into(),
        prediction: "Sentence".into(),
        references: None,
        id: Some("Volumename".into()),
    };
    // The row in which an anatomy stands first decides the order, the row in which it stands last the text.
    let mut rows: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for row in source.open()? {
        let Pair { id, reference: anatomy, prediction: sentence, .. } = row?;
        let rows = rows.entry(id.unwrap_or_default()).or_default();
        match rows.iter_mut().find(|(known, _)| *known == anatomy) {
            Some((_, text)) => *text = sentence,
            None => rows.push((anatomy, sentence)),
        }
    }
    let mut table = LongTable::new();
    for (volume, rows) in rows {
        let regions = table.entry(volume).or_default();
        for (anatomy, sentence) in rows {
            let region = anatomy.split('/').next().unwrap_or_default().trim().to_owned();
            let text = regions.entry(region).or_default();
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(sentence.trim());
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_row_counts_and_paths_belong_to_their_top() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long.csv");
        let text = "Volumename,Anatomy,Sentence\nv1,lung,First.\nv1,,Whole.\nv1,lung/left lung,Second.\nv1,lung,Changed.\nv2,bone,B.\n";
        std::fs::write(&path, text).unwrap();
        let table = read_long(&path).unwrap();
        assert_eq!(table["v1"]["lung"], "Changed. Second.");
        assert_eq!((table["v1"][""].as_str(), table.len()), ("Whole.", 2));
    }
}
