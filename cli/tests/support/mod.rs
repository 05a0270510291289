//! What the tests of the program have in common.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository's reference data.
pub fn reference() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/reference")).to_owned()
}

/// A small checkpoint with random weights, whose greedy answers are known.
pub fn tiny() -> PathBuf {
    reference().join("vl2-tiny-like")
}

pub fn image(name: &str) -> String {
    reference().join("images").join(name).to_str().unwrap().to_owned()
}

/// What the original implementation answers to a request of the reference.
pub struct Golden(Value);

impl Golden {
    pub fn request(name: &str) -> Self {
        let text = std::fs::read_to_string(tiny().join("golden.json")).unwrap();
        let mut golden: Value = serde_json::from_str(&text).unwrap();
        Self(golden["requests"][name].take())
    }

    pub fn ids(&self) -> &Value {
        &self.0["greedy_ids"][0]
    }

    /// The answer with special tokens, but without end of sentence.
    pub fn raw(&self) -> String {
        self.0["text"][0].as_str().unwrap().replace("<｜end▁of▁sentence｜>", "")
    }

    pub fn prompt_tokens(&self) -> &Value {
        &self.0["seq_lens"][0]
    }

    pub fn image_tokens(&self) -> &Value {
        &self.0["num_image_tokens"][0]
    }
}

pub fn seekvl() -> Command {
    Command::new(env!("CARGO_BIN_EXE_seekvl"))
}

/// Runs a command with the small model, the reference's number of tokens, and pixels as the reference has them.
pub fn with_tiny(command: &str, args: &[&str]) -> Run {
    let mut program = seekvl();
    program.arg(command).arg("--model").arg(tiny());
    program.arg("--as-stored").args(args);
    if !args.contains(&"--max-tokens") {
        program.args(["--max-tokens", "24"]);
    }
    Run::of(&mut program)
}

/// Runs with these arguments only.
pub fn run(args: &[&str]) -> Run {
    Run::of(seekvl().args(args))
}

/// What a run printed, and how it ended.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn of(command: &mut Command) -> Self {
        command.output().unwrap().into()
    }

    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// Fails with this code, nothing on standard output, and a message that holds all of `words`.
    #[track_caller]
    pub fn fails(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in {self:?}");
        }
        assert!(!self.stderr.contains("panicked"), "{self:?}");
        self
    }

    /// The one JSON value on standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON values on the lines of standard output.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Copies the files of a directory.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}
