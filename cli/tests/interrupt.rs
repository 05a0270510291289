//! Ctrl-C.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use support::{Run, seekvl, tiny};

/// An answer that fills the context, if nobody ends it.
fn long_answer() -> Child {
    let mut command = seekvl();
    command.args(["ask", "--json", "-q", "--max-tokens", "100000", "--no-repetition-guard", "--model"]);
    command.arg(tiny()).args(["--temperature", "5", "--seed", "3", "Hello"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn interrupt(child: &Child) {
    let kill = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

#[test]
fn ctrl_c_ends_the_answer_and_keeps_what_there_is() {
    for milliseconds in [20, 50, 100, 200, 400, 800] {
        let child = long_answer();
        sleep(Duration::from_millis(milliseconds));
        interrupt(&child);
        let run = Run::from(child.wait_with_output().unwrap());
        // Before the answer Ctrl-C ends the program, and it may come after the answer.
        if run.code == Some(130) && !run.stdout.is_empty() {
            let answer = run.json();
            assert_eq!(answer["finish_reason"], "cancelled");
            assert!(answer["prompt_tokens"].as_u64().unwrap() > 0);
            return;
        }
    }
    panic!("no answer was ever interrupted");
}
