//! Prepared volumes, organ shares and encoder features on the disk: made once, each file whole or not there.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use diffvp::Scan;
use diffvp::files::{sha256, write_atomic};
use diffvp::volume::{Preprocessing, Step, Window};
use diffvp_exporter::ModelConfig;
use half::f16;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use std::io::Write;
use tch::{Device, Kind, Tensor};

use super::cells::CellGrid;
use super::reading::{Wanted, each};
use super::resampler_start::FeatureStatistics;
use crate::data::Sample;
use crate::labels::FINDINGS;
use crate::synth::ORGAN_CLASSES;
use crate::{Error, Result};

/// Which masks are prepared beside the volumes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Masks {
    /// Organs, for the encoder.
    pub(super) organs: bool,
    /// Findings, for the classifier and the encoder.
    pub(super) findings: bool,
}

/// The cache of one way of preparing.
pub(super) struct Prepared {
    volumes: PathBuf,
    organs: PathBuf,
    findings: PathBuf,
    features: PathBuf,
    /// All but a last step `windows`: one channel is read faster than several, and other windows find it ready.
    preprocessing: Preprocessing,
    /// That step.
    windows: Vec<Window>,
    /// `[channels, s, h, w]` in the cache.
    shape: [usize; 4],
    grid: [usize; 3],
    channels_out: usize,
}

impl Prepared {
    /// The cache below a folder, for volumes that are read with `spacing_mm` where their data set tells none.
    pub(super) fn new(
        folder: &Path,
        preprocessing: &Preprocessing,
        spacing_mm: Option<[f64; 3]>,
        model: &ModelConfig,
    ) -> Self {
        let (mut preprocessing, mut windows) = (preprocessing.clone(), Vec::new());
        if let Some(Step::Windows { windows: last }) = preprocessing.steps.last_mut() {
            windows = std::mem::take(last);
            preprocessing.steps.pop();
            preprocessing.channels = 1;
        }
        let key = sha256(serde_json::to_string(&(&preprocessing, spacing_mm)).unwrap_or_default().as_bytes());
        let volumes = folder.join(format!("volumes-{}", &key[..16]));
        let grid = model.feature_grid();
        let [s, h, w] = model.input;
        Prepared {
            organs: volumes.join(format!("organs-{}x{}x{}", grid[0], grid[1], grid[2])),
            findings: volumes.join(format!("findings-{}x{}x{}", grid[0], grid[1], grid[2])),
            features: PathBuf::new(),
            volumes,
            shape: [if windows.is_empty() { model.encoder.in_channels } else { 1 }, s, h, w],
            preprocessing,
            windows,
            grid,
            channels_out: model.encoder.out_channels(),
        }
    }

    /// Keeps features of an encoder apart from those of others, by the hash of its weights.
    pub(super) fn with_encoder(mut self, encoder_sha256: &str) -> Self {
        self.features = self.volumes.join(format!("features-{}", &encoder_sha256[..16]));
        self
    }

    /// Prepares the scans that are not prepared yet, in parallel, and the shares of their masks. Gives those that
    /// are good, and what is wrong with the others.
    ///
    /// # Errors
    /// Where the cache cannot be written.
    pub(super) fn prepare(&self, samples: Vec<Sample>, masks: Masks, show: bool) -> Result<(Vec<Sample>, Vec<Error>)> {
        for folder in
            [Some(&self.volumes), masks.organs.then_some(&self.organs), masks.findings.then_some(&self.findings)]
                .into_iter()
                .flatten()
        {
            std::fs::create_dir_all(folder).map_err(|source| diffvp::Error::Write { path: folder.clone(), source })?;
        }
        let (bar, done) = (progress("preparing", samples.len(), show), AtomicUsize::new(0));
        let results: Vec<Result<()>> = samples
            .par_iter()
            .map(|sample| {
                let result = self.prepare_one(sample, masks);
                bar.set_position(done.fetch_add(1, Ordering::Relaxed) as u64 + 1);
                result
            })
            .collect();
        bar.finish();
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for (sample, result) in samples.into_iter().zip(results) {
            match result {
                Ok(()) => good.push(sample),
                Err(error @ Error::Diffvp(diffvp::Error::Write { .. })) => return Err(error),
                Err(error) => bad.push(error),
            }
        }
        Ok((good, bad))
    }

