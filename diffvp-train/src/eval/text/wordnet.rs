//! WordNet 3.0's dictionary files, looked up as NLTK's `wordnet.synsets` does: morphology first, then every part of speech.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Where Debian's package `wordnet-base` puts the dictionary.
pub const DEBIAN_FOLDER: &str = "/usr/share/wordnet";

/// The version METEOR is defined with.
const VERSION: &str = "WordNet 3.0";

/// Endings that NLTK takes off, by part of speech.
const NOUN_ENDINGS: [(&str, &str); 9] = [
    ("s", ""),
    ("ses", "s"),
    ("ves", "f"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
];
const VERB_ENDINGS: [(&str, &str); 8] =
    [("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")];
const ADJECTIVE_ENDINGS: [(&str, &str); 4] = [("er", ""), ("est", ""), ("er", "e"), ("est", "e")];

/// One part of speech.
struct Dictionary {
    /// Offsets of synsets in `data`, by lemma.
    index: HashMap<String, Vec<usize>>,
    /// Base forms of irregular words.
    exceptions: HashMap<String, Vec<String>>,
    data: Vec<u8>,
    endings: &'static [(&'static str, &'static str)],
}

/// The dictionary, in memory (about 50 MB).
pub struct WordNet {
    dictionaries: [Dictionary; 4],
    folder: PathBuf,
    is_version_3_0: bool,
}

impl WordNet {
    /// Reads a folder with WordNet's `index.*`, `data.*` and `*.exc`.
    ///
    /// # Errors
    /// [`Error::WordNet`] naming the file that is missing or is not WordNet's.
    pub fn open(folder: &Path) -> Result<WordNet> {
        let read = |name: &str, endings| Dictionary::read(folder, name, endings);
        let dictionaries = [
            read("noun", &NOUN_ENDINGS[..])?,
            read("verb", &VERB_ENDINGS[..])?,
            read("adj", &ADJECTIVE_ENDINGS[..])?,
            read("adv", &[][..])?,
        ];
        let head = &dictionaries[0].data[..dictionaries[0].data.len().min(4096)];
        let is_version_3_0 = String::from_utf8_lossy(head).contains(VERSION);
        Ok(WordNet { dictionaries, folder: folder.to_path_buf(), is_version_3_0 })
    }

    /// The folder it was read from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the files say that they are of the version METEOR's published values were made with.
    pub fn is_version_3_0(&self) -> bool {
        self.is_version_3_0
    }

    /// Single words that share a synset with a word in lower case; the word itself need not be among them.
    pub(crate) fn synonyms(&self, word: &str) -> HashSet<String> {
        let mut found = HashSet::new();
        for dictionary in &self.dictionaries {
            for form in dictionary.base_forms(word) {
                for &offset in &dictionary.index[&form] {
                    found.extend(dictionary.lemmas(offset).filter(|lemma| !lemma.contains('_')).map(str::to_owned));
                }
            }
        }
        found
    }
}

impl Dictionary {
    fn read(folder: &Path, name: &str, endings: &'static [(&'static str, &'static str)]) -> Result<Dictionary> {
        let file = |name: String| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|error| wordnet_error(&path, &error.to_string()))
        };
        let data = file(format!("data.{name}"))?;
        let index_text = file(format!("index.{name}"))?;
        let mut index = HashMap::new();
        for (number, line) in String::from_utf8_lossy(&index_text).lines().enumerate() {
            if line.starts_with(' ') {
                continue;
            }
            let (lemma, offsets) = index_line(line).ok_or_else(|| {
                wordnet_error(
                    &folder.join(format!("index.{name}")),
                    &format!("line {} is not an index entry", number + 1),
                )
            })?;
            index.insert(lemma, offsets);
        }
        let mut exceptions = HashMap::new();
        for line in String::from_utf8_lossy(&file(format!("{name}.exc"))?).lines() {
            let mut words = line.split_whitespace().map(str::to_owned);
            if let Some(irregular) = words.next() {
                exceptions.insert(irregular, words.collect());
            }
        }
        Ok(Dictionary { index, exceptions, data, endings })
    }

    /// Forms of a word that have an entry: the word itself, then its base forms.
    fn base_forms(&self, word: &str) -> Vec<String> {
        let mut forms = vec![word.to_owned()];
        match self.exceptions.get(word) {
            Some(base) => forms.extend(base.iter().cloned()),
            None => forms
                .extend(self.endings.iter().filter_map(|(old, new)| Some(format!("{}{new}", word.strip_suffix(old)?)))),
        }
        let mut seen = HashSet::new();
        forms.retain(|form| self.index.contains_key(form) && seen.insert(form.clone()));
        forms
    }

    /// Lemmas of the synset at an offset, without the marker of where an adjective stands.
    fn lemmas(&self, offset: usize) -> impl Iterator<Item = &str> {
        let rest = self.data.get(offset..).unwrap_or(&[]);
        let end = rest.iter().position(|&b| b == b'\n' || b == b'|').unwrap_or(rest.len());
        let line = std::str::from_utf8(&rest[..end]).unwrap_or("");
        let mut fields = line.split_ascii_whitespace();
        let at_offset = fields.next().and_then(|number| number.parse().ok()) == Some(offset);
        let count = fields.nth(2).and_then(|count| usize::from_str_radix(count, 16).ok()).filter(|_| at_offset);
        fields.step_by(2).take(count.unwrap_or(0)).map(|lemma| match lemma.strip_suffix(')') {
            Some(marked) => marked.rsplit_once('(').map_or(lemma, |(bare, _)| bare),
            None => lemma,
        })
    }
}

