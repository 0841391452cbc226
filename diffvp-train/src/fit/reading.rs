//! Files of the cache as tensors of a device, in the order in which they are asked for.
//!
//! A GPU would wait for the disk, and for one thread that reads, longer than it computes. So where there is one, the files of
//! the next batches are read in threads of their own, and go to the device as they are, in half the bytes of float32.

use std::collections::VecDeque;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};

use diffvp::volume::Window;
use tch::{Device, Kind, Tensor};

use crate::{Error, Result};

/// Batches under way to a GPU.
const AHEAD: usize = 6;

/// Files of one kind that make a batch.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// One file a scan.
    pub(super) paths: Vec<PathBuf>,
    /// Shape of one scan's tensor.
    pub(super) shape: Vec<i64>,
    /// Number type in the file.
    pub(super) kind: Kind,
    /// What stands for 1 in the file.
    pub(super) unit: f64,
    /// Windows that become the channels of the one that the file has; none to take it as it is.
    pub(super) windows: Vec<Window>,
}

impl Wanted {
    /// The batch `[b, …]`, in float32.
    ///
    /// # Errors
    /// Where a file of the cache is missing or damaged.
    pub(super) fn read(&self, device: Device) -> Result<Tensor> {
        let shape: Vec<i64> = [self.paths.len() as i64].into_iter().chain(self.shape.iter().copied()).collect();
        let stored = Tensor::f_from_data_size(&self.bytes()?, &shape, self.kind)?;
        let values = stored.f_to_device(device)?.f_to_kind(Kind::Float)?;
        if !self.windows.is_empty() {
            let channel = |window: &Window| {
                let (shift, divisor) = window.shift_and_divisor();
                let limited = values.f_clamp(f64::from(window.min), f64::from(window.max))?;
                limited.f_add_scalar(f64::from(shift))?.f_div_scalar(f64::from(divisor))
            };
            let channels = self.windows.iter().map(channel).collect::<std::result::Result<Vec<_>, _>>()?;
            return Ok(Tensor::f_cat(&channels, 1)?);
        }
        Ok(if self.unit == 1.0 { values } else { values.f_div_scalar(self.unit)? })
    }

    /// The files one behind the other.
    ///
    /// # Errors
    /// As [`Wanted::read`].
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        let size = self.shape.iter().product::<i64>() as usize * self.kind.elt_size_in_bytes();
        let mut bytes = Vec::with_capacity(size * self.paths.len());
        for (i, path) in self.paths.iter().enumerate() {
            let read = std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
            read.map_err(|e| Error::data(path, format!("cache: {e}")))?;
            if bytes.len() != size * (i + 1) {
                return Err(damaged(path));
            }
        }
        Ok(bytes)
    }
}

fn damaged(path: &Path) -> Error {
    Error::data(path, "the cache is damaged: remove this file and start again")
}

/// Batches that will be taken in the order in which they were asked for.
pub(super) struct Ahead {
    device: Device,
    queue: VecDeque<Reading>,
}

enum Reading {
    /// Read when it is taken.
    Later(Vec<Wanted>),
    /// Being read by another thread.
    Now(Receiver<Result<Vec<Tensor>>>),
}

impl Ahead {
    /// No batches yet, for a device.
    pub(super) fn new(device: Device) -> Self {
        Ahead { device, queue: VecDeque::new() }
    }

    /// Whether one more batch should be asked for before the next is taken.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < if self.device.is_cuda() { AHEAD } else { 1 }
    }

    /// Asks for the tensors of a batch.
    pub(super) fn ask(&mut self, wanted: Vec<Wanted>) {
        let reading = if self.device.is_cuda() { Self::start(wanted, self.device) } else { Reading::Later(wanted) };
        self.queue.push_back(reading);
    }

    fn start(wanted: Vec<Wanted>, device: Device) -> Reading {
        let (send, receive) = sync_channel(1);
        rayon::spawn(move || {
            // Nobody takes it where training has ended.
            let _ = send.send(read(&wanted, device));
        });
        Reading::Now(receive)
    }

    /// The tensors of the batch that was asked for first; none where nothing was.
    ///
    /// # Errors
    /// As [`Wanted::read`].
    pub(super) fn take(&mut self) -> Result<Vec<Tensor>> {
        match self.queue.pop_front() {
            Some(Reading::Later(wanted)) => read(&wanted, self.device),
            Some(Reading::Now(reading)) => {
                reading.recv().map_err(|_| Error::training("a thread that reads has died"))?
            }
            None => Ok(Vec::new()),
        }
    }
}