    fn prepare_one(&self, sample: &Sample, masks: Masks) -> Result<()> {
        let wrong = |error: diffvp::Error| Error::data(&sample.scan.path, error.to_string());
        let volume_file = self.volumes.join(format!("{}.f16", sample.name));
        let organs_file = self.organs.join(format!("{}.u8", sample.name));
        let findings_file = self.findings.join(format!("{}.u8", sample.name));
        let have = |path: &Path, bytes: usize| path.metadata().is_ok_and(|m| m.len() == bytes as u64);
        let cells = self.grid.iter().product::<usize>();
        let volume_there = have(&volume_file, 2 * self.shape.iter().product::<usize>());
        let organs_there = !masks.organs || have(&organs_file, cells * ORGAN_CLASSES);
        let findings_there = !masks.findings || have(&findings_file, cells * FINDINGS.len());
        if volume_there && organs_there && findings_there {
            return Ok(());
        }
        let scan = sample.open()?;
        let input = self.preprocessing.apply(scan.volume()).map_err(wrong)?;
        if input.shape != self.shape {
            let detail = format!("prepared to {:?}, and the model takes {:?}", input.shape, self.shape);
            return Err(Error::training(format!("preprocessing: {detail}")));
        }
        if !volume_there {
            let values: Vec<u8> = input.values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect();
            write_atomic(&volume_file, |out| out.write_all(&values))?;
        }
        if organs_there && findings_there {
            return Ok(());
        }
        let cells = CellGrid::new(self.shape, self.grid, scan.volume().dims(), &input.grid);
        if !organs_there {
            let path = sample.organs.as_ref().ok_or_else(|| {
                Error::data(
                    &sample.scan.path,
                    "has no organ mask to train the encoder on: set encoder.weights and 0 epochs",
                )
            })?;
            let shares = cells.shares(&mask(path, scan.volume())?, ORGAN_CLASSES);
            let shares = shares.map_err(|detail| Error::data(path, detail))?;
            write_atomic(&organs_file, |out| out.write_all(&shares))?;
        }
        if !findings_there {
            let folder = sample.finding_masks.as_ref().ok_or_else(|| {
                Error::data(
                    &sample.scan.path,
                    "has no masks of findings: set encoder.finding_weight and classifier.mask_weight to 0",
                )
            })?;
            let mut shares = Vec::with_capacity(cells.count() * FINDINGS.len());
            for finding in FINDINGS {
                let path = folder.join(format!("{finding}.nii.gz"));
                if path.is_file() {
                    let both = cells.shares(&mask(&path, scan.volume())?, 2);
                    // The second class is inside.
                    shares.extend_from_slice(&both.map_err(|detail| Error::data(&path, detail))?[cells.count()..]);
                } else {
                    shares.resize(shares.len() + cells.count(), 0);
                }
            }
            write_atomic(&findings_file, |out| out.write_all(&shares))?;
        }
        Ok(())
    }

    /// The first channel of a prepared volume, `[s, h, w]`.
    ///
    /// # Errors
    /// As [`Wanted::read`].
    pub(super) fn first_channel(&self, sample: &Sample) -> Result<Vec<f32>> {
        let bytes = self.volumes(&[sample]).bytes()?;
        let [_, s, h, w] = self.shape;
        let stored = bytes.as_chunks().0.iter().take(s * h * w).map(|b| f16::from_le_bytes(*b).to_f32());
        Ok(match self.windows.first() {
            Some(window) => {
                let (shift, divisor) = window.shift_and_divisor();
                stored.map(|x| (x.clamp(window.min, window.max) + shift) / divisor).collect()
            }
            None => stored.collect(),
        })
    }

    /// Shape of the volumes in the cache `[channels, s, h, w]`, and the feature grid.
    pub(super) fn shape_and_grid(&self) -> ([usize; 4], [usize; 3]) {
        (self.shape, self.grid)
    }

    /// Scans that are computed at a time where no gradient is asked for: a GPU takes as many as fill it.
    pub(super) fn at_once(&self, device: Device) -> usize {
        const VOXELS: usize = 48 << 20;
        let [_, s, h, w] = self.shape;
        if device.is_cuda() { (VOXELS / (s * h * w)).clamp(8, 64) } else { 8 }
    }

    /// Prepared volumes `[b, channels, s, h, w]`.
    pub(super) fn volumes(&self, samples: &[&Sample]) -> Wanted {
        let paths = samples.iter().map(|s| self.volumes.join(format!("{}.f16", s.name))).collect();
        let shape = self.shape.map(|n| n as i64).to_vec();
        Wanted { paths, shape, kind: Kind::Half, unit: 1.0, windows: self.windows.clone() }
    }

