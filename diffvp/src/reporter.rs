//! The whole flow on one screen: scan → volume → tokens → difference → prompt → text → report.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Instant;

use crate::decode::{Generator, Request, Sampler, TextEvent};
use crate::engine::Engine;
use crate::options::{Event, Flow, ReportOptions, Stage};
use crate::package::Manifest;
use crate::package::manifest::{BodyPart, Policy, Scope};
use crate::report::{Draft, Parts, Report, Timings};
use crate::runtime::{Device, GpuOptions, Kernels, Permits, SessionOptions};
use crate::scan::Scan;
use crate::vision::VolumeTensor;
use crate::{Error, Result, prompt};

/// Makes reports with one model package. `Send + Sync`: threads may share one and report at the same time.
///
/// ```no_run
/// # fn main() -> diffvp::Result<()> {
/// let reporter = diffvp::Reporter::open("models/demo.diffvp")?;
/// let scan = diffvp::Scan::open("study/")?;
/// println!("{}", reporter.report(&scan)?);
/// # Ok(())
/// # }
/// ```
pub struct Reporter {
    engine: RwLock<Arc<Engine>>,
    options: SessionOptions,
    permits: Permits,
}

/// Opens a [`Reporter`] with other than the default device, threads or library.
#[derive(Debug, Clone)]
pub struct ReporterBuilder {
    dir: PathBuf,
    options: SessionOptions,
    concurrency: usize,
}

impl ReporterBuilder {
    /// Where the graphs run; the processor by default.
    pub fn device(mut self, device: Device) -> Self {
        self.options.device = device;
        self
    }

    /// How a GPU is used: float32 products in full precision, reproducible, and nothing on the processor by default.
    pub fn gpu(mut self, options: GpuOptions) -> Self {
        self.options.gpu = options;
        self
    }

    /// Whose kernels multiply with the decoder's weights on the processor; by default the faster ones.
    pub fn kernels(mut self, kernels: Kernels) -> Self {
        self.options.kernels = kernels;
        self
    }

    /// Threads inside an operator; 0, the default, for all cores.
    pub fn threads(mut self, threads: usize) -> Self {
        self.options.threads = threads;
        self
    }

    /// Reports made at a time; further ones wait, and can be cancelled while they do. 0, the default, for no
    /// limit. Each running report holds its own working memory.
    pub fn concurrency(mut self, reports: usize) -> Self {
        self.concurrency = reports;
        self
    }

    /// The ONNX Runtime library; see [`crate::runtime`] for where it is looked for without this.
    pub fn library(mut self, path: impl Into<PathBuf>) -> Self {
        self.options.library = Some(path.into());
        self
    }

    /// Verifies the package and loads it.
    ///
    /// # Errors
    /// Those of [`Reporter::open`].
    pub fn build(self) -> Result<Reporter> {
        let engine = Engine::open(&self.dir, &self.options)?;
        let permits = Permits::new(self.concurrency);
        Ok(Reporter { engine: RwLock::new(Arc::new(engine)), options: self.options, permits })
    }
}

impl Reporter {
    /// Opens a package on the processor with all cores.
    ///
    /// # Errors
    /// A package that does not verify (see [`crate::package::Package::open`]), a graph that cannot be loaded,
    /// or an ONNX Runtime that cannot be found or used.
    pub fn open(dir: impl AsRef<Path>) -> Result<Reporter> {
        Reporter::builder(dir).build()
    }

    /// Begins to open a package with other settings.
    pub fn builder(dir: impl AsRef<Path>) -> ReporterBuilder {
        ReporterBuilder { dir: dir.as_ref().to_path_buf(), options: SessionOptions::default(), concurrency: 0 }
    }

    /// Opens the small model inside the library (feature `demo`), on the processor with all cores. It was trained on
    /// synthetic scans only; see [`crate::demo`].
    ///
    /// ```no_run
    /// # fn main() -> diffvp::Result<()> {
    /// println!("{}", diffvp::Reporter::demo()?.report(&diffvp::demo::scan()?)?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Write`] where the temporary folder cannot be written; an ONNX Runtime that cannot be found or used.
    #[cfg(feature = "demo")]
    pub fn demo() -> Result<Reporter> {
        Reporter::demo_with(|builder| builder)
    }

    /// [`Reporter::demo`] with other settings: `Reporter::demo_with(|builder| builder.threads(1))`.
    ///
    /// # Errors
    /// Those of [`Reporter::demo`].
    #[cfg(feature = "demo")]
    pub fn demo_with(configure: impl FnOnce(ReporterBuilder) -> ReporterBuilder) -> Result<Reporter> {
        crate::demo::open(configure)
    }

    /// The manifest of the package in use.
    pub fn manifest(&self) -> Manifest {
        self.engine().package.manifest().clone()
    }

    /// The device in use.
    pub fn device(&self) -> Device {
        self.options.device
    }

    /// Loads another package (or another version) and uses it for every report that begins from now on.
    /// Reports that are running finish on the one they began with. On an error nothing changes.
    ///
    /// # Errors
    /// Those of [`Reporter::open`].
    pub fn swap(&self, dir: impl AsRef<Path>) -> Result<()> {
        let engine = Arc::new(Engine::open(dir.as_ref(), &self.options)?);
        let old = {
            let mut current = self.engine.write().unwrap_or_else(|e| e.into_inner());
            std::mem::replace(&mut *current, engine)
        };
        // Freeing sessions takes time: not while readers wait.
        drop(old);
        Ok(())
    }

