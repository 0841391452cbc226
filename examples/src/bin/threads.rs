//! Many scans on one shared reporter.
//!
//! `cargo run --release -p diffvp-examples --bin threads -- PACKAGE SCAN SCAN...`

use diffvp::{Reporter, Scan};

fn main() -> diffvp::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((package, scans)) = arguments.split_first().filter(|(_, scans)| !scans.is_empty()) else {
        eprintln!("usage: threads PACKAGE SCAN SCAN...");
        std::process::exit(2);
    };

    let reporter = Reporter::open(package)?;
    let reporter = &reporter;
    std::thread::scope(|scope| {
        let report = move |path: &String| Scan::open(path).and_then(|scan| reporter.report(&scan));
        let handles: Vec<_> = scans.iter().map(|path| scope.spawn(move || report(path))).collect();
        for (path, handle) in scans.iter().zip(handles) {
            match handle.join() {
                Ok(Ok(report)) => println!("{path}\n{report}\n"),
                Ok(Err(error)) => eprintln!("{path}: {error}"),
                Err(_) => eprintln!("{path}: the thread ended early"),
            }
        }
    });
    Ok(())
}