impl Drop for Ahead {
    /// The program must not end while a thread uses the GPU.
    fn drop(&mut self) {
        for reading in self.queue.drain(..) {
            if let Reading::Now(reading) = reading {
                let _ = reading.recv();
            }
        }
    }
}

fn read(wanted: &[Wanted], device: Device) -> Result<Vec<Tensor>> {
    wanted.iter().map(|files| files.read(device)).collect()
}

/// Gives each batch to `then`, in their order, with the tensors that it wants.
///
/// # Errors
/// As [`Wanted::read`], and those of `then`.
pub(super) fn each<B>(
    batches: impl Iterator<Item = B>,
    device: Device,
    wanted: impl Fn(&B) -> Vec<Wanted>,
    mut then: impl FnMut(B, Vec<Tensor>) -> Result<()>,
) -> Result<()> {
    let (mut batches, mut asked, mut ahead) = (batches.fuse(), VecDeque::new(), Ahead::new(device));
    loop {
        while ahead.has_room()
            && let Some(batch) = batches.next()
        {
            ahead.ask(wanted(&batch));
            asked.push_back(batch);
        }
        let Some(batch) = asked.pop_front() else { return Ok(()) };
        then(batch, ahead.take()?)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path, names: &[u8]) -> Vec<Wanted> {
        let path = |name: &u8| folder.join(format!("{name}.u8"));
        names.iter().for_each(|name| std::fs::write(path(name), [*name, 2 * name]).unwrap());
        vec![Wanted {
            paths: names.iter().map(path).collect(),
            shape: vec![2],
            kind: Kind::Uint8,
            unit: 10.0,
            windows: vec![],
        }]
    }

    #[test]
    fn batches_come_in_their_order_from_other_threads_and_from_this_one() {
        let folder = tempfile::tempdir().unwrap();
        let values = |mut tensors: Vec<Tensor>| Vec::<Vec<f32>>::try_from(tensors.remove(0)).unwrap();
        let mut ahead = Ahead::new(Device::Cpu);
        for first in [10, 20, 30] {
            let wanted = files(folder.path(), &[first, first + 1]);
            ahead.ask(wanted.clone());
            ahead.queue.push_back(Ahead::start(wanted, Device::Cpu));
        }
        for first in [1.0, 1.0, 2.0, 2.0, 3.0, 3.0] {
            let expected = [[first, 2.0 * first], [first + 0.1, 2.0 * first + 0.2]];
            for (found, expected) in values(ahead.take().unwrap()).iter().zip(expected) {
                assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-6), "{found:?} {expected:?}");
            }
        }
        assert!(ahead.take().unwrap().is_empty());
    }

    #[test]
    fn a_damaged_file_is_named_and_stops_the_batches() {
        let folder = tempfile::tempdir().unwrap();
        let mut wanted = files(folder.path(), &[1, 2, 3]);
        std::fs::write(folder.path().join("2.u8"), [0; 3]).unwrap();
        let mut seen = 0;
        let result = each(
            0..3,
            Device::Cpu,
            |i| vec![Wanted { paths: vec![wanted[0].paths[*i].clone()], ..wanted[0].clone() }],
            |_, _| {
                seen += 1;
                Ok(())
            },
        );
        assert!(result.unwrap_err().to_string().contains("2.u8") && seen == 1);
        wanted[0].paths[1] = folder.path().join("missing.u8");
        assert!(wanted[0].bytes().unwrap_err().to_string().contains("missing.u8"));
    }
}
