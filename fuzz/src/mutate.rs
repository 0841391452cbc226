//! Mutations of several DICOM files that leave most of them readable.

use libfuzzer_sys::fuzzer_mutate;

use crate::dicom::{splice, walk};
use crate::{CUT, pieces};

/// Values at the edges of what headers hold.
const VALUES: [&[u8]; 14] = [
    b"",
    b"0 ",
    b"-1",
    b"1e39",
    b"-1e308 ",
    b"nan ",
    b"1\\0\\0\\0\\1\\0 ",
    b"0\\0\\1e9 ",
    b"-0\\0\\0.5",
    b"\x00\x00",
    b"\xff\xff",
    b"\x00\x80",
    b"\x08\x00",
    b"65535 ",
];

struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % count.max(1)
    }
}

/// Changes an input in place and gives its new length. Each piece has `lead` bytes before its file.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32, lead: usize) -> usize {
    let mut dice = Dice(u64::from(seed) << 20 | 1);
    let mut files: Vec<Vec<u8>> = pieces(&data[..size]).into_iter().map(<[u8]>::to_vec).collect();
    let at = dice.below(files.len());
    let done = match dice.below(10) {
        0..=1 => None,
        2 => {
            arrange(&mut files, at, &mut dice);
            Some(())
        }
        _ => change(&mut files, at, lead, &mut dice),
    };
    let joined = files.join(CUT);
    match done {
        Some(()) if joined.len() <= most => {
            data[..joined.len()].copy_from_slice(&joined);
            joined.len()
        }
        _ => fuzzer_mutate(data, size, most),
    }
}

/// Doubles, removes or swaps files.
fn arrange(files: &mut Vec<Vec<u8>>, at: usize, dice: &mut Dice) {
    let other = dice.below(files.len());
    match dice.below(3) {
        0 => files.insert(other, files[at].clone()),
        1 if files.len() > 1 => drop(files.remove(at)),
        _ => files.swap(at, other),
    }
}

/// Changes one element of a file.
fn change(files: &mut [Vec<u8>], at: usize, lead: usize, dice: &mut Dice) -> Option<()> {
    let from = dice.below(files.len());
    let donor = files[from].get(lead..)?.to_vec();
    let file = &mut files[at];
    let mut body = file.get(lead..)?.to_vec();
    let walked = walk(&body);
    let element = walked.elements.get(dice.below(walked.elements.len()))?.clone();
    let whole = element.start..element.end;
    match dice.below(8) {
        0 => splice(&mut body, &walked, &element, whole, &[]),
        1 => {
            let twice = body[whole.clone()].repeat(2);
            splice(&mut body, &walked, &element, whole, &twice);
        }
        // The same element of another file, or any.
        2 | 3 => {
            let others = walk(&donor).elements;
            let same = others.iter().find(|e| e.tag == element.tag).filter(|_| dice.below(4) > 0);
            let given = same.or_else(|| others.get(dice.below(others.len())))?;
            splice(&mut body, &walked, &element, whole, &donor[given.start..given.end]);
        }
        4 => {
            let value = VALUES[dice.below(VALUES.len())];
            splice(&mut body, &walked, &element, element.value..element.end, value);
        }
        _ => {
            let mut value = body[element.value..element.end].to_vec();
            let length = value.len();
            value.resize(length + 16, b' ');
            let mut length = fuzzer_mutate(&mut value, length, length + 16);
            length += length % 2;
            value.resize(length, b' ');
            splice(&mut body, &walked, &element, element.value..element.end, &value);
        }
    }
    file.truncate(lead);
    file.extend(body);
    Some(())
}
