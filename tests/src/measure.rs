//! What a program takes while it runs.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// Runs a program to its end; also gives the most memory that it held, in bytes, where the system tells it
/// (Linux). The last look is up to 5 ms old, which is after the work of any report.
pub fn run_measured(command: &mut Command) -> std::io::Result<(Output, Option<u64>)> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let waiter = std::thread::spawn(move || Child::wait_with_output(child));
    let mut peak = None;
    while !waiter.is_finished() {
        peak = std::fs::read_to_string(&status).ok().as_deref().and_then(peak_bytes).or(peak);
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = waiter.join().map_err(|_| std::io::Error::other("the waiting thread ended early"))??;
    Ok((output, peak))
}

/// `VmHWM` of `/proc/PID/status`.
fn peak_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_the_status() {
        let status = "Name:\tx\nVmPeak:\t  300 kB\nVmHWM:\t   1234 kB\nVmRSS:\t 1000 kB\n";
        assert_eq!(peak_bytes(status), Some(1234 * 1024));
        assert_eq!(peak_bytes("Name:\tx\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_that_holds_memory_shows_it() {
        let hold = "x=$(head -c 30000000 /dev/zero | tr '\\0' a); sleep 0.2; echo ${#x}";
        let (output, peak) = run_measured(Command::new("sh").args(["-c", hold])).unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "30000000");
        assert!(peak.unwrap() > 30_000_000, "{peak:?}");
    }
}
