//! The ablation of the method: what a difference from a normal scan is worth, on phantoms.
//!
//! Every variant changes one thing of a base run, whose encoder and classifier all share, and trains its own generator.
//! `variants` names them, `pools` makes the reference banks, `run` trains, exports and measures, `table` prints.

mod pools;
mod run;
mod table;
mod variants;

pub use run::{AblateRequest, Outcome, ablate};
pub use table::{json, markdown};
pub use variants::{Bank, Group, Variant};
