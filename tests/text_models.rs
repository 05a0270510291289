//! Models that read text alone: their prompts, and what they refuse.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use seekvl::{Conversation, Error, GenerationOptions, Message, Model, Options, Processor};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

/// A copy of a checkpoint.
fn copy(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in fs::read_dir(reference(name)).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
    }
    dir
}

/// One with another chat template.
fn templated(name: &str, template: &str) -> tempfile::TempDir {
    let dir = copy(name);
    fs::write(dir.path().join("chat_template.jinja"), template).unwrap();
    dir
}

fn processor(dir: &Path) -> Result<Processor, Error> {
    Processor::read(&seekvl::ModelFiles::in_dir(dir)?)
}

/// A prompt as text.
fn prompt(dir: &Path, conversation: &Conversation) -> Result<String, Error> {
    let processor = processor(dir)?;
    let prompt = processor.prompt(conversation, &[])?;
    Ok(processor.tokenizer().decode(&prompt.ids, false))
}

fn dialogue() -> Conversation {
    Conversation::new()
        .with_system("Be brief.")
        .with(Message::user("Hi", []))
        .with(Message::assistant("Hello"))
        .with(Message::user("Bye", []))
}

#[test]
fn without_a_template_of_their_own_they_have_the_published_one() {
    for name in ["llm-like", "v2-like"] {
        let text = prompt(&reference(name), &dialogue()).unwrap();
        let expected = "<｜begin▁of▁sentence｜>Be brief.\n\nUser: Hi\n\nAssistant: Hello<｜end▁of▁sentence｜>User: Bye\n\nAssistant:";
        assert_eq!(text, expected, "{name}");
    }
    // The tokenizers of V3 and R1 have tokens for the roles.
    let dir = copy("v3-like");
    let path = dir.path().join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let taken = tokenizer["model"]["vocab"].as_object().unwrap().len().max(
        tokenizer["added_tokens"]
            .as_array()
            .unwrap()
            .iter()
            .map(|token| token["id"].as_u64().unwrap() as usize + 1)
            .max()
            .unwrap(),
    );
    for (i, content) in ["<｜User｜>", "<｜Assistant｜>"].into_iter().enumerate() {
        tokenizer["added_tokens"].as_array_mut().unwrap().push(json!({
            "id": taken + i, "content": content, "special": true,
            "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        }));
    }
    fs::write(&path, tokenizer.to_string()).unwrap();
    let config = dir.path().join("config.json");
    let wider = fs::read_to_string(&config).unwrap().replace("\"vocab_size\": 768", "\"vocab_size\": 896");
    fs::write(&config, wider).unwrap();
    let text = prompt(dir.path(), &dialogue()).unwrap();
    let expected = "<｜begin▁of▁sentence｜>Be brief.<｜User｜>Hi<｜Assistant｜>Hello<｜end▁of▁sentence｜><｜User｜>Bye<｜Assistant｜>";
    assert_eq!(text, expected);
}

#[test]
fn a_template_that_comes_with_a_checkpoint_is_used() {
    let template = "{{ bos_token }}{% for message in messages %}\n[{{ message['role'] | upper }}] {{ message.content.strip() }}{% endfor %}";
    let dir = templated("llm-like", template);
    let text = prompt(dir.path(), &dialogue()).unwrap();
    assert_eq!(text, "<｜begin▁of▁sentence｜>[SYSTEM] Be brief.[USER] Hi[ASSISTANT] Hello[USER] Bye");
}

#[test]
fn a_template_that_fails_is_an_error_with_its_file() {
    for template in [
        "{{ raise_exception('roles must alternate') }}",
        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in range(9999) %}{{ 'x' * 9999 }}{% endfor %}",
        "{{ 1 / 0 }}",
        "{% if %}",
    ] {
        let dir = templated("llm-like", template);
        match prompt(dir.path(), &dialogue()) {
            Err(Error::ChatTemplate { path, .. }) => assert!(path.ends_with("chat_template.jinja"), "{path:?}"),
            other => panic!("{template}: {other:?}"),
        }
    }
}

#[test]
fn images_are_refused() {
    let image = reference("../images/page.png");
    let model = Model::from_pretrained(reference("llm-like").to_str().unwrap()).unwrap();
    match model.ask(image.to_str().unwrap(), "What is this?") {
        Err(error @ Error::NoEyes { images: 1 }) => assert!(error.to_string().contains("text alone"), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_models_with_its_tokens_fill_in() {
    let model = Model::from_pretrained(reference("llm-like").to_str().unwrap()).unwrap();
    let refused = model.infill("def f(x):\n    return ", "\n");
    assert!(matches!(refused, Err(Error::NoInfill { .. })), "{refused:?}");
}

#[test]
fn drafts_change_no_answer() {
    let model = Model::from_pretrained(reference("v3-like").to_str().unwrap()).unwrap();
    let generation = GenerationOptions {
        max_new_tokens: 40,
        repetition_guard: None,
        markup_guard: false,
        ..GenerationOptions::default()
    };
    let answer = |draft| {
        let options = Options { generation: generation.clone(), draft, ..Options::default() };
        model.generate(&dialogue(), &options).unwrap()
    };
    let (plain, drafted) = (answer(false), answer(true));
    assert_eq!(plain.tokens, drafted.tokens);
    assert_eq!(plain.drafts.proposed, 0);
    assert!(drafted.drafts.proposed > 10 && drafted.drafts.accepted <= drafted.drafts.proposed, "{:?}", drafted.drafts);
}
