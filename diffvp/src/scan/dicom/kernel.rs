//! Reconstruction kernels by their makers' names.

/// What a kernel does to edges and noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KernelClass {
    /// For soft tissue.
    Soft,
    /// For lung and bone: edges enhanced, noisy.
    Sharp,
}

/// Class of a kernel; `None` for a name that is not known.
///
/// * GE: words (`STANDARD`, `LUNG` …).
/// * Siemens: a letter or two, a number that grows with sharpness, and options: `B30f`, `Br40d`, `I70f\3`.
/// * Canon and Toshiba: `FC01` … `FC86`; 30 and up, except 40 to 49, are sharp.
/// * Philips: `A` to `F`, `YA` to `YD`, `L`; from `D` on sharp.
pub(super) fn class(name: &str) -> Option<KernelClass> {
    use KernelClass::{Sharp, Soft};
    match name {
        "STANDARD" | "SOFT" | "STND" | "CHST" | "DETAIL" => return Some(Soft),
        "CHEST" | "LUNG" | "LUNG2" | "BONE" | "BONEPLUS" | "BONE+" | "EDGE" | "ULTRA" => {
            return Some(Sharp);
        }
        "A" | "B" | "C" | "YA" | "YB" | "YC" | "UA" | "UB" | "UC" | "IA" | "IB" => {
            return Some(Soft);
        }
        "D" | "E" | "F" | "L" | "YD" | "YE" => return Some(Sharp),
        _ => {}
    }
    if let Some(number) = name.strip_prefix("FC") {
        let number: u32 = (number.len() == 2).then(|| number.parse().ok())??;
        return Some(if number >= 50 || (30..40).contains(&number) { Sharp } else { Soft });
    }
    let digits = name.find(|c: char| c.is_ascii_digit())?;
    let (family, rest) = name.split_at(digits);
    let number: u32 = (rest.len() >= 2).then(|| rest.get(..2)?.parse().ok())??;
    let options = rest.get(2..)?;
    let siemens =
        matches!(family, "B" | "I" | "J" | "T" | "H" | "Br" | "Bl" | "Bv" | "Bf" | "Hr" | "Qr" | "Sr" | "Tr" | "Ur")
            && options.len() <= 2
            && options.bytes().all(|b| b.is_ascii_lowercase());
    siemens.then_some(if number >= 50 { Sharp } else { Soft })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makers_names() {
        for soft in ["STANDARD", "B30f", "Br40d", "FC08", "I31f", "B"] {
            assert_eq!(class(soft), Some(KernelClass::Soft), "{soft}");
        }
        for sharp in ["LUNG", "B70f", "Bl57d", "FC51", "L", "FC30"] {
            assert_eq!(class(sharp), Some(KernelClass::Sharp), "{sharp}");
        }
        for unknown in ["", "JANE", "FC1", "B3", "B30JANE", "Doe12"] {
            assert_eq!(class(unknown), None, "{unknown}");
        }
    }
}
