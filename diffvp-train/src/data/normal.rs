//! Which scans can be normal references.

use serde::{Deserialize, Serialize};

use super::Sample;
use crate::eval::clinical::builtin::NormalReader;

/// What makes a scan a normal reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Normals {
    /// All 18 labels are 0.
    #[default]
    Labels,
    /// The report states no abnormality, also none beside the 18 findings (the paper).
    Text,
    /// Both of these.
    Both,
}

impl Normals {
    /// All of them, with their names.
    pub const ALL: [(Normals, &str); 3] =
        [(Normals::Labels, "labels"), (Normals::Text, "text"), (Normals::Both, "both")];

    /// Whether a scan can be a normal reference. What is not known makes none.
    pub fn accepts(self, sample: &Sample) -> bool {
        let labels = || !sample.labels.is_empty() && sample.labels.iter().all(|label| *label == 0);
        let text = || NormalReader::get().states_no_abnormality(&sample.text());
        match self {
            Normals::Labels => labels(),
            Normals::Text => text(),
            Normals::Both => labels() && text(),
        }
    }
}

impl std::fmt::Display for Normals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = Normals::ALL.iter().find(|(each, _)| each == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}
