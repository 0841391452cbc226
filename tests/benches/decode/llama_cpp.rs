//! llama.cpp, asked line by line through `tests/reference/llama_cpp_speed.py`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use diffvp_exporter::config::LlamaConfig;

use crate::{AnyError, Engine};

pub(crate) struct LlamaCpp {
    process: Child,
    asked: ChildStdin,
    told: BufReader<ChildStdout>,
    name: String,
}

impl LlamaCpp {
    /// Makes a Q4_0 model of the shape beside `model`, if there is none, and loads it.
    pub(crate) fn start(
        python: &Path,
        config: &LlamaConfig,
        model: &Path,
        past: usize,
        threads: usize,
    ) -> Result<Self, AnyError> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/llama_cpp_speed.py");
        let mut command = Command::new(python);
        command.arg(script).args(["--model".as_ref(), model.with_extension("gguf").as_os_str()]);
        command.args(["--config", &serde_json::to_string(config)?]);
        command.args(["--past", &past.to_string(), "--threads", &threads.to_string()]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let asked = process.stdin.take().ok_or("no input of the script")?;
        let told = BufReader::new(process.stdout.take().ok_or("no output of the script")?);
        let mut engine = LlamaCpp { process, asked, told, name: String::new() };
        engine.name = engine.line()?;
        Ok(engine)
    }

    fn line(&mut self) -> Result<String, AnyError> {
        let mut line = String::new();
        if self.told.read_line(&mut line)? == 0 {
            return Err("llama_cpp_speed.py ended; its message is above".into());
        }
        Ok(line.trim().to_owned())
    }

    fn ask(&mut self, question: &str) -> Result<f64, AnyError> {
        writeln!(self.asked, "{question}")?;
        Ok(self.line()?.parse()?)
    }
}

impl Engine for LlamaCpp {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn prefill(&mut self, rows: usize) -> Result<f64, AnyError> {
        self.ask(&format!("prefill {rows}"))
    }

    fn steps(&mut self, rows: usize, steps: usize) -> Result<f64, AnyError> {
        self.ask(&format!("steps {rows} {steps}"))
    }
}

impl Drop for LlamaCpp {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
