//! Random calls of the whole surface, told by bytes: what a fuzzer and property tests run.

use std::ffi::{CStr, CString};

use super::memory::{Inputs, PATTERN, Places, word};
use super::{Arg, KINDS, Kind, ROWS, Row, Text};

/// A caller that makes random calls with handles old and new, and frees what is left.
pub struct Caller<'a> {
    inputs: &'a Inputs,
    /// Whether packages may be opened, which takes long.
    opens: bool,
    handles: Vec<(Kind, u64)>,
    /// Handles of others, which are used and not freed.
    lent: Vec<(Kind, u64)>,
    freed: Vec<u64>,
    long: CString,
}

impl<'a> Caller<'a> {
    pub fn new(inputs: &'a Inputs, opens: bool) -> Self {
        Caller {
            inputs,
            opens,
            handles: Vec::new(),
            lent: Vec::new(),
            freed: Vec::new(),
            long: CString::new("x/".repeat(5000)).expect("no NUL"),
        }
    }

    /// Lets random calls use a handle. It stays with its owner.
    pub fn lend(&mut self, kind: Kind, handle: u64) {
        self.lent.push((kind, handle));
    }

    /// Makes calls until the bytes are used up.
    pub fn run(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.iter().copied();
        while let Some(byte) = bytes.next() {
            let row = &ROWS[byte as usize % ROWS.len()];
            self.call(row, &mut bytes);
        }
    }

    fn call(&mut self, row: &Row, bytes: &mut impl Iterator<Item = u8>) {
        let mut places = Places::new(row.args);
        let mut words = Vec::with_capacity(row.args.len());
        for (index, arg) in row.args.iter().enumerate() {
            let choice = bytes.next().unwrap_or(0);
            words.push(self.word(*arg, choice, index, &mut places, row.name));
        }
        // SAFETY: places and arrays are as long as the functions may use.
        let status = unsafe { (row.call)(&words) };
        self.check(row, status, &words, &places);
    }

    fn word(&self, arg: Arg, choice: u8, index: usize, places: &mut Places, name: &str) -> u64 {
        let sane = !choice.is_multiple_of(8);
        match arg {
            Arg::Handle(kind) | Arg::HandleOrNull(kind) => self.handle(kind, choice, true),
            Arg::Freed(kind) => self.handle(kind, choice, false),
            Arg::Text(Text::PackagePath) if !self.opens || name == "diffvp_reporter_open" && choice > 8 => {
                word(c"/nowhere".as_ptr())
            }
            Arg::Text(text) if sane => self.inputs.text(text),
            Arg::Text(_) | Arg::TextOrNull => {
                let texts: [&CStr; 5] = [c"", c"/nowhere", c"\xff\xfe", &self.long, c"reference-000"];
                // Runtimes are not a matter of chance: naming another one than is loaded is an error anyway.
                if choice % 7 == 6 { 0 } else { word(texts[choice as usize % 5].as_ptr()) }
            }
            Arg::Out | Arg::OutOrNull | Arg::OutArray | Arg::OutArrayOrNull | Arg::Error => match choice % 16 {
                0 => 0,
                1 => places.word(index) + 1,
                _ => places.word(index),
            },
            Arg::Data(data) | Arg::DataOrNull(data) => match choice % 16 {
                0 => 0,
                1 => self.inputs.data(data) + 1,
                _ => self.inputs.data(data),
            },
            Arg::Number(good, bad) if sane || bad.is_empty() => good,
            Arg::Number(_, bad) => bad[choice as usize / 8 % bad.len()].0,
            Arg::Callback => u64::from(choice % 2),
            Arg::UserData => u64::from(choice),
        }
    }

    /// Mostly a handle of the right kind; else any other, a freed one, a stray number, null.
    fn handle(&self, kind: Kind, choice: u8, lent: bool) -> u64 {
        let pick = |list: &[u64]| if list.is_empty() { 0 } else { list[choice as usize / 8 % list.len()] };
        let lent = if lent { &self.lent[..] } else { &[] };
        let right: Vec<u64> =
            self.handles.iter().chain(lent).filter(|(k, _)| *k == kind).map(|(_, handle)| *handle).collect();
        let any: Vec<u64> = self.handles.iter().map(|(_, handle)| *handle).collect();
        match choice % 8 {
            0 => 0,
            1 => pick(&any),
            2 => pick(&self.freed),
            3 => pick(&[1, 0xdead_beef, u64::MAX, self.long.as_ptr().addr() as u64, pick(&any) ^ 1 << 30]),
            _ => pick(&right),
        }
    }

    /// Statuses are known ones, errors are told, results are kept.
    fn check(&mut self, row: &Row, status: i32, words: &[u64], places: &Places) {
        // SAFETY: a static string.
        let name = unsafe { CStr::from_ptr(diffvp_ffi::diffvp_status_name(status)) };
        assert!(name != c"unknown" && name != c"panic" && name != c"internal", "{}: {status} {name:?}", row.name);
        for (index, arg) in row.args.iter().enumerate() {
            let given = words[index].is_multiple_of(8) && words[index] != 0;
            match arg {
                Arg::Error if given && status != diffvp_ffi::DIFFVP_STATUS_OK => {
                    assert_ne!(places.value(index), PATTERN, "{} told no error", row.name);
                    self.handles.push((Kind::Error, places.value(index)));
                }
                Arg::Error if given => assert_eq!(places.value(index), PATTERN, "{}: an error on success", row.name),
                Arg::Out if status == diffvp_ffi::DIFFVP_STATUS_OK => self.keep(row.name, places.value(index)),
                Arg::Freed(_) if status == diffvp_ffi::DIFFVP_STATUS_OK && words[index] != 0 => {
                    self.handles.retain(|(_, handle)| *handle != words[index]);
                    self.freed.push(words[index]);
                }
                _ => {}
            }
        }
        if status != diffvp_ffi::DIFFVP_STATUS_OK {
            assert!(places.untouched(row.args), "{} failed and wrote a result", row.name);
        }
    }

    fn keep(&mut self, name: &str, value: u64) {
        let kind = match name {
            "diffvp_options_new" => Kind::Options,
            "diffvp_cancel_new" => Kind::Cancel,
            "diffvp_scan_open" | "diffvp_scan_from_dicom" | "diffvp_scan_from_hu_i16" | "diffvp_scan_from_hu_f32" => {
                Kind::Scan
            }
            "diffvp_reporter_open" => Kind::Reporter,
            "diffvp_reporter_report" | "diffvp_reporter_report_streaming" => Kind::Report,
            "diffvp_runtime_version" | "diffvp_runtime_library" => Kind::String,
            _ if name.starts_with("diffvp_reporter_") => Kind::String,
            _ => return,
        };
        self.handles.push((kind, value));
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        for (kind, handle) in self.handles.drain(..) {
            debug_assert!(KINDS.contains(&kind));
            // SAFETY: a function that frees takes any word.
            unsafe { kind.free(handle) };
        }
    }
}
