//! The handle table: what C holds as a pointer to an opaque struct is a number that names an entry here.
//!
//! A handle is 64 bits: kind, generation of the entry, index of the entry.
//! ```text
//!  63     59 58              24 23       0
//! ┌─────────┬──────────────────┬──────────┐
//! │  kind   │    generation    │  index   │
//! └─────────┴──────────────────┴──────────┘
//! ```
//! Kinds begin at 1, so a handle is never null, and it is never an address that a process of today's
//! systems can have. Freeing raises the generation, so an old handle is told apart from the one that uses the
//! entry now; an entry whose generations are used up is never used again.
//!
//! Lookups hand out an [`Arc`] and hold the lock no longer than that: a call keeps its objects alive when
//! another thread frees them, and nothing waits for a running report.

use std::any::Any;
use std::sync::{Arc, PoisonError, RwLock};

use crate::status::{
    DIFFVP_STATUS_INVALID_HANDLE, DIFFVP_STATUS_NULL_ARGUMENT, DIFFVP_STATUS_STALE_HANDLE,
    DIFFVP_STATUS_TOO_MANY_HANDLES, DIFFVP_STATUS_WRONG_KIND, Failure,
};

const INDEX_BITS: u32 = 24;
const GENERATION_BITS: u32 = 35;
const LAST_GENERATION: u64 = (1 << GENERATION_BITS) - 1;
const MAX_ENTRIES: usize = 1 << INDEX_BITS;

/// What a handle names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Error = 1,
    String = 2,
    Options = 3,
    Scan = 4,
    Cancel = 5,
    Reporter = 6,
    Report = 7,
}

impl Kind {
    const ALL: [Kind; 7] =
        [Kind::Error, Kind::String, Kind::Options, Kind::Scan, Kind::Cancel, Kind::Reporter, Kind::Report];

    /// The name of the C type.
    fn name(self) -> &'static str {
        match self {
            Kind::Error => "diffvp_error",
            Kind::String => "diffvp_string",
            Kind::Options => "diffvp_options",
            Kind::Scan => "diffvp_scan",
            Kind::Cancel => "diffvp_cancel",
            Kind::Reporter => "diffvp_reporter",
            Kind::Report => "diffvp_report",
        }
    }
}

/// A Rust object that C can hold, and the opaque C type that stands for it.
pub(crate) trait Object: Any + Send + Sync {
    /// The opaque struct of the header.
    type Handle;
    const KIND: Kind;
}

struct Entry {
    generation: u64,
    object: Option<(Kind, Arc<dyn Any + Send + Sync>)>,
}

struct Table {
    entries: Vec<Entry>,
    free: Vec<usize>,
}

static TABLE: RwLock<Table> = RwLock::new(Table { entries: Vec::new(), free: Vec::new() });

impl Table {
    fn insert(&mut self, kind: Kind, object: Arc<dyn Any + Send + Sync>) -> Option<u64> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.entries.len() < MAX_ENTRIES => {
                self.entries.push(Entry { generation: 0, object: None });
                self.entries.len() - 1
            }
            None => return None,
        };
        let entry = &mut self.entries[index];
        entry.object = Some((kind, object));
        Some((kind as u64) << (GENERATION_BITS + INDEX_BITS) | entry.generation << INDEX_BITS | index as u64)
    }

    fn find(&self, handle: u64, wanted: Kind) -> Result<(usize, &Arc<dyn Any + Send + Sync>), Failure> {
        let index = (handle & (MAX_ENTRIES as u64 - 1)) as usize;
        let generation = handle >> INDEX_BITS & LAST_GENERATION;
        let named = handle >> (GENERATION_BITS + INDEX_BITS);
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u64 == named);
        let name = wanted.name();
        let unknown =
            || Failure::new(DIFFVP_STATUS_INVALID_HANDLE, format!("not a {name}: this library never made this handle"));
        let (kind, entry) = kind.zip(self.entries.get(index)).ok_or_else(unknown)?;
        match &entry.object {
            Some((found, object)) if generation == entry.generation && *found == kind => {
                if kind == wanted {
                    return Ok((index, object));
                }
                Err(Failure::new(
                    DIFFVP_STATUS_WRONG_KIND,
                    format!("a {} was given where a {name} belongs", kind.name()),
                ))
            }
            _ if generation < entry.generation => {
                Err(Failure::new(DIFFVP_STATUS_STALE_HANDLE, format!("this {} was already freed", kind.name())))
            }
            _ => Err(unknown()),
        }
    }

    fn remove(&mut self, handle: u64, wanted: Kind) -> Result<Arc<dyn Any + Send + Sync>, Failure> {
        let (index, _) = self.find(handle, wanted)?;
        let entry = &mut self.entries[index];
        let (_, object) = entry.object.take().ok_or_else(|| Failure::internal("an entry without object was found"))?;
        entry.generation += 1;
        if entry.generation <= LAST_GENERATION {
            self.free.push(index);
        }
        Ok(object)
    }
}

/// Gives an object to C.
pub(crate) fn insert<T: Object>(object: T) -> Result<*mut T::Handle, Failure> {
    // A panic elsewhere cannot leave the table half changed: nothing in its functions calls out.
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    let handle = table.insert(T::KIND, Arc::new(object));
    let full = || Failure::new(DIFFVP_STATUS_TOO_MANY_HANDLES, format!("{MAX_ENTRIES} handles are in use: free some"));
    Ok(std::ptr::without_provenance_mut(handle.ok_or_else(full)? as usize))
}

