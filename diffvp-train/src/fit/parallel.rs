//! Several processes that train one model: sums of gradients over TCP.
//!
//! `tch` does not reach libtorch's collectives (c10d, NCCL), and what is summed are a few MB a step, so rank 0
//! collects, adds in the order of the ranks, and sends back. The ranks are told by the variables that `torchrun` and
//! cluster schedulers set: `RANK`, `WORLD_SIZE`, `MASTER_ADDR`, `MASTER_PORT`, and `LOCAL_RANK` for the GPU.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tch::{Cuda, Device};

use crate::{Error, Result};

/// How long ranks wait for each other to appear.
const MEETING: Duration = Duration::from_secs(120);
/// Greeting of a rank: magic, then run token, then rank.
const MAGIC: [u8; 8] = *b"diffvp\x00\x01";
const TOKEN: &str = "DIFFVP_GROUP";

/// The processes of a run, as one of them sees them.
pub struct Group {
    /// 0 to `size` − 1; 0 writes files and shows progress.
    pub rank: usize,
    /// Number of processes.
    pub size: usize,
    /// Rank on this machine: which GPU is used.
    pub local_rank: usize,
    /// To rank 0, or from rank 0 to all others in order.
    links: Vec<TcpStream>,
    /// Processes that this one started.
    children: Vec<Child>,
}

impl Group {
    /// One process.
    pub fn alone() -> Self {
        Group { rank: 0, size: 1, local_rank: 0, links: Vec::new(), children: Vec::new() }
    }

    /// The group that the environment names, or `processes` on this machine, of which this is the first and
    /// starts the others with its own command line.
    ///
    /// # Errors
    /// Where the variables contradict each other, or a rank does not appear within two minutes.
    pub fn join(processes: usize) -> Result<Self> {
        if let Some(rank) = number("RANK")? {
            let size = number("WORLD_SIZE")?.ok_or_else(|| Error::training("RANK is set and WORLD_SIZE is not"))?;
            if rank >= size {
                return Err(Error::training(format!("RANK is {rank} of a WORLD_SIZE of {size}")));
            }
            let local_rank = number("LOCAL_RANK")?.unwrap_or(rank);
            if size == 1 {
                let mut group = Group::alone();
                group.local_rank = local_rank;
                return Ok(group);
            }
            let text =
                |name: &str| std::env::var(name).map_err(|_| Error::training(format!("RANK is set and {name} is not")));
            let (address, port) = (text("MASTER_ADDR")?, text("MASTER_PORT")?);
            let token = std::env::var(TOKEN).unwrap_or_default();
            let at = format!("{address}:{port}");
            if rank == 0 {
                let listener =
                    TcpListener::bind(&at).map_err(|e| Error::training(format!("cannot listen at {at}: {e}")))?;
                return Ok(Group {
                    rank,
                    size,
                    local_rank,
                    links: gather(&listener, size, &token)?,
                    children: Vec::new(),
                });
            }
            return Ok(Group { rank, size, local_rank, links: vec![call(&at, rank, &token)?], children: Vec::new() });
        }
        if processes <= 1 {
            return Ok(Group::alone());
        }
        Self::start(processes)
    }

    fn start(size: usize) -> Result<Self> {
        let failed = |e: std::io::Error| Error::training(format!("cannot start {size} processes: {e}"));
        let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        // So that nothing but the processes started here joins in.
        let token = diffvp::files::sha256(format!("{:?} {}", Instant::now(), std::process::id()).as_bytes());
        let program = std::env::current_exe().map_err(failed)?;
        let mut group = Group { rank: 0, size, local_rank: 0, links: Vec::new(), children: Vec::new() };
        for rank in 1..size {
            let mut command = Command::new(&program);
            command.args(std::env::args_os().skip(1)).env("RANK", rank.to_string()).env("LOCAL_RANK", rank.to_string());
            command.env("WORLD_SIZE", size.to_string()).env("MASTER_ADDR", "127.0.0.1");
            command.env("MASTER_PORT", port.to_string()).env(TOKEN, &token);
            group.children.push(command.spawn().map_err(failed)?);
        }
        group.links = gather(&listener, size, &token)?;
        Ok(group)
    }

    /// Where this process computes: with `cuda` on a GPU of its own.
    ///
    /// # Errors
    /// Where there is no such GPU.
    pub fn device(&self, cuda: bool) -> Result<Device> {
        if !cuda {
            return Ok(Device::Cpu);
        }
        if !Cuda::is_available() {
            return Err(Error::training(
                "no GPU: libtorch sees none. Build with the feature torch-cuda and a libtorch for CUDA, or leave out --cuda",
            ));
        }
        let count = Cuda::device_count();
        if count <= self.local_rank as i64 {
            return Err(Error::training(format!("process {} has no GPU of its own: there are {count}", self.rank)));
        }
        // Shapes of batches do not change, so that trying cuDNN's algorithms once pays.
        Cuda::cudnn_set_benchmark(true);
        // Each thread that reads would start a team of libtorch's, and they would keep the GPU's own thread from running.
        tch::set_num_threads(1);
        Ok(Device::Cuda(self.local_rank))
    }

