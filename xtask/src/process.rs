//! Running other programs, saying so.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Failure, Result, fail, say};

/// Root of the repository.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// Cargo, started in the root of the repository: the one that runs this program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// A command line as a shell would take it.
pub(crate) fn line(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        let plain = !argument.is_empty() && argument.chars().all(|c| c.is_alphanumeric() || "-_./=:,+\\".contains(c));
        text.push(' ');
        text.push_str(&if plain { argument.into_owned() } else { format!("'{}'", argument.replace('\'', r"'\''")) });
    }
    text
}

/// Prints the command line, runs it with this program's standard streams, and passes its failure on.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    say(&line(command));
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|error| Failure::Sentence(format!("{name} cannot be started: {error}")))?;
    if status.success() { Ok(()) } else { Err(Failure::Said(status.code().unwrap_or(1))) }
}

/// Runs a command and gives its standard output; its standard error is shown.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let shown = line(command);
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| Failure::Sentence(format!("{shown} cannot be started: {error}")))?;
    if output.status.success() { Ok(output.stdout) } else { fail(format!("{shown} failed ({})", output.status)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_can_be_pasted_into_a_shell() {
        let mut command = Command::new("diffvp");
        command.args(["report", "a b/it's", "--seed=1", ""]);
        assert_eq!(line(&command), r"diffvp report 'a b/it'\''s' --seed=1 ''");
    }
}
