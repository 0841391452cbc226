//! Reports by region: taken apart by their headings or by a table's column, and whether the right regions are reported.

mod headings;
mod long;
mod presence;

pub use headings::{Section, region_pairs, region_texts, sections};
pub use long::{LongTable, read_long};
pub use presence::{NumberedRegions, Presence, RegionCounts, RegionRates, numbered, presence};
