//! Chest CT to radiology report: the DiffVP method (arXiv 2603.17718) on ONNX Runtime.
//!
//! Not for clinical use, unless the manufacturer's manifest of a model package says otherwise.
//!
//! ```no_run
//! use diffvp::{Reporter, Scan};
//!
//! let reporter = Reporter::open("models/demo.diffvp")?;
//! let scan = Scan::open("study/")?;
//! let report = reporter.report(&scan)?;
//! println!("{report}");
//! # Ok::<(), diffvp::Error>(())
//! ```
//!
//! # The way of a scan
//!
//! 1. [`scan`]: a NIfTI file, a DICOM file or a folder becomes a [`Volume`] in Hounsfield units with its geometry, or is
//!    refused with a typed [`Error`]. What was decided on the way is a [`Warning`].
//! 2. [`volume`]: the manifest's preprocessing makes it the model's input `[1, c, s, h, w]`.
//! 3. [`vision`]: the encoder gives latent tokens I `[n, d]` and their attention A `[n, v]` over the image; a separate
//!    classifier gives the probabilities of the findings, p = 1 − Π(1 − p_v). The tokens are compared with those of a
//!    normal reference Iʳ: Sᵢ = ‖Iᵢ − Iᵢʳ‖², wᵢ = Sᵢ / (Σⱼ Sⱼ + ε), Δ_local = Σᵢ wᵢ (Iᵢ − Iᵢʳ), Δ_global by attention over
//!    `[δ; I; Iʳ]`, and both become the prefix Δ_prompt `[p, d_llm]` (equations 4 to 8).
//! 4. The prompt X_in = [Δ_prompt; I·W; E; T] is put together as the manifest says (equation 9).
//! 5. [`decode`]: a LLaMA decoder writes the text over a KV cache, token by token.
//! 6. [`report`]: sections, findings, the difference map Σᵢ Sᵢ Aᵢᵥ on the scan's grid, and the provenance.
//!
//! [`package`] is the model on disk; [`runtime`] finds and runs ONNX Runtime, and says where it looks for it.
//!
//! # Choosing how a report is made
//!
//! [`Reporter::builder`] takes device, threads and library; [`ReportOptions`] takes seed, sampling, reference, limits and a
//! [`CancelToken`]; [`Reporter::report_with`] tells [`Event`]s as they happen. The same scan, package, options and device
//! give the same report.
//!
//! # Features
//!
//! | feature | |
//! |---|---|
//! | `load-dynamic` (default) | libonnxruntime is loaded at run time |
//! | `jpeg2000` (default) | JPEG 2000 in DICOM |
//! | `download` | the `ort` crate downloads and links ONNX Runtime at build time |
//! | `cli` | the `diffvp` command |

mod engine;
mod error;
mod memory;
mod options;
mod prompt;
mod reporter;
mod warning;

pub mod decode;
#[cfg(feature = "demo")]
pub mod demo;
pub mod files;
pub mod package;
pub mod report;
pub mod runtime;
pub mod scan;
pub mod vision;
pub mod volume;

pub use decode::{Sampling, StopReason};
pub use error::{Error, Result};
pub use options::{Event, Flow, ReportOptions, Stage};
pub use package::manifest::SectionOrder;
pub use report::Report;
pub use reporter::{Reporter, ReporterBuilder};
pub use runtime::{CancelToken, Device};
pub use scan::{Scan, ScanOptions};
pub use vision::ReferencePolicy;
pub use volume::Volume;
pub use warning::{Warning, WarningCode};
