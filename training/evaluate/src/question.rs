//! The questions of a test set.

use anyhow::{Context, Result, ensure};
use seekvl::{Conversation, Message};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// A question and its true answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Question {
    /// The pictures, in a test set relative to its directory.
    pub images: Vec<PathBuf>,
    /// What kind of question it is, such as `scene/colour`: a group and a task.
    pub task: String,
    /// What is asked, without placeholders for the pictures.
    pub question: String,
    /// What the model should write, with the markup of boxes.
    pub answer: String,
}

impl Question {
    /// The part of the task before the slash.
    pub fn group(&self) -> &str {
        self.task.split_once('/').map_or(&self.task, |(group, _)| group)
    }

    /// What a model is given, with the pictures of the test set in `dir`.
    pub fn conversation(&self, dir: &Path) -> Conversation {
        Message::question(&self.question, self.images.iter().map(|image| dir.join(image).into())).into()
    }
}

/// Reads a test set: `questions.jsonl`, one question a line, or `questions.json`, a list of them.
///
/// # Errors
/// Neither file, one that cannot be read, or one without a question.
pub fn read(dir: &Path) -> Result<Vec<Question>> {
    let lines = dir.join("questions.jsonl");
    let path = if lines.is_file() { lines } else { dir.join("questions.json") };
    ensure!(path.is_file(), "{} has neither questions.jsonl nor questions.json", dir.display());
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let questions: serde_json::Result<Vec<Question>> = match path.extension() {
        Some(extension) if extension == "jsonl" => serde_json::Deserializer::from_str(&text).into_iter().collect(),
        _ => serde_json::from_str(&text),
    };
    let questions = questions.with_context(|| format!("in {}", path.display()))?;
    ensure!(!questions.is_empty(), "{} has no question", path.display());
    Ok(questions)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"images": ["a.png"], "task": "scene/colour", "question": "Which?", "answer": "red"}"#;

    #[test]
    fn lines_and_lists_are_read() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).is_err());
        fs::write(dir.path().join("questions.json"), format!("[{ONE}]")).unwrap();
        assert_eq!(read(dir.path()).unwrap().len(), 1);
        fs::write(dir.path().join("questions.jsonl"), format!("{ONE}\n{ONE}\n")).unwrap();
        let questions = read(dir.path()).unwrap();
        assert_eq!((questions.len(), questions[1].group()), (2, "scene"));
        fs::write(dir.path().join("questions.jsonl"), "\n").unwrap();
        assert!(read(dir.path()).is_err());
        fs::write(dir.path().join("questions.jsonl"), "{\"task\": 1}").unwrap();
        assert!(read(dir.path()).is_err());
    }
}
