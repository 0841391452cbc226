//! TensorBoard event files with scalars: `tensorboard --logdir RUN`.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use prost::Message;

use crate::{Error, Result};

/// `tensorflow.Event` (tensorflow/core/util/event.proto), as far as scalars need it.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

/// `tensorflow.Summary.Value`.
#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// An event file that grows. A reader that finds half a record at its end waits for the rest.
pub(super) struct EventFile(File);

impl EventFile {
    /// A new file in a folder; older ones of the folder are read together with it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn create(folder: &Path, step: u64) -> Result<Self> {
        let path = folder.join(format!("events.out.tfevents.{}.from-step-{step}", seconds() as u64));
        let file = File::create(&path).map_err(|source| diffvp::Error::Write { path, source })?;
        let mut events = EventFile(file);
        events.push(&Event { wall_time: seconds(), file_version: Some("brain.Event:2".into()), ..Event::default() })?;
        Ok(events)
    }

    /// Adds values of a step.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn scalars(&mut self, step: u64, values: &[(String, f64)]) -> Result<()> {
        let value = values.iter().map(|(tag, v)| Scalar { tag: tag.clone(), simple_value: *v as f32 }).collect();
        self.push(&Event {
            wall_time: seconds(),
            step: step as i64,
            summary: Some(Summary { value }),
            file_version: None,
        })
    }

    fn push(&mut self, event: &Event) -> Result<()> {
        let failed = |e: std::io::Error| Error::training(format!("TensorBoard file: {e}"));
        self.0.write_all(&record(&event.encode_to_vec())).map_err(failed)
    }
}

/// TFRecord framing: length, its masked CRC-32C, data, its masked CRC-32C.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut bytes = length.to_vec();
    bytes.extend(masked(&length).to_le_bytes());
    bytes.extend(data);
    bytes.extend(masked(data).to_le_bytes());
    bytes
}

fn masked(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn seconds() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |t| t.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that TensorFlow 2 writes for this event, made with `tf.io.TFRecordWriter`'s published rules:
    /// CRC-32C of "123456789" is 0xe3069283.
    #[test]
    fn checksums_are_masked_castagnoli() {
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(masked(b"123456789"), 0xe306_9283u32.rotate_right(15).wrapping_add(0xa282_ead8));
        let bytes = record(b"abc");
        assert_eq!((bytes.len(), &bytes[..8], &bytes[12..15]), (8 + 4 + 3 + 4, &3u64.to_le_bytes()[..], &b"abc"[..]));
    }

    #[test]
    fn scalars_are_events_of_the_published_fields() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = EventFile::create(folder.path(), 0).unwrap();
        file.scalars(7, &[("loss".into(), 0.5)]).unwrap();
        let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let bytes = std::fs::read(path).unwrap();
        let first = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let second = &bytes[first + 16..];
        let event = Event::decode(&second[12..second.len() - 4]).unwrap();
        let scalar = &event.summary.unwrap().value[0];
        assert_eq!((event.step, scalar.tag.as_str(), scalar.simple_value), (7, "loss", 0.5));
    }
}
