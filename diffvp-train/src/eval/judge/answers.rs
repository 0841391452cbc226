//! A judge's answers, one JSON object a line: `{"id": "row1-axis2", "answer": 1}`.

use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;

use serde_json::Value;

use super::prompts::Key;
use crate::{Error, Result};

/// An answer that is not counted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Refusal {
    /// Name of the question, or the line where there is none.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// What was answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// For each question, whether the first report was chosen.
    pub first_chosen: HashMap<String, bool>,
    /// Answers that are not counted, and questions without one.
    pub refused: Vec<Refusal>,
}

/// Reads answers to the questions of a key. An answer is the number 1 or 2, or a text that is one of them but for white space;
/// everything else is refused by the question's name, as are draws, second answers and answers to questions not asked.
///
/// # Errors
/// [`Error::JudgeAnswers`] where the file cannot be read.
pub fn read_answers(path: &Path, key: &Key) -> Result<Answers> {
    let failed = |detail: String| Error::JudgeAnswers { path: path.to_path_buf(), detail };
    let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    let known: std::collections::HashSet<&str> = key.entries.iter().map(|entry| entry.id.as_str()).collect();
    let mut answers = Answers::default();
    let mut seen = std::collections::HashSet::new();
    for (number, line) in std::io::BufReader::new(file).split(b'\n').enumerate() {
        let line = line.map_err(|error| failed(error.to_string()))?;
        let here = format!("line {}", number + 1);
        let mut refuse = |id: String, reason: String| answers.refused.push(Refusal { id, reason });
        if line.trim_ascii().is_empty() {
            continue;
        }
        let value: Value = match serde_json::from_slice(&line) {
            Ok(value) => value,
            Err(error) => {
                refuse(here, format!("not JSON: {error}"));
                continue;
            }
        };
        let Some(id) = value.get("id").and_then(Value::as_str) else {
            refuse(here, "no text `id`".into());
            continue;
        };
        if !known.contains(id) {
            refuse(here, format!("`{id}` was not asked"));
        } else if !seen.insert(id.to_owned()) {
            answers.first_chosen.remove(id);
            refuse(id.to_owned(), format!("answered more than once (again in {here}); none of its answers is counted"));
        } else {
            match choice(value.get("answer")) {
                Ok(first) => _ = answers.first_chosen.insert(id.to_owned(), first),
                Err(reason) => refuse(id.to_owned(), reason),
            }
        }
    }
    for entry in key.entries.iter().filter(|entry| !seen.contains(&entry.id)) {
        answers.refused.push(Refusal { id: entry.id.clone(), reason: "no answer".into() });
    }
    Ok(answers)
}

fn choice(answer: Option<&Value>) -> std::result::Result<bool, String> {
    let text = match answer {
        None | Some(Value::Null) => return Err("no `answer`".into()),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(other) => other.to_string(),
    };
    match text.as_str() {
        "1" => Ok(true),
        "2" => Ok(false),
        _ if is_draw(&text) => Err(format!("a draw (`{}`), which is not among the choices", shortened(&text))),
        _ => Err(format!("`{}` is neither 1 nor 2", shortened(&text))),
    }
}

fn is_draw(text: &str) -> bool {
    let lower = text.to_lowercase();
    matches!(
        lower.as_str(),
        "0" | "1.5" | "1 and 2" | "1, 2" | "1/2" | "[1,2]" | "both" | "neither" | "equal" | "same" | "none"
    ) || lower.contains("tie")
        || lower.contains("draw")
        || lower.contains("equal")
}

fn shortened(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
