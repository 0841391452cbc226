//! The organs of a phantom, voxel by voxel.

/// An organ that masks tell apart. The number in a label map is [`Organ::label`]; 0 is everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Organ {
    /// Skin, fat and muscle outside the ribs.
    BodyWall = 1,
    /// Spine, ribs, sternum and shoulders.
    Bone,
    /// Breasts.
    Breast,
    /// Right upper lobe with what is in it.
    RightUpperLobe,
    /// Middle lobe.
    RightMiddleLobe,
    /// Right lower lobe.
    RightLowerLobe,
    /// Left upper lobe with the lingula.
    LeftUpperLobe,
    /// Left lower lobe.
    LeftLowerLobe,
    /// The pleural space: what lies on the lungs.
    Pleura,
    /// Fat and small structures between the lungs.
    Mediastinum,
    /// Heart with its sac.
    Heart,
    /// Aorta, pulmonary and supra-aortic vessels, venae cavae.
    GreatVessels,
    /// Trachea and main bronchi.
    Airways,
    /// Oesophagus.
    Esophagus,
    /// Thyroid gland.
    Thyroid,
    /// Liver.
    Liver,
    /// Stomach.
    Stomach,
    /// Spleen.
    Spleen,
    /// What else is below the diaphragm.
    Abdomen,
}

/// Classes of a label map: background and all organs.
pub const ORGAN_CLASSES: usize = Organ::ALL.len() + 1;

impl Organ {
    /// All organs, in the order of their labels.
    pub const ALL: [Organ; 19] = [
        Organ::BodyWall,
        Organ::Bone,
        Organ::Breast,
        Organ::RightUpperLobe,
        Organ::RightMiddleLobe,
        Organ::RightLowerLobe,
        Organ::LeftUpperLobe,
        Organ::LeftLowerLobe,
        Organ::Pleura,
        Organ::Mediastinum,
        Organ::Heart,
        Organ::GreatVessels,
        Organ::Airways,
        Organ::Esophagus,
        Organ::Thyroid,
        Organ::Liver,
        Organ::Stomach,
        Organ::Spleen,
        Organ::Abdomen,
    ];

    /// Number in a label map, 1 to 19.
    pub fn label(self) -> u8 {
        self as u8
    }

    /// Name as a word of a file.
    pub fn name(self) -> &'static str {
        match self {
            Organ::BodyWall => "body wall",
            Organ::Bone => "bone",
            Organ::Breast => "breast",
            Organ::RightUpperLobe => "right upper lobe",
            Organ::RightMiddleLobe => "right middle lobe",
            Organ::RightLowerLobe => "right lower lobe",
            Organ::LeftUpperLobe => "left upper lobe",
            Organ::LeftLowerLobe => "left lower lobe",
            Organ::Pleura => "pleura",
            Organ::Mediastinum => "mediastinum",
            Organ::Heart => "heart",
            Organ::GreatVessels => "great vessels",
            Organ::Airways => "airways",
            Organ::Esophagus => "esophagus",
            Organ::Thyroid => "thyroid",
            Organ::Liver => "liver",
            Organ::Stomach => "stomach",
            Organ::Spleen => "spleen",
            Organ::Abdomen => "abdomen",
        }
    }

    /// Whether it is a lobe of a lung.
    pub fn is_lung(self) -> bool {
        (Organ::RightUpperLobe.label()..=Organ::LeftLowerLobe.label()).contains(&self.label())
    }

    /// The region of a report that describes it, one of [`REGIONS`](crate::labels::REGIONS).
    pub fn region(self) -> Option<&'static str> {
        match self {
            Organ::BodyWall => None,
            lobe if lobe.is_lung() => Some("lung"),
            Organ::Mediastinum | Organ::GreatVessels => Some("mediastinum"),
            Organ::Airways => Some("trachea and bronchie"),
            Organ::Liver | Organ::Stomach | Organ::Spleen | Organ::Abdomen => Some("abdomen"),
            other => Some(other.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::REGIONS;

    #[test]
    fn labels_count_from_one_and_every_region_has_an_organ() {
        for (index, organ) in Organ::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(organ.label()), index + 1);
            assert!(organ.region().is_none_or(|region| REGIONS.contains(&region)));
        }
        assert!(REGIONS.iter().all(|region| Organ::ALL.iter().any(|organ| organ.region() == Some(region))));
    }
}
