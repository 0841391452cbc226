//! The method's usual findings, regions, texts and preprocessing: start values for a manifest, which holds
//! what a package really uses.

use diffvp::package::manifest::{
    FindingSpec, FindingsText, Generation, PromptSegment, ReportForm, SectionOrder, SectionSpec,
};
use diffvp::volume::{Axes, Interpolation, Preprocessing, Step};

/// The 18 findings of CT-RATE, in the order of its labels.
pub const FINDINGS: [&str; 18] = [
    "Medical material",
    "Arterial wall calcification",
    "Cardiomegaly",
    "Pericardial effusion",
    "Coronary artery wall calcification",
    "Hiatal hernia",
    "Lymphadenopathy",
    "Emphysema",
    "Atelectasis",
    "Lung nodule",
    "Lung opacity",
    "Pulmonary fibrotic sequela",
    "Pleural effusion",
    "Mosaic attenuation pattern",
    "Peribronchial thickening",
    "Consolidation",
    "Bronchiectasis",
    "Interlobular septal thickening",
];

/// A region with its heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// As RadGenome-ChestCT spells it.
    pub region: &'static str,
    /// As a report spells it.
    pub heading: &'static str,
}

const fn region(region: &'static str, heading: &'static str) -> Region {
    Region { region, heading }
}

/// The ten regions of RadGenome-ChestCT.
pub const REGIONS: [Region; 10] = [
    region("abdomen", "Abdomen"),
    region("bone", "Bone"),
    region("breast", "Breast"),
    region("esophagus", "Esophagus"),
    region("heart", "Heart"),
    region("lung", "Lung"),
    region("mediastinum", "Mediastinum"),
    region("pleura", "Pleura"),
    region("thyroid", "Thyroid"),
    region("trachea and bronchie", "Trachea and bronchi"),
];

/// Before the predicted findings.
pub const FINDINGS_PREFIX: &str = "Findings: ";
/// In place of predicted findings.
pub const NO_FINDINGS: &str = "Findings: none.";
/// T: the instruction.
pub const INSTRUCTION: &str = " Write the report of this chest CT.";

/// All findings with one threshold.
pub fn findings(threshold: f32) -> Vec<FindingSpec> {
    FINDINGS.iter().map(|name| FindingSpec { name: name.to_string(), threshold }).collect()
}

/// `Findings: Cardiomegaly, Emphysema.` or `Findings: none.`
pub fn findings_text() -> FindingsText {
    FindingsText {
        prefix: FINDINGS_PREFIX.into(),
        separator: ", ".into(),
        suffix: ".".into(),
        none: NO_FINDINGS.into(),
    }
}

/// The ten sections in alphabetical order.
pub fn sections() -> Vec<SectionSpec> {
    REGIONS.iter().map(|r| SectionSpec { region: r.region.into(), heading: r.heading.into() }).collect()
}

/// `[begin ; Δ_prompt ; I·W ; E ; T]` (paper, equation 9).
pub fn prompt(begin: &str) -> Vec<PromptSegment> {
    vec![
        PromptSegment::Token { token: begin.into() },
        PromptSegment::Difference,
        PromptSegment::Visual,
        PromptSegment::Findings,
        PromptSegment::Text { text: INSTRUCTION.into() },
    ]
}

/// Headings are forced as ` Lung:`, the model writes each section.
pub fn guided_sections(max_section_tokens: usize) -> Generation {
    let form = ReportForm::GuidedSections {
        before_heading: " ".into(),
        after_heading: ":".into(),
        max_section_tokens,
        orders: vec![SectionOrder::Sequential],
    };
    Generation { form, max_new_tokens: REGIONS.len() * (max_section_tokens + 8) }
}

/// Reg2RG's preprocessing to the given input `[s, h, w]`: LPS, crop above −1000 HU, area resize, clip
/// [−1000, 200] HU, (x + 400) / 600.
pub fn preprocessing(input: [usize; 3], channels: usize) -> Preprocessing {
    let steps = vec![
        Step::Orient { axes: Axes::Lps },
        Step::CropForeground { above: -1000.0, margin_voxels: 0 },
        Step::Resize { size: input, interpolation: Interpolation::Area },
        Step::Clip { min: -1000.0, max: 200.0 },
        Step::Scale { shift: 400.0, divisor: 600.0 },
    ];
    Preprocessing { steps, channels }
}
