//! Run folder → model package, with the bank of normal references encoded by the package's own encoder.

use std::path::{Path, PathBuf};

use diffvp::package::manifest::{Manifest, VisionSizes};
use diffvp::runtime::{CancelToken, SessionOptions};
use diffvp::vision::{Encoder, VolumeTensor};
use diffvp::volume::Preprocessing;
use diffvp_exporter::package::{ExportOptions, NormalReferences, write_package};
use diffvp_exporter::weights::{RoundedWeights, Weights};

use crate::data::{DataSet, OpenOptions, ScanFile, Split};
use crate::run::Run;
use crate::{Error, Result};

/// How a run is exported.
#[derive(Debug, Clone)]
pub struct ExportRequest {
    /// Normal scans: files, DICOM folders, or folders of NIfTI files (see [`list_references`]). Where none is named, those
    /// that the run was trained with.
    pub references: Vec<PathBuf>,
    /// How data sets among them are read.
    pub data: OpenOptions,
    /// How the graphs are stored.
    pub options: ExportOptions,
    /// Folder of matrices that were rounded beforehand ([`RoundedWeights`]).
    pub rounded: Option<PathBuf>,
    /// How the encoder runs to make the bank.
    pub session: SessionOptions,
}

/// Writes the package of a run folder; `on_reference` hears of each reference before it is encoded
/// (position, number of all).
///
/// # Errors
/// Those of reading the run, of loading scans (naming the file), and of
/// [`write_package`]. Nothing is left at `out` then.
pub fn export(
    run: &Path,
    out: &Path,
    request: &ExportRequest,
    on_reference: impl FnMut(usize, usize),
) -> Result<Manifest> {
    let run = Run::open(run)?;
    let references = chosen(&run, request)?;
    let contents = run.contents(request.options);
    let mut failure = None;
    let rounded = request.rounded.as_ref().map(|folder| RoundedWeights::open(run.weights(), folder)).transpose()?;
    let weights = rounded.as_ref().map_or(run.weights(), |rounded| rounded as &dyn Weights);
    let written = write_package(out, &run.config, weights, &contents, |encoder, sizes| {
        let bank = encode_all(encoder, sizes, &contents.preprocessing, &references, &request.session, on_reference);
        bank.map_err(|error| {
            let text = error.to_string();
            failure = Some(error);
            diffvp_exporter::Error::Content { field: "reference bank".into(), detail: text }
        })
    });
    match (written, failure) {
        (_, Some(error)) => Err(error),
        (written, None) => Ok(written?),
    }
}

fn chosen(run: &Run, request: &ExportRequest) -> Result<Vec<ScanFile>> {
    match request.references.as_slice() {
        [] if run.references.is_empty() => Err(Error::NoReferences),
        [] => Ok(run.references.clone()),
        named => list_references(named, &request.data),
    }
}

/// The scans that the bank of a package of this run is made of.
///
/// # Errors
/// Those of reading the run, and of [`list_references`].
pub fn references(run: &Path, request: &ExportRequest) -> Result<Vec<ScanFile>> {
    chosen(&Run::open(run)?, request)
}

/// Tokens Iʳ of each scan, in order. References are named by position: names of files may hold patient data.
fn encode_all(
    encoder: &Path,
    sizes: &VisionSizes,
    preprocessing: &Preprocessing,
    references: &[ScanFile],
    session: &SessionOptions,
    mut on_reference: impl FnMut(usize, usize),
) -> Result<NormalReferences> {
    let encoder = Encoder::open(encoder, sizes, session)?;
    let mut bank = NormalReferences { ids: Vec::new(), tokens: Vec::new() };
    for (index, reference) in references.iter().enumerate() {
        on_reference(index, references.len());
        let failed = |source| Error::Reference { path: reference.path.clone(), source };
        let scan = reference.open().map_err(failed)?;
        let input =
            preprocessing.apply(scan.volume()).and_then(|input| VolumeTensor::new(input, sizes)).map_err(failed)?;
        let encoding = encoder.encode(&input, &CancelToken::default()).map_err(failed)?;
        bank.ids.push(format!("reference-{index:03}"));
        bank.tokens.extend(encoding.tokens);
    }
    Ok(bank)
}

/// The scans behind what was named: a file is a scan; a data set, read with `options`, is its normal scans for training; a
/// folder with NIfTI files is all of them, sorted; any other folder is one DICOM study.
///
/// # Errors
/// [`Error::Reference`] where a path cannot be read or a list is empty, [`Error::NoReferences`].
pub fn list_references(named: &[PathBuf], options: &OpenOptions) -> Result<Vec<ScanFile>> {
    let mut scans = Vec::new();
    for path in named {
        let failed = |source: std::io::Error| Error::Reference {
            path: path.clone(),
            source: diffvp::Error::Read { path: path.clone(), source },
        };
        if !path.is_dir() {
            scans.push(path.clone().into());
            continue;
        }
        if let Ok(set) = DataSet::read(path, options) {
            let normal = set.samples.into_iter().filter(|sample| sample.normal && sample.split == Split::Train);
            scans.extend(normal.map(|sample| sample.file()));
            continue;
        }
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            let name = file.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
            if name.ends_with(".nii") || name.ends_with(".nii.gz") {
                files.push(file);
            }
        }
        files.sort();
        if files.is_empty() {
            files.push(path.clone());
        }
        scans.extend(files.into_iter().map(ScanFile::from));
    }
    if scans.is_empty() { Err(Error::NoReferences) } else { Ok(scans) }
}
