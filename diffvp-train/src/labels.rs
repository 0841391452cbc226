//! The findings and regions of the method, in the order every table of the project uses.

pub use diffvp_exporter::package::lineage::FINDINGS;

/// The ten regions of a report, spelled as the region reports spell them.
pub const REGIONS: [&str; 10] = [
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