/// `lemma pos synsets pointers [pointer…] senses tagged offset…`
fn index_line(line: &str) -> Option<(String, Vec<usize>)> {
    let mut fields = line.split_ascii_whitespace();
    let lemma = fields.next()?.to_owned();
    let synsets: usize = fields.nth(1)?.parse().ok()?;
    let pointers: usize = fields.next()?.parse().ok()?;
    let offsets: Option<Vec<usize>> = fields.skip(pointers + 2).map(|offset| offset.parse().ok()).collect();
    offsets.filter(|offsets| offsets.len() == synsets && synsets > 0).map(|offsets| (lemma, offsets))
}

fn wordnet_error(path: &Path, detail: &str) -> Error {
    Error::WordNet { path: path.to_path_buf(), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, index: &str, data: &str, exceptions: &str) {
        std::fs::write(folder.join(format!("index.{name}")), format!("  1 licence\n{index}")).unwrap();
        std::fs::write(folder.join(format!("data.{name}")), data).unwrap();
        std::fs::write(folder.join(format!("{name}.exc")), exceptions).unwrap();
    }

    fn small(folder: &Path) {
        let data =
            "00000000 08 n 02 lung 0 Lung_tissue 0 000 | organ\n00000050 08 n 03 axis 0 Axe 1 axle(p) 0 000 | line\n";
        let second = data.find("00000050").unwrap();
        let data = data.replace("00000050", &format!("{second:08}"));
        write(
            folder,
            "noun",
            &format!("axis n 1 1 @ 1 0 {second:08}\nlung n 1 0 1 0 00000000\n"),
            &data,
            "axes axe axis\n",
        );
        for name in ["verb", "adj", "adv"] {
            write(folder, name, "", "", "");
        }
    }

    #[test]
    fn words_are_found_by_base_form_and_exception() {
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        let wordnet = WordNet::open(folder.path()).unwrap();
        assert_eq!(wordnet.synonyms("lungs"), HashSet::from(["lung".to_owned()]));
        assert_eq!(wordnet.synonyms("axes"), HashSet::from(["axis".into(), "Axe".into(), "axle".into()]));
        assert!(wordnet.synonyms("axiss").contains("axis") && wordnet.synonyms("pleura").is_empty());
        assert!(!wordnet.is_version_3_0());
    }

    #[test]
    fn a_missing_or_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        small(folder.path());
        std::fs::write(folder.path().join("index.verb"), "go v x\n").unwrap();
        let error = WordNet::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("index.verb") && error.contains("line 1"), "{error}");
        std::fs::remove_file(folder.path().join("adv.exc")).unwrap();
        std::fs::write(folder.path().join("index.verb"), "").unwrap();
        assert!(WordNet::open(folder.path()).err().unwrap().to_string().contains("adv.exc"));
    }
}
