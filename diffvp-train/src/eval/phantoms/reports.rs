//! Phantoms → reports, kept in a file of JSON lines so that a long run can go on where it was broken off.

use std::fs::OpenOptions;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use diffvp::{Flow, ReportOptions, Reporter, Scan, SectionOrder};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::synth::{PhantomOptions, Truth, phantom};
use crate::{Error, Result};

/// Reports made between two writes to the file.
const CHUNK: usize = 16;

/// Which phantoms are reported.
#[derive(Debug, Clone)]
pub struct PhantomRequest {
    /// The model package.
    pub package: PathBuf,
    /// Seed of the phantoms; one that the package was trained with would measure memory.
    pub seed: u64,
    /// Number of phantoms.
    pub scans: u64,
    /// What the phantoms are like.
    pub phantoms: PhantomOptions,
    /// In which order sections are written; the package's first without one.
    pub sections: Option<SectionOrder>,
    /// File of the reports, one JSON line each. Those that are there are not made again.
    pub file: PathBuf,
}

/// A phantom and its report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reported {
    /// SHA-256 of the package's manifest.
    pub package: String,
    /// What is in the phantom.
    pub truth: Truth,
    /// Region and text of each section, in the order of the report.
    pub sections: Vec<(String, String)>,
    /// The findings that the classifier alone takes as present.
    pub classifier: [bool; 18],
    /// Messages of the report's warnings.
    pub warnings: Vec<String>,
    /// Why no report was made, where the scan was refused.
    pub refused: Option<String>,
    /// Time for the report, in milliseconds.
    pub milliseconds: f64,
    /// Time for reading its prompt and writing its text, in milliseconds.
    #[serde(default)]
    pub writing_milliseconds: f64,
}

/// Reports phantoms, several at a time, and tells `progress` of done and all.
///
/// # Errors
/// Those of opening the package; [`Error::Data`] for a file of other phantoms or of another package; those of writing.
pub fn make_reports(request: &PhantomRequest, progress: impl Fn(u64, u64)) -> Result<Vec<Reported>> {
    // Reports side by side use the cores better than operators that share them.
    let reporter = Reporter::builder(&request.package).threads(1).build()?;
    let package = diffvp::files::sha256_file(request.package.join(diffvp::package::names::MANIFEST))?;
    let mut all = kept(&request.file, &package, request)?;
    let write_error = |source| diffvp::Error::Write { path: request.file.clone(), source };
    if let Some(folder) = request.file.parent() {
        std::fs::create_dir_all(folder).map_err(write_error)?;
    }
    // What a cut run left half written is taken off first.
    let whole: String = all.iter().map(line).collect();
    diffvp::files::write_atomic(&request.file, |out| out.write_all(whole.as_bytes()))?;
    let mut file = OpenOptions::new().append(true).open(&request.file).map_err(write_error)?;
    progress(all.len() as u64, request.scans);
    while (all.len() as u64) < request.scans {
        let begin = all.len() as u64;
        let end = (begin + CHUNK as u64).min(request.scans);
        let one = |index| report_one(&reporter, &package, request, index);
        let made = (begin..end).into_par_iter().map(one).collect::<Result<Vec<_>>>()?;
        let lines: String = made.iter().map(line).collect();
        file.write_all(lines.as_bytes()).map_err(write_error)?;
        all.extend(made);
        progress(all.len() as u64, request.scans);
    }
    file.sync_all().map_err(write_error)?;
    Ok(all)
}

fn report_one(reporter: &Reporter, package: &str, request: &PhantomRequest, index: u64) -> Result<Reported> {
    let phantom = phantom(request.seed, index, &request.phantoms)?;
    let mut options = ReportOptions::default().seed(index);
    options.sections = request.sections;
    let mut reported = Reported {
        package: package.into(),
        truth: phantom.truth,
        sections: Vec::new(),
        classifier: [false; 18],
        warnings: Vec::new(),
        refused: None,
        milliseconds: 0.0,
        writing_milliseconds: 0.0,
    };
    let report = match reporter.report_with(&Scan::from_voxels(phantom.volume), &options, |_| Flow::Continue) {
        Ok(report) => report,
        Err(diffvp::Error::OutOfScope { detail }) => {
            reported.refused = Some(detail);
            return Ok(reported);
        }
        Err(error) => return Err(error.into()),
    };
    reported.sections = report.sections().iter().map(|s| (s.region.clone(), s.text.clone())).collect();
    for (present, finding) in reported.classifier.iter_mut().zip(report.findings()) {
        *present = finding.present;
    }
    reported.warnings = report.warnings().iter().map(|w| w.message.clone()).collect();
    let timings = report.timings();
    reported.milliseconds = timings.total.as_secs_f64() * 1e3;
    reported.writing_milliseconds = (timings.prefill + timings.decode).as_secs_f64() * 1e3;
    Ok(reported)
}

/// Whether a truth that was read from text is this one. Domains differ in spacing.
fn same(read: &Truth, expected: &Truth) -> bool {
    let labels = |truth: &Truth| truth.findings.iter().map(|f| f.label.clone()).collect::<Vec<_>>();
    let spacing = read.spacing_mm.iter().zip(expected.spacing_mm).all(|(a, b)| (a - b).abs() < 1e-9);
    read.name == expected.name && labels(read) == labels(expected) && spacing
}

fn line(reported: &Reported) -> String {
    format!("{}\n", serde_json::to_string(reported).unwrap_or_default())
}

/// The reports that a file holds already. A last line that is cut is left out.
fn kept(path: &Path, package: &str, request: &PhantomRequest) -> Result<Vec<Reported>> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::data(path, error.to_string())),
    };
    let mut all: Vec<Reported> = Vec::new();
    for text in std::io::BufReader::new(file).lines() {
        let Ok(reported) = serde_json::from_str::<Reported>(&text.map_err(|e| Error::data(path, e.to_string()))?)
        else {
            break;
        };
        let index = all.len() as u64;
        if reported.package != package {
            return Err(Error::data(path, "holds reports of another package: name another file, or remove it"));
        }
        let expected = crate::synth::truth(request.seed, index, &request.phantoms)?;
        if !same(&reported.truth, &expected) {
            return Err(Error::data(path, "holds reports of other phantoms: name another file, or remove it"));
        }
        all.push(reported);
        if all.len() as u64 == request.scans {
            break;
        }
    }
    Ok(all)
}
