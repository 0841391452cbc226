//! One scan, one report.
//!
//! `cargo run --release -p diffvp-examples --bin report -- SCAN PACKAGE`

use diffvp::{Reporter, Scan};

fn main() -> diffvp::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scan, package] = arguments.as_slice() else {
        eprintln!("usage: report SCAN PACKAGE");
        std::process::exit(2);
    };

    let reporter = Reporter::open(package)?;
    let scan = Scan::open(scan)?;
    let report = reporter.report(&scan)?;

    println!("{report}");
    for finding in report.findings().iter().filter(|f| f.present) {
        println!("{}: {:.0} %", finding.name, 100.0 * finding.probability);
    }
    for warning in report.warnings() {
        println!("note: {warning}");
    }
    Ok(())
}
