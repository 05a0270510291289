//! `seekvl completions`, `--help` and `--version`.

mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use support::run;

const COMMANDS: [&str; 8] = ["ask", "ocr", "ground", "chat", "plan", "inspect", "doctor", "completions"];

#[test]
fn scripts_know_every_command_and_its_flags() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).succeeds().stdout;
        for word in COMMANDS.into_iter().chain(["max-tiles", "as-stored", "reference"]) {
            assert!(script.contains(word), "{word} is not in the script for {shell}");
        }
    }
}

#[test]
fn bash_takes_its_script() {
    let script = run(&["completions", "bash"]).succeeds().stdout;
    let bash = Command::new("bash").args(["--norc", "-n"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    // Not every machine has one.
    let Ok(mut bash) = bash else { return };
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = bash.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn help_names_the_commands_and_the_exit_codes() {
    let help = run(&["--help"]).succeeds().stdout;
    for word in COMMANDS.into_iter().chain(["Exit codes", "130"]) {
        assert!(help.contains(word), "{word} is not in the help");
    }
    for command in COMMANDS {
        let help = run(&[command, "--help"]).succeeds().stdout;
        assert!(help.contains(&format!("seekvl {command}")), "{command}");
        assert!(help.contains("Examples:"), "{command}");
    }
    assert!(run(&["--version"]).succeeds().stdout.starts_with("seekvl "));
}
