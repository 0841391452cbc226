//! The data set of a file: where it starts, its transfer syntax, and what it inflates to (PS3.10, 7.1).

use std::borrow::Cow;
use std::io::Read;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flate2::read::DeflateDecoder;

use super::element::{Encoding, Step, Walker};
use super::syntax::Syntax;
use super::values;
use crate::{Error, Result};

/// The most that a deflated data set may inflate to.
const MAX_INFLATED: u64 = 256 << 20;
/// What any number of data sets may inflate to at a time.
const FEW_INFLATED: u64 = 4 << 20;

/// Bytes of a data set. A large inflated one keeps the next from being inflated until it is dropped.
pub(super) struct DataSet<'a> {
    bytes: Cow<'a, [u8]>,
    _large: Option<MutexGuard<'static, ()>>,
}

impl Deref for DataSet<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The data set of a file: its bytes without preamble and meta group, inflated where needed.
pub(super) fn data_set<'a>(bytes: &'a [u8], syntax: &Syntax, start: usize) -> Result<DataSet<'a>> {
    let raw = bytes.get(start..).unwrap_or_default();
    if !syntax.deflated {
        return Ok(DataSet { bytes: Cow::Borrowed(raw), _large: None });
    }
    let mut inflated = Vec::new();
    let mut stream = DeflateDecoder::new(raw).take(MAX_INFLATED + 1);
    let mut damaged = stream.by_ref().take(FEW_INFLATED).read_to_end(&mut inflated).is_err();
    // Large ones one at a time: many small files can inflate to much.
    static LARGE: Mutex<()> = Mutex::new(());
    let large = if !damaged && inflated.len() as u64 == FEW_INFLATED {
        let guard = LARGE.lock().unwrap_or_else(PoisonError::into_inner);
        let most = (MAX_INFLATED + 1 - FEW_INFLATED) as usize;
        inflated.try_reserve_exact(most).map_err(|_| Error::LimitExceeded {
            what: "memory for an inflated data set, in bytes".into(),
            found: MAX_INFLATED,
            limit: 0,
        })?;
        damaged = stream.read_to_end(&mut inflated).is_err();
        Some(guard)
    } else {
        None
    };
    if inflated.len() as u64 > MAX_INFLATED {
        return Err(Error::LimitExceeded {
            what: "size of the inflated data set, in bytes".into(),
            found: inflated.len() as u64,
            limit: MAX_INFLATED,
        });
    }
    if damaged {
        return Err(Error::Corrupt { detail: "the deflated data set is damaged or breaks off".into() });
    }
    Ok(DataSet { bytes: Cow::Owned(inflated), _large: large })
}

/// Start of the data set and its transfer syntax; `None` if the bytes break off.
pub(super) fn meta(bytes: &[u8]) -> Result<Option<(usize, Syntax)>> {
    let start = match bytes {
        _ if bytes.get(128..132) == Some(b"DICM") => 132,
        _ if bytes.starts_with(b"DICM") => 4,
        _ => 0,
    };
    let rest = &bytes[start.min(bytes.len())..];
    let mut walker = Walker::new(rest, Encoding::EXPLICIT_LE);
    let mut uid = None;
    while rest.get(walker.position()..walker.position() + 2) == Some(&[2, 0]) {
        match walker.step()? {
            Step::Element(element) if element.tag == 0x0002_0010 => uid = Some(values::uid(&element)),
            Step::Element(_) => {}
            _ => return Ok(None),
        }
    }
    let at = start + walker.position();
    let syntax = match uid {
        Some(Some(uid)) => Syntax::from_uid(&uid),
        Some(None) => {
            return Err(Error::Corrupt { detail: "the transfer syntax is not a UID".into() });
        }
        None => guess_syntax(&bytes[at.min(bytes.len())..]),
    };
    Ok(Some((at, syntax)))
}

/// Without a meta group the first element shows the encoding.
fn guess_syntax(bytes: &[u8]) -> Syntax {
    let explicit = bytes.get(4..6).is_some_and(|vr| vr.iter().all(u8::is_ascii_uppercase));
    let big = bytes.first() == Some(&0) && bytes.get(1).is_some_and(|b| *b != 0);
    Syntax::from_uid(match (explicit, big) {
        (true, true) => "1.2.840.10008.1.2.2",
        (true, false) => "1.2.840.10008.1.2.1",
        _ => "1.2.840.10008.1.2",
    })
}