    /// Organ shares `[b, classes, s', h', w']`, from 0 to 1.
    pub(super) fn organs(&self, samples: &[&Sample]) -> Wanted {
        let paths = samples.iter().map(|s| self.organs.join(format!("{}.u8", s.name))).collect();
        self.shares(paths, ORGAN_CLASSES)
    }

    /// Part of each cell inside the mask of each finding `[b, findings, s', h', w']`, from 0 to 1; above 0 wherever the mask has
    /// a voxel.
    pub(super) fn findings(&self, samples: &[&Sample]) -> Wanted {
        let paths = samples.iter().map(|s| self.findings.join(format!("{}.u8", s.name))).collect();
        self.shares(paths, FINDINGS.len())
    }

    fn shares(&self, paths: Vec<PathBuf>, classes: usize) -> Wanted {
        let shape = [classes].into_iter().chain(self.grid).map(|n| n as i64).collect();
        Wanted { paths, shape, kind: Kind::Uint8, unit: 255.0, windows: Vec::new() }
    }

    /// Encoder features `[b, v, c]`.
    pub(super) fn features(&self, samples: &[&Sample]) -> Wanted {
        let shape = vec![self.grid.iter().product::<usize>() as i64, self.channels_out as i64];
        let paths = samples.iter().map(|s| self.features.join(format!("{}.f16", s.name))).collect();
        Wanted { paths, shape, kind: Kind::Half, unit: 1.0, windows: Vec::new() }
    }

    /// What the features of scans have in common; up to 512 scans tell.
    ///
    /// # Errors
    /// As [`Wanted::read`].
    pub(super) fn feature_statistics(&self, samples: &[Sample]) -> Result<FeatureStatistics> {
        const MOST: usize = 512;
        let some: Vec<&Sample> = samples.iter().take(MOST).collect();
        let (mut sum, mut square) = (Tensor::from(0f32), Tensor::from(0f32));
        let over = |t: &Tensor| t.sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
        for batch in some.chunks(32) {
            let features = self.features(batch).read(Device::Cpu)?;
            (sum, square) = (sum + over(&features), square + over(&features.square()));
        }
        let count = some.len().max(1) as f64;
        let mean: Tensor = sum / count;
        let variance: Tensor = (square / count - mean.square()).clamp_min(0.0);
        Ok(FeatureStatistics {
            deviation: variance.mean(Kind::Double).sqrt().double_value(&[]) as f32,
            mean: Vec::try_from(mean.to_kind(Kind::Float).flatten(0, -1))?,
        })
    }

    /// Makes the features that are not there yet with `encode`: volumes `[b, …]` on a device → features `[b, v, c]`.
    ///
    /// # Errors
    /// Those of reading, encoding and writing.
    pub(super) fn make_features(
        &self,
        samples: &[Sample],
        device: Device,
        encode: impl Fn(&Tensor) -> Tensor,
    ) -> Result<()> {
        std::fs::create_dir_all(&self.features)
            .map_err(|source| diffvp::Error::Write { path: self.features.clone(), source })?;
        let file = |sample: &Sample| self.features.join(format!("{}.f16", sample.name));
        let missing: Vec<&Sample> = samples.iter().filter(|s| !file(s).exists()).collect();
        let bar = progress("encoding", missing.len(), true);
        let batches = missing.chunks(self.at_once(device));
        let wanted = |batch: &&[&Sample]| vec![self.volumes(batch)];
        each(batches, device, wanted, |batch, read| {
            let features = encode(&read[0]).to_kind(Kind::Half).to_device(Device::Cpu).contiguous();
            let mut bytes = vec![0u8; 2 * features.numel()];
            features.f_copy_data_u8(&mut bytes, features.numel())?;
            let each = bytes.len() / batch.len();
            let write = |(sample, bytes): (&&Sample, &[u8])| write_atomic(file(sample), |out| out.write_all(bytes));
            batch.par_iter().zip(bytes.par_chunks(each)).try_for_each(write)?;
            bar.inc(batch.len() as u64);
            Ok(())
        })?;
        bar.finish();
        Ok(())
    }
}

/// A label map on the scan's own grid.
fn mask(path: &Path, scan: &diffvp::Volume) -> Result<diffvp::Volume> {
    let mask = Scan::open(path).map_err(|e| Error::data(path, e.to_string()))?;
    if mask.volume().dims() != scan.dims() {
        return Err(Error::data(path, "the mask has another size than its scan"));
    }
    Ok(mask.volume().clone())
}

fn progress(what: &str, count: usize, show: bool) -> ProgressBar {
    let bar = if show { ProgressBar::new(count as u64) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} left {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_prefix(what.to_string());
    bar
}
