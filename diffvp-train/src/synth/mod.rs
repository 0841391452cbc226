//! Synthetic chest CT: volumes in HU whose findings are known exactly.
//!
//! A phantom is a function of `(seed, index, options)`. It is made in this order:
//! 1. `findings::select` chooses the labels of an abnormal scan;
//! 2. `anatomy` draws a subject from signed-distance shapes: `body`, `lungs`, `mediastinum`, `skeleton`,
//!    `vessels`, all in the space of a standard chest with the subject's scale;
//! 3. `findings::plan` places the findings and writes the [`Truth`];
//! 4. `canvas` paints the subject and then the findings, with partial volume at every edge;
//! 5. `noise` adds correlated noise and rounds to whole HU.
//!
//! `sentences` words a report from the truth, and `dataset` writes many phantoms with their tables.
//!
//! What [`Finding::size_mm`] measures: nodule, opacity, consolidation, bronchiectasis: diameter; pleural
//! effusion: depth from front to back; pericardial effusion: thickness; atelectasis: thickness of the band;
//! cardiomegaly: transverse diameter of the heart; calcification: length of the longest plaque; emphysema:
//! diameter of the largest hole; hiatal hernia: width; lymphadenopathy: short axis; peribronchial thickening:
//! thickest wall; fibrotic sequela: longest strand; patterns: their grain; medical material: largest extent.

mod anatomy;
mod body;
mod canvas;
mod dataset;
mod domain;
mod findings;
mod lungs;
mod mediastinum;
mod noise;
mod organs;
mod phantom;
mod random;
mod sentences;
mod shapes;
mod skeleton;
#[cfg(test)]
mod tests;
mod truth;
mod vessels;

pub use body::Sex;
pub use dataset::{DatasetOptions, Summary, write_dataset};
pub use domain::Domain;
pub use lungs::{Lobe, Side};
pub use organs::{ORGAN_CLASSES, Organ};
pub use phantom::{Phantom, PhantomOptions, Size, is_normal, phantom, scan_name, truth};
pub use sentences::{RegionText, report};
pub use truth::{Finding, Truth};