    /// Adds the values of all ranks, element by element, in the order of the ranks; all get the same sum.
    ///
    /// # Errors
    /// Where another process has ended.
    pub fn sum(&mut self, values: &mut [f32]) -> Result<()> {
        let rank = self.rank;
        let gone = move |e: std::io::Error| {
            Error::training(format!(
                "rank {rank}: another process of the run has ended: {e}; start again with --resume"
            ))
        };
        let mut bytes = vec![0u8; 4 * values.len()];
        if rank > 0 {
            let link = &mut self.links[0];
            encode(values, &mut bytes);
            link.write_all(&bytes).map_err(gone)?;
            link.read_exact(&mut bytes).map_err(gone)?;
            decode(&bytes, |i, v| values[i] = v);
            return Ok(());
        }
        for link in &mut self.links {
            link.read_exact(&mut bytes).map_err(gone)?;
            decode(&bytes, |i, v| values[i] += v);
        }
        encode(values, &mut bytes);
        self.links.iter_mut().try_for_each(|link| link.write_all(&bytes).map_err(gone))
    }

    /// Waits until all ranks are here.
    ///
    /// # Errors
    /// As [`Group::sum`].
    pub fn wait(&mut self) -> Result<()> {
        self.sum(&mut [0.0])
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.links.clear();
        for child in &mut self.children {
            // They end by themselves: their link is closed.
            let _ = child.wait();
        }
    }
}

fn number(name: &str) -> Result<Option<usize>> {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .map(Some)
            .map_err(|_| Error::training(format!("the variable {name} is {text:?}, expected a number"))),
        Err(_) => Ok(None),
    }
}

fn encode(values: &[f32], bytes: &mut [u8]) {
    for (value, bytes) in values.iter().zip(bytes.chunks_exact_mut(4)) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
}

fn decode(bytes: &[u8], mut use_value: impl FnMut(usize, f32)) {
    for (i, bytes) in bytes.as_chunks().0.iter().enumerate() {
        use_value(i, f32::from_le_bytes(*bytes));
    }
}

/// Rank 0 waits for the others.
fn gather(listener: &TcpListener, size: usize, token: &str) -> Result<Vec<TcpStream>> {
    let failed = |e: std::io::Error| Error::training(format!("waiting for {size} processes: {e}"));
    listener.set_nonblocking(true).map_err(failed)?;
    let mut links: Vec<Option<TcpStream>> = (1..size).map(|_| None).collect();
    let start = Instant::now();
    while links.iter().any(Option::is_none) {
        match listener.accept() {
            Ok((stream, _)) => {
                if let Some(rank) = greet(&stream, token).filter(|&rank| (1..size).contains(&rank)) {
                    links[rank - 1] = Some(stream);
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock && start.elapsed() < MEETING => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(e) => return Err(failed(e)),
        }
    }
    Ok(links.into_iter().flatten().collect())
}

/// The rank of a process that greets with the token; anything else is not of this run.
fn greet(mut stream: &TcpStream, token: &str) -> Option<usize> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut greeting = vec![0; MAGIC.len() + token.len() + 4];
    stream.read_exact(&mut greeting).ok()?;
    let (head, rank) = greeting.split_at(MAGIC.len() + token.len());
    if head[..8] != MAGIC || &head[8..] != token.as_bytes() {
        return None;
    }
    stream.set_read_timeout(None).ok()?;
    stream.set_nodelay(true).ok()?;
    Some(u32::from_le_bytes(rank.try_into().ok()?) as usize)
}

fn call(at: &str, rank: usize, token: &str) -> Result<TcpStream> {
    let start = Instant::now();
    loop {
        match TcpStream::connect(at) {
            Ok(mut stream) => {
                let greeting = [&MAGIC[..], token.as_bytes(), &(rank as u32).to_le_bytes()].concat();
                let sent = stream.write_all(&greeting).and_then(|()| stream.set_nodelay(true));
                sent.map_err(|e| Error::training(format!("rank 0 at {at}: {e}")))?;
                return Ok(stream);
            }
            Err(_) if start.elapsed() < MEETING => std::thread::sleep(Duration::from_millis(50)),
            Err(e) => return Err(Error::training(format!("rank 0 does not answer at {at}: {e}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ranks_get_the_sum_and_strangers_are_not_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let mut stranger = TcpStream::connect(&at).unwrap();
        stranger.write_all(&[0; 40]).unwrap();
        let workers: Vec<_> = [2usize, 1]
            .map(|rank| {
                let at = at.clone();
                std::thread::spawn(move || {
                    let links = vec![call(&at, rank, "secret").unwrap()];
                    let mut group = Group { rank, size: 3, local_rank: rank, links, children: Vec::new() };
                    let mut values = [rank as f32, 10.0];
                    group.sum(&mut values).unwrap();
                    values
                })
            })
            .into();
        let links = gather(&listener, 3, "secret").unwrap();
        let mut group = Group { rank: 0, size: 3, local_rank: 0, links, children: Vec::new() };
        let mut values = [100.0, 10.0];
        group.sum(&mut values).unwrap();
        assert_eq!(values, [103.0, 30.0]);
        for worker in workers {
            assert_eq!(worker.join().unwrap(), [103.0, 30.0]);
        }
        assert!(group.sum(&mut values).unwrap_err().to_string().contains("--resume"));
    }
}
