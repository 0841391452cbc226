//! A report as it is written, stopped from another thread after a deadline.
//!
//! `cargo run --release -p diffvp-examples --bin stream -- SCAN PACKAGE [SECONDS]`

use std::io::Write;
use std::time::Duration;

use diffvp::{CancelToken, Error, Event, Flow, ReportOptions, Reporter, Scan};

fn main() -> diffvp::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(scan), Some(package)) = (arguments.first(), arguments.get(1)) else {
        eprintln!("usage: stream SCAN PACKAGE [SECONDS]");
        std::process::exit(2);
    };
    let deadline = Duration::from_secs(arguments.get(2).and_then(|s| s.parse().ok()).unwrap_or(60));

    let reporter = Reporter::open(package)?;
    let scan = Scan::open(scan)?;
    let cancel = CancelToken::default();
    let timer = cancel.clone();
    std::thread::spawn(move || {
        std::thread::sleep(deadline);
        timer.cancel();
    });

    let options = ReportOptions::default().cancel(cancel);
    let result = reporter.report_with(&scan, &options, |event| {
        match event {
            Event::Stage { stage, done } => eprintln!("[{:3.0} %] {stage:?}", 100.0 * done),
            Event::Text(text) => {
                print!("{text}");
                if std::io::stdout().flush().is_err() {
                    return Flow::Stop;
                }
            }
            _ => {}
        }
        Flow::Continue
    });
    println!();
    match result {
        Err(Error::Cancelled) => eprintln!("stopped after {deadline:?}"),
        other => drop(other?),
    }
    Ok(())
}
