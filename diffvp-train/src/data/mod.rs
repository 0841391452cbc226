//! Data sets as training sees them: scans with labels and region reports, whatever layout they lie in.
//!
//! [`DataSet::open`] recognises the [`Layout`] of a folder and reads its tables; no scan is opened. Nothing behind this
//! module knows file names or tables. [`check`](check()) opens every scan and says what is wrong with it.

mod check;
mod ct_rate;
mod ctrg;
mod layout;
mod names;
mod normal;
mod report;
mod sample;
mod set;
mod table;
mod truth;

pub use check::{Checked, Prevalence, check};
pub use layout::Layout;
pub use names::VolumeName;
pub use normal::Normals;
pub use sample::{Intensities, LabelSource, Sample, ScanFile, Split};
pub use set::{DataSet, OpenOptions, Problem};
pub use truth::{TRUTH_FOLDER, truths};
