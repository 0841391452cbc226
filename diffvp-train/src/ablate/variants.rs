//! The rows of the ablation.

use diffvp::SectionOrder;

use crate::fit::config::FitConfig;

/// A table of the ablation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Group {
    /// With and without Δ_global, Δ_local and E, the controls, and the comparison at pixel level (the paper's ablation of its parts).
    Parts,
    /// p = 4, 8, 16, 24, 32 prefix tokens.
    Prefix,
    /// Banks of 1, 10, 40, 60, 124 references; references of the other scanner; abnormal references.
    Pool,
    /// Without Δ, with Δ and the control over all seeds, with t-tests.
    Seeds,
}

impl Group {
    /// Heading of its table.
    pub fn title(self) -> &'static str {
        match self {
            Group::Parts => "Parts: Δ_global, Δ_local, E",
            Group::Prefix => "Prefix tokens",
            Group::Pool => "Reference pool",
            Group::Seeds => "Seeds",
        }
    }
}

/// References of the exported package.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bank {
    /// So many normal training scans.
    Normal(usize),
    /// Normal training scans, of which this share comes from the other scanner.
    OtherScanner(f64),
    /// Training scans, of which this share is abnormal.
    Abnormal(f64),
}

/// One row: what is changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Name in tables and of folders.
    pub name: &'static str,
    /// Δ_global and Δ_local in the prompt.
    pub differences: [bool; 2],
    /// E in the prompt.
    pub findings: bool,
    /// Prefix tokens; those of the base without.
    pub prefix_tokens: Option<usize>,
    /// The control: every scan is its own reference.
    pub own_reference: bool,
    /// The scan is compared with its reference voxel by voxel.
    pub pixel_level: bool,
    /// References of the package.
    pub bank: Bank,
}

/// References of a bank whose number is not the question.
pub(super) const REFERENCES: usize = 40;

impl Variant {
    const fn parts(name: &'static str, differences: [bool; 2], findings: bool) -> Variant {
        let bank = Bank::Normal(REFERENCES);
        Variant { name, differences, findings, prefix_tokens: None, own_reference: false, pixel_level: false, bank }
    }

    const FULL: Variant = Variant::parts("full", [true, true], true);
    const NO_E: Variant = Variant::parts("no E, both Δ", [true, true], false);
    const NEITHER: Variant = Variant::parts("no Δ, no E", [false, false], false);
    const CONTROL_NO_E: Variant =
        Variant { name: "control: no E, own reference", own_reference: true, ..Variant::NO_E };

    /// The rows of a group.
    pub fn of(group: Group) -> Vec<Variant> {
        let prefix = |name, tokens| Variant { name, prefix_tokens: Some(tokens), ..Variant::FULL };
        let pool = |name, bank| Variant { name, bank, ..Variant::FULL };
        match group {
            Group::Parts => vec![
                Variant::NEITHER,
                Variant::parts("+ E", [false, false], true),
                Variant::parts("+ E + Δ_global", [true, false], true),
                Variant::parts("+ E + Δ_local", [false, true], true),
                Variant::FULL,
                Variant::parts("no E, + Δ_global", [true, false], false),
                Variant::parts("no E, + Δ_local", [false, true], false),
                Variant::NO_E,
                Variant { name: "control: full, own reference", own_reference: true, ..Variant::FULL },
                Variant::CONTROL_NO_E,
                Variant { name: "full, at pixel level", pixel_level: true, ..Variant::FULL },
                Variant { name: "no E, at pixel level", pixel_level: true, ..Variant::NO_E },
            ],
            Group::Prefix => {
                vec![
                    prefix("p = 4", 4),
                    prefix("p = 8", 8),
                    prefix("p = 16", 16),
                    prefix("p = 24", 24),
                    prefix("p = 32", 32),
                ]
            }
            Group::Pool => vec![
                pool("pool of 1", Bank::Normal(1)),
                pool("pool of 10", Bank::Normal(10)),
                pool("pool of 40", Bank::Normal(40)),
                pool("pool of 60", Bank::Normal(60)),
                pool("pool of 124", Bank::Normal(124)),
                pool("10 % of the other scanner", Bank::OtherScanner(0.1)),
                pool("50 % of the other scanner", Bank::OtherScanner(0.5)),
                pool("100 % of the other scanner", Bank::OtherScanner(1.0)),
                pool("10 % abnormal", Bank::Abnormal(0.1)),
                pool("50 % abnormal", Bank::Abnormal(0.5)),
            ],
            Group::Seeds => vec![Variant::NEITHER, Variant::NO_E, Variant::CONTROL_NO_E, Variant::FULL],
        }
    }

    /// The base config with the change.
    pub fn config(&self, base: &FitConfig, seed: u64) -> FitConfig {
        let mut config = base.clone();
        config.seed = seed;
        // One order: how a model is trained for another as well is not the question.
        config.generation = config.generation.with_orders(&[SectionOrder::Sequential]);
        let difference = &mut config.model.difference;
        [difference.global, difference.local] = self.differences;
        difference.own_reference = self.own_reference;
        difference.pixel_level = self.pixel_level;
        if let Some(tokens) = self.prefix_tokens {
            difference.prefix_tokens = tokens;
        }
        if self.differences == [false, false] {
            difference.prefix_tokens = 0;
        }
        config.generator.findings_text = self.findings;
        // Those of another difference would favour it.
        config.generator.weights = None;
        config
    }

    /// What is trained: variants that differ only in their bank share a generator.
    pub fn trained(&self) -> String {
        let name = Variant { bank: Bank::Normal(REFERENCES), name: "", ..self.clone() };
        let parts = name.differences.map(|d| if d { "1" } else { "0" }).concat();
        let prefix = name.prefix_tokens.map(|p| format!("-p{p}")).unwrap_or_default();
        let control = if name.own_reference { "-own" } else { "" };
        let level = if name.pixel_level { "-pixel" } else { "" };
        format!("d{parts}-e{}{prefix}{control}{level}", u8::from(name.findings))
    }

    /// Name of its files: letters, digits and `-`.
    pub fn slug(&self) -> String {
        let bank = match self.bank {
            Bank::Normal(count) => format!("n{count}"),
            Bank::OtherScanner(share) => format!("other{:.0}", 100.0 * share),
            Bank::Abnormal(share) => format!("abnormal{:.0}", 100.0 * share),
        };
        format!("{}-{bank}", self.trained())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::presets::demo;

    #[test]
    fn every_variant_is_a_valid_config_and_files_have_one_owner() {
        let groups = [Group::Parts, Group::Prefix, Group::Pool, Group::Seeds];
        let mut owners = std::collections::BTreeMap::new();
        for variant in groups.into_iter().flat_map(Variant::of) {
            let config = variant.config(&demo(), 3);
            config.model.validate().unwrap_or_else(|e| panic!("{}: {e}", variant.name));
            let mut same = variant.clone();
            same.name = "";
            assert_eq!(owners.entry(variant.slug()).or_insert(same.clone()), &same, "{}", variant.name);
        }
        let full = Variant::of(Group::Parts)[4].clone();
        assert_eq!(full.trained(), Variant::of(Group::Pool)[0].trained());
        assert_ne!(full.slug(), Variant::of(Group::Pool)[0].slug());
        assert_eq!(full.slug(), Variant::of(Group::Pool)[2].slug());
    }
}
