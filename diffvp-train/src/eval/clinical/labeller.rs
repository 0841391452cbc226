//! The common face of the labellers.

use std::path::Path;

use diffvp::CancelToken;
use diffvp::runtime::SessionOptions;
use rayon::prelude::*;
use serde::Serialize;

use super::builtin::RuleLabeller;
use super::{Labels, TextClassifier};
use crate::Result;

/// Version of the built-in rules: raised where their answers change. The hash behind it is that of the tables.
const RULES_VERSION: u32 = 1;

/// Something that reads the 18 findings from text.
#[derive(Debug)]
pub enum Labeller {
    /// The rules.
    Builtin(&'static RuleLabeller),
    /// A classifier in ONNX.
    Classifier(Box<TextClassifier>),
}

/// What made the labels: stands beside every number.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Least probability of a finding that is present; `None` for rules, which have no probabilities.
    pub threshold: Option<f32>,
    /// Longest text in tokens; `None` where texts are read whole.
    pub max_tokens: Option<usize>,
}

impl Labeller {
    /// `"builtin"`, or the folder of a classifier.
    ///
    /// # Errors
    /// Those of [`TextClassifier::open`].
    pub fn open(choice: &str, session: &SessionOptions) -> Result<Labeller> {
        Ok(match choice {
            "builtin" => Labeller::Builtin(RuleLabeller::get()),
            folder => Labeller::Classifier(Box::new(TextClassifier::open(Path::new(folder), session)?)),
        })
    }

    /// What it is.
    pub fn description(&self) -> Description {
        match self {
            Labeller::Builtin(_) => {
                let hash = diffvp::files::sha256(RuleLabeller::tables().as_bytes());
                let version = format!("{RULES_VERSION}-{}", &hash[..8]);
                Description { name: "builtin".into(), version, threshold: None, max_tokens: None }
            }
            Labeller::Classifier(classifier) => Description {
                name: classifier.name().to_owned(),
                version: classifier.version().to_owned(),
                threshold: Some(classifier.threshold()),
                max_tokens: Some(classifier.max_tokens()),
            },
        }
    }

    /// The findings of each text, and how many texts were too long and cut.
    ///
    /// # Errors
    /// Those of [`TextClassifier::label`]; the rules have none.
    pub fn label(&self, texts: &[&str], cancel: &CancelToken) -> Result<(Vec<Labels>, u64)> {
        match self {
            Labeller::Builtin(rules) => Ok((texts.par_iter().map(|text| rules.label(text)).collect(), 0)),
            Labeller::Classifier(classifier) => classifier.label(texts, cancel),
        }
    }
}
