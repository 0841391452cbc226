//! `diffvp-train eval judge`.

use std::io::Write;
use std::path::{Path, PathBuf};

use diffvp_train::eval::judge::{
    Key, Prompt, default_axes, prompts, read_answers, read_axes, tally, tally_json, tally_markdown,
};
use diffvp_train::eval::text::{Pair, PairSource, Strip};
use diffvp_train::{Error, Result};

use super::text::write_json;

/// Answers that are named in an error.
const NAMED: usize = 20;

/// Pairwise judgement of reports by a language model, or by readers.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Write the questions as JSONL, and the key that says which report was whose.
    Prompts(PromptArguments),
    /// Count the answers.
    Tally(TallyArguments),
    /// Print the built-in axes as JSON, to be changed and given to `prompts --axes`.
    Axes,
}

/// Write one question for each study and axis: {"id", "axis", "prompt"} a line.
///
/// Any judge may answer: one line {"id": …, "answer": 1 or 2} for each question. Keep the key from the judge.
#[derive(clap::Args)]
struct PromptArguments {
    /// Table of method A's predictions.
    a: PathBuf,
    /// Table of method B's predictions, row by row of the same studies.
    b: PathBuf,
    /// Column of the references, in both tables.
    #[arg(long, value_name = "COLUMN")]
    reference: String,
    /// Column of the predictions, in both tables.
    #[arg(long, value_name = "COLUMN")]
    prediction: String,
    /// Headings taken off all texts.
    #[arg(long, value_enum, default_value = "none")]
    strip: Strip,
    /// Axes in place of the built-in five: JSON as `eval judge axes` prints it.
    #[arg(long, value_name = "AXES.json")]
    axes: Option<PathBuf>,
    /// Seed of the order of the reports.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Ask every question twice, once in either order.
    #[arg(long)]
    both_orders: bool,
    /// Only this many studies, drawn at random with the seed.
    #[arg(long, value_name = "N")]
    studies: Option<usize>,
    /// Where the questions go.
    #[arg(long, value_name = "PROMPTS.jsonl")]
    out: PathBuf,
    /// Where the key goes.
    #[arg(long, value_name = "KEY.json")]
    key: PathBuf,
}

/// Turn answers into win rates with Wilson intervals.
///
/// Draws, malformed, repeated and missing answers are refused by name, and nothing is counted, unless --leave-out-refused.
#[derive(clap::Args)]
struct TallyArguments {
    /// The answers, one JSON object a line.
    answers: PathBuf,
    /// The key that `prompts` wrote.
    #[arg(long, value_name = "KEY.json")]
    key: PathBuf,
    /// Count the rest where answers are refused; they are listed in the JSON.
    #[arg(long)]
    leave_out_refused: bool,
    /// Write all numbers as JSON.
    #[arg(long, value_name = "OUT.json")]
    json: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Prompts(arguments) => write_prompts(arguments),
        Command::Tally(arguments) => count(arguments),
        Command::Axes => {
            println!("{}", serde_json::to_string_pretty(&default_axes()).unwrap_or_default());
            Ok(())
        }
    }
}

fn write_prompts(arguments: &PromptArguments) -> Result<()> {
    let read = |path: &Path| -> Result<(String, Vec<Pair>)> {
        let source = PairSource {
            path: path.to_path_buf(),
            reference: arguments.reference.clone(),
            prediction: arguments.prediction.clone(),
            references: None,
            id: None,
        };
        Ok((source.name(), source.open()?.collect::<Result<_>>()?))
    };
    let ((mut name_a, mut a), (mut name_b, mut b)) = (read(&arguments.a)?, read(&arguments.b)?);
    if name_a == name_b {
        (name_a, name_b) = (with_folder(&arguments.a), with_folder(&arguments.b));
    }
    if let Some(count) = arguments.studies.filter(|_| a.len() == b.len()) {
        let kept = diffvp_train::eval::judge::draw(a.len(), count, arguments.seed);
        let keep = |pairs: Vec<Pair>| kept.iter().map(|&i| pairs[i].clone()).collect::<Vec<_>>();
        (a, b) = (keep(a), keep(b));
    }
    let axes = arguments.axes.as_deref().map_or_else(|| Ok(default_axes()), read_axes)?;
    let (seed, both) = (arguments.seed, arguments.both_orders);
    let (questions, key) = prompts((&name_a, &a), (&name_b, &b), &axes, arguments.strip, seed, both)?;
    write_lines(&arguments.out, &questions)?;
    write_json(&arguments.key, &serde_json::to_value(&key).unwrap_or_default())?;
    eprintln!("{} questions about {} studies on {} axes", questions.len(), a.len(), axes.len());
    Ok(())
}

/// The name of a file with its folder's, where names alone do not tell files apart.
fn with_folder(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts[parts.len().saturating_sub(2)..].join("/")
}

fn write_lines(path: &Path, questions: &[Prompt]) -> Result<()> {
    Ok(diffvp::files::write_atomic(path, |out| {
        for question in questions {
            serde_json::to_writer(&mut *out, question)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    })?)
}

fn count(arguments: &TallyArguments) -> Result<()> {
    let failed = |detail: String| Error::JudgeAnswers { path: arguments.key.clone(), detail };
    let text = std::fs::read_to_string(&arguments.key).map_err(|error| failed(error.to_string()))?;
    let key: Key = serde_json::from_str(&text).map_err(|error| failed(format!("not a key: {error}")))?;
    let answers = read_answers(&arguments.answers, &key)?;
    let refused = &answers.refused;
    if !refused.is_empty() {
        let mut named: Vec<String> = refused.iter().take(NAMED).map(|r| format!("  {}: {}", r.id, r.reason)).collect();
        if refused.len() > NAMED {
            named.push(format!("  and {} more", refused.len() - NAMED));
        }
        let named = named.join("\n");
        if !arguments.leave_out_refused {
            let detail = format!(
                "{} answers are refused:\n{named}\nAsk again, or count the rest with --leave-out-refused",
                refused.len()
            );
            return Err(Error::JudgeAnswers { path: arguments.answers.clone(), detail });
        }
        eprintln!("warning: {} answers are left out:\n{named}", refused.len());
    }
    let result = tally(&key, &answers);
    print!("{}", tally_markdown(&key, &result));
    if let Some(path) = &arguments.json {
        write_json(path, &tally_json(&key, &result))?;
    }
    Ok(())
}