    /// Reports a scan with the default options.
    ///
    /// # Errors
    /// Those of [`Reporter::report_with`].
    pub fn report(&self, scan: &Scan) -> Result<Report> {
        self.report_with(scan, &ReportOptions::default(), |_| Flow::Continue)
    }

    /// Reports a scan, telling `on_event` of stages and of text as it comes.
    ///
    /// # Errors
    /// [`Error::OutOfScope`] for a scan that the manifest's scope excludes; [`Error::Cancelled`] after [`Flow::Stop`] or a cancelled token; [`Error::InvalidOption`];
    /// [`Error::ContextFull`]; [`Error::Inference`].
    pub fn report_with(
        &self,
        scan: &Scan,
        options: &ReportOptions,
        mut on_event: impl FnMut(Event<'_>) -> Flow,
    ) -> Result<Report> {
        let cancel = &options.cancel;
        let _permit = self.permits.take(cancel)?;
        let engine = self.engine();
        let manifest = engine.package.manifest();
        in_scope(scan, &manifest.scope, options.any_body_part)?;
        let sampler = Sampler::new(options.sampling, options.seed)?;
        let order = options.order(&manifest.generation.form)?;
        let limit = manifest.generation.max_new_tokens;
        let max_new_tokens = options.max_new_tokens.map_or(limit, |tokens| tokens.min(limit));
        let bank = engine.package.bank();
        let reference = options.reference.choose(bank.ids(), options.seed)?;
        let mut timings = Timings::default();
        let begin = Instant::now();
        let mut clock = Clock { stage_begin: begin };
        let mut enter = |stage: Stage| {
            let done = Stage::ALL.iter().position(|s| *s == stage).unwrap_or(0) as f32 / Stage::ALL.len() as f32;
            tracing::debug!(?stage, "a stage begins");
            cancel.check()?;
            proceed(on_event(Event::Stage { stage, done }))
        };

        enter(Stage::Preprocess)?;
        let prepared = manifest.preprocessing.apply_until(scan.volume(), &|| cancel.is_cancelled())?;
        let input = VolumeTensor::new(prepared, &manifest.vision)?;
        timings.preprocess = clock.lap();
        enter(Stage::Encode)?;
        let encoding = engine.encoder.encode(&input, cancel)?;
        timings.encode = clock.lap();
        enter(Stage::Classify)?;
        let probabilities = engine.classifier.classify(&input, cancel)?;
        timings.classify = clock.lap();
        enter(Stage::Contrast)?;
        let contrast = engine.difference.contrast(&encoding.tokens, bank.tokens(reference), cancel)?;
        timings.contrast = clock.lap();

        enter(Stage::Prefill)?;
        let draft = Draft::new(manifest, probabilities);
        let findings = prompt::findings_text(&manifest.findings_text, &draft.present());
        let rows = prompt::assemble(manifest, &engine.codec, &engine.embedding, &contrast, &findings, cancel)?;
        let generator = Generator {
            decoder: &engine.decoder,
            embedding: &engine.embedding,
            codec: &engine.codec,
            manifest,
            phrases: engine.package.phrases(),
        };
        let request = Request { prompt: rows, sampler, max_new_tokens, order, drafting: options.drafting, cancel };
        let written = generator.generate(request, &mut |event| match event {
            TextEvent::Prefilled => {
                timings.prefill = clock.lap();
                let done = (Stage::ALL.len() - 1) as f32 / Stage::ALL.len() as f32;
                proceed(on_event(Event::Stage { stage: Stage::Decode, done }))
            }
            TextEvent::Text(text) => proceed(on_event(Event::Text(text))),
        })?;
        timings.decode = clock.lap();
        timings.total = begin.elapsed();
        tracing::info!(tokens = written.generated_tokens, "a report was written in {:.0?}", timings.total);
        draft.finish(Parts {
            scan,
            engine: &engine,
            input: &input,
            encoding: &encoding,
            contrast,
            written,
            order,
            options,
            session: &self.options,
            reference,
            timings,
        })
    }

    fn engine(&self) -> Arc<Engine> {
        self.engine.read().unwrap_or_else(|e| e.into_inner()).clone()
    }
}

/// Refuses a scan that the model is not for.
fn in_scope(scan: &Scan, scope: &Scope, any_body_part: bool) -> Result<()> {
    let content = scan.content();
    if let (Policy::Refuse, Some(why)) = (scope.suspicious_hu, &content.not_hu) {
        return Err(Error::OutOfScope { detail: format!("the values do not look like Hounsfield units: {why}") });
    }
    match &content.not_chest {
        Some(why) if scope.body_part == BodyPart::Chest && !any_body_part => Err(Error::OutOfScope {
            detail: format!("the model reports chests, and this scan does not show one: {why}"),
        }),
        _ => Ok(()),
    }
}

struct Clock {
    stage_begin: Instant,
}

impl Clock {
    /// Time since the last lap.
    fn lap(&mut self) -> std::time::Duration {
        let now = Instant::now();
        let lap = now - self.stage_begin;
        self.stage_begin = now;
        lap
    }
}

fn proceed(flow: Flow) -> Result<()> {
    match flow {
        Flow::Continue => Ok(()),
        Flow::Stop => Err(Error::Cancelled),
    }
}
