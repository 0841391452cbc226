//! Which normal reference a scan is compared with.

use rand::RngExt;
use rand::SeedableRng;
use rand_pcg::Pcg64;

use crate::{Error, Result};

/// Which reference of the bank a scan is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ReferencePolicy {
    /// One drawn at random by the report's seed, as the paper pairs scans with references.
    #[default]
    Seeded,
    /// The one with this position in the bank.
    Index(usize),
    /// The one with this name.
    Id(String),
}

impl ReferencePolicy {
    /// Position in a bank with these names.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a position or name that the bank does not have.
    pub fn choose(&self, ids: &[String], seed: u64) -> Result<usize> {
        let wrong = |detail: String| Error::InvalidOption { name: "reference", detail };
        match self {
            _ if ids.is_empty() => Err(wrong("the bank is empty".into())),
            ReferencePolicy::Seeded => Ok(Pcg64::seed_from_u64(seed).random_range(0..ids.len() as u64) as usize),
            ReferencePolicy::Index(index) if *index < ids.len() => Ok(*index),
            ReferencePolicy::Index(index) => {
                Err(wrong(format!("{index} is not below {}, the size of the bank", ids.len())))
            }
            ReferencePolicy::Id(id) => {
                ids.iter().position(|have| have == id).ok_or_else(|| wrong(format!("the bank has no {id:?}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_choose_repeatably_and_reach_every_reference() {
        let ids: Vec<String> = (0..7).map(|i| format!("r{i}")).collect();
        let chosen: Vec<usize> = (0..200).map(|seed| ReferencePolicy::Seeded.choose(&ids, seed).unwrap()).collect();
        let again: Vec<usize> = (0..200).map(|seed| ReferencePolicy::Seeded.choose(&ids, seed).unwrap()).collect();
        assert_eq!(chosen, again);
        assert!((0..7).all(|i| chosen.contains(&i)));
    }

    #[test]
    fn named_references_must_exist() {
        let ids = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(ReferencePolicy::Id("b".into()).choose(&ids, 9).unwrap(), 1);
        assert!(ReferencePolicy::Id("c".into()).choose(&ids, 9).is_err());
        assert!(ReferencePolicy::Index(2).choose(&ids, 9).is_err());
        assert!(ReferencePolicy::Seeded.choose(&[], 9).is_err());
    }
}