/// The object that a handle names.
pub(crate) fn get<T: Object>(handle: *const T::Handle) -> Result<Arc<T>, Failure> {
    let number = not_null::<T>(handle)?;
    let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
    let (_, object) = table.find(number, T::KIND)?;
    Arc::clone(object).downcast().map_err(|_| Failure::internal("an entry holds another type than its kind"))
}

/// As [`get`], with null for none.
pub(crate) fn get_optional<T: Object>(handle: *const T::Handle) -> Result<Option<Arc<T>>, Failure> {
    if handle.is_null() { Ok(None) } else { get::<T>(handle).map(Some) }
}

/// Takes an object back from C. Calls that use it on other threads keep it alive until they end.
pub(crate) fn remove<T: Object>(handle: *mut T::Handle) -> Result<(), Failure> {
    let number = not_null::<T>(handle)?;
    let object = TABLE.write().unwrap_or_else(PoisonError::into_inner).remove(number, T::KIND)?;
    // Dropping a reporter takes time: not while others wait for the table.
    drop(object);
    Ok(())
}

fn not_null<T: Object>(handle: *const T::Handle) -> Result<u64, Failure> {
    match handle.addr() {
        0 => Err(Failure::new(DIFFVP_STATUS_NULL_ARGUMENT, format!("the {} is null", T::KIND.name()))),
        address => Ok(address as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Probe(u32);
    struct probe_handle;
    impl Object for Probe {
        type Handle = probe_handle;
        const KIND: Kind = Kind::String;
    }
    struct Other;
    impl Object for Other {
        type Handle = probe_handle;
        const KIND: Kind = Kind::Cancel;
    }

    fn code<T>(result: Result<T, Failure>) -> i32 {
        result.map(|_| 0).unwrap_or_else(|failure| failure.status())
    }

    #[test]
    fn misuse_is_told_apart() {
        let handle = insert(Probe(7)).unwrap();
        assert_eq!(get::<Probe>(handle).unwrap().0, 7);
        assert_eq!(code(get::<Other>(handle)), DIFFVP_STATUS_WRONG_KIND);
        assert_eq!(code(remove::<Other>(handle)), DIFFVP_STATUS_WRONG_KIND);
        assert_eq!(code(get::<Probe>(std::ptr::null())), DIFFVP_STATUS_NULL_ARGUMENT);
        for garbage in [1usize, 0xdead_beef, usize::MAX, handle.addr() ^ 1 << 63, handle.addr() + (1 << INDEX_BITS)] {
            assert_eq!(
                code(get::<Probe>(std::ptr::without_provenance(garbage))),
                DIFFVP_STATUS_INVALID_HANDLE,
                "{garbage:x}"
            );
        }
        let local = 0u64;
        assert_eq!(code(get::<Probe>((&raw const local).cast())), DIFFVP_STATUS_INVALID_HANDLE);
        remove::<Probe>(handle).unwrap();
        assert_eq!(code(get::<Probe>(handle)), DIFFVP_STATUS_STALE_HANDLE);
        assert_eq!(code(remove::<Probe>(handle)), DIFFVP_STATUS_STALE_HANDLE);
    }

    #[test]
    fn an_old_handle_never_names_a_new_object() {
        let old = insert(Probe(0)).unwrap();
        remove::<Probe>(old).unwrap();
        // More than 2¹⁶ reuses, where small generation counters would begin again.
        let rounds = if cfg!(miri) { 100 } else { 200_000 };
        for round in 0..rounds {
            let new = insert(Probe(round)).unwrap();
            assert_ne!(old, new);
            assert_eq!(code(get::<Probe>(old)), DIFFVP_STATUS_STALE_HANDLE);
            remove::<Probe>(new).unwrap();
        }
    }

    #[test]
    fn an_entry_without_generations_left_is_retired() {
        let mut table = Table { entries: Vec::new(), free: Vec::new() };
        let first = table.insert(Kind::Scan, Arc::new(1u8)).unwrap();
        table.entries[0].generation = LAST_GENERATION;
        let last = first | LAST_GENERATION << INDEX_BITS;
        assert!(table.find(last, Kind::Scan).is_ok());
        table.remove(last, Kind::Scan).unwrap();
        assert_eq!(code(table.find(last, Kind::Scan).map(|_| ())), DIFFVP_STATUS_STALE_HANDLE);
        let next = table.insert(Kind::Scan, Arc::new(2u8)).unwrap();
        assert_eq!(next & (MAX_ENTRIES as u64 - 1), 1);
        assert_eq!(code(table.find(first, Kind::Scan).map(|_| ())), DIFFVP_STATUS_STALE_HANDLE);
    }

    #[test]
    fn a_call_keeps_its_object_alive() {
        let handle = insert(Probe(3)).unwrap();
        let object = get::<Probe>(handle).unwrap();
        std::thread::scope(|scope| {
            let address = handle.addr();
            scope.spawn(move || remove::<Probe>(std::ptr::without_provenance_mut(address)).unwrap());
        });
        assert_eq!(object.0, 3);
        assert_eq!(code(get::<Probe>(handle)), DIFFVP_STATUS_STALE_HANDLE);
    }
}
