//! libdiffvp as a file: what it exports, what it is called, and that header and list say the same.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;

use diffvp_tests::c_program::{root, shared_library};
use object::read::elf::{Dyn, ElfFile64, FileHeader};
use object::{Object, ObjectSymbol, elf};

fn exported() -> BTreeSet<String> {
    let bytes = std::fs::read(shared_library()).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let defined = file.dynamic_symbols().filter(|symbol| symbol.is_definition());
    defined.map(|symbol| symbol.name().unwrap().to_owned()).collect()
}

fn listed() -> Vec<String> {
    let list = std::fs::read_to_string(root().join("diffvp-ffi/symbols.txt")).unwrap();
    list.lines().map(str::to_owned).collect()
}

/// Functions that the header declares, each as often as it does.
fn declared() -> Vec<String> {
    let header = std::fs::read_to_string(root().join("include/diffvp.h")).unwrap();
    let code = header.split("*/").map(|part| part.split("/*").next().unwrap());
    let declarations: String = code.collect();
    let calls = declarations.match_indices('(').filter_map(|(at, _)| {
        let name = declarations[..at].rsplit(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        name.starts_with("diffvp_").then(|| name.to_owned())
    });
    calls.collect()
}

#[test]
fn exactly_the_listed_symbols_are_exported() {
    let listed = listed();
    assert!(listed.is_sorted() && listed.len() > 50);
    assert_eq!(exported(), listed.iter().cloned().collect(), "exported (left) and diffvp-ffi/symbols.txt (right)");
}

#[test]
fn the_header_declares_what_is_exported() {
    let mut declared = declared();
    declared.sort();
    assert_eq!(declared, listed(), "include/diffvp.h (left) and diffvp-ffi/symbols.txt (right)");
}

#[test]
fn the_name_carries_the_version_of_the_interface_and_the_code_stays_loaded() {
    let bytes = std::fs::read(shared_library()).unwrap();
    let file = ElfFile64::<object::Endianness>::parse(&*bytes).unwrap();
    let (endian, data) = (file.endian(), file.data());
    let sections = file.elf_header().sections(endian, data).unwrap();
    let (entries, strings) = sections.dynamic(endian, data).unwrap().expect("a dynamic section");
    let strings = sections.strings(endian, data, strings).unwrap();
    let value = |tag| entries.iter().find(|entry| entry.tag(endian) == tag).expect("an entry");
    let name = value(elf::DT_SONAME).string(endian, strings).unwrap();
    assert_eq!(String::from_utf8_lossy(name), format!("libdiffvp.so.{}", diffvp_ffi::DIFFVP_ABI_VERSION));
    let flags = elf::DynamicFlags1(value(elf::DT_FLAGS_1).val(endian));
    assert_eq!(flags & elf::DF_1_NODELETE, elf::DF_1_NODELETE, "threads may outlive a dlclose");
    // ONNX Runtime is loaded at run time, from where the host says.
    let needed = entries.iter().filter(|entry| entry.tag(endian) == elf::DT_NEEDED);
    let needed: Vec<_> =
        needed.map(|entry| String::from_utf8_lossy(entry.string(endian, strings).unwrap()).into_owned()).collect();
    assert!(needed.iter().all(|library| !library.contains("onnx") && !library.contains("stdc++")), "{needed:?}");
}
