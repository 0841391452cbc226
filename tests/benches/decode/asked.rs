//! Engines with a Python interface, asked line by line through a script of `tests/reference/`.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use diffvp_exporter::config::LlamaConfig;

use crate::{AnyError, Arguments, Engine};

pub(crate) struct Asked {
    process: Child,
    asked: ChildStdin,
    told: BufReader<ChildStdout>,
    name: String,
}

impl Asked {
    /// llama.cpp; makes a Q4_0 model of the shape beside `model`, if there is none.
    pub(crate) fn llama_cpp(
        python: &Path,
        config: &LlamaConfig,
        model: &Path,
        arguments: &Arguments,
    ) -> Result<Self, AnyError> {
        let file = model.with_extension("gguf");
        Asked::start(python, "llama_cpp_speed.py", &["--model".as_ref(), file.as_os_str()], config, arguments)
    }

    /// transformers, with weights in bfloat16.
    pub(crate) fn transformers(python: &Path, config: &LlamaConfig, arguments: &Arguments) -> Result<Self, AnyError> {
        Asked::start(python, "transformers_speed.py", &[], config, arguments)
    }

    /// onnxruntime-genai; makes a model of the shape with blocks of so many weights beside `model`, if there is none.
    pub(crate) fn genai(
        python: &Path,
        config: &LlamaConfig,
        block: usize,
        model: &Path,
        arguments: &Arguments,
    ) -> Result<Self, AnyError> {
        let (folder, block) = (model.with_extension("genai"), block.to_string());
        let further = [OsStr::new("--model"), folder.as_os_str(), "--block".as_ref(), block.as_ref()];
        Asked::start(python, "genai_speed.py", &further, config, arguments)
    }

    fn start(
        python: &Path,
        script: &str,
        further: &[&OsStr],
        config: &LlamaConfig,
        arguments: &Arguments,
    ) -> Result<Self, AnyError> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference").join(script);
        let mut command = Command::new(python);
        command.arg(path).args(further).args(["--config", &serde_json::to_string(config)?]);
        command.args(["--past", &arguments.past.to_string(), "--threads", &arguments.threads.to_string()]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let asked = process.stdin.take().ok_or("no input of the script")?;
        let told = BufReader::new(process.stdout.take().ok_or("no output of the script")?);
        let mut engine = Asked { process, asked, told, name: script.to_owned() };
        engine.name = engine.line()?;
        Ok(engine)
    }

    fn line(&mut self) -> Result<String, AnyError> {
        let mut line = String::new();
        if self.told.read_line(&mut line)? == 0 {
            return Err(format!("{} ended; its message is above", self.name).into());
        }
        Ok(line.trim().to_owned())
    }

    fn ask(&mut self, question: &str) -> Result<f64, AnyError> {
        writeln!(self.asked, "{question}")?;
        Ok(self.line()?.parse()?)
    }
}

impl Engine for Asked {
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

impl Drop for Asked {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
