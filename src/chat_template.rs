//! Chat templates in Jinja, as checkpoints of language models bring them, and those of models that bring none.
//!
//! A template comes with a checkpoint, so its steps and its output are bounded. (What a single step may allocate is not: a
//! template can double a string at each.)

use crate::conversation::{Conversation, Role};
use crate::files::{ModelFile, ModelFiles, parse_json};
use crate::{Error, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, ErrorKind, context};
use seekvl_language::Tokenizer;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::PathBuf;

/// Steps of a template: over a thousand for each of a thousand messages.
const FUEL: u64 = 2_000_000;
/// The longest prompt in bytes: what the tokenizer takes at once.
const MAX_BYTES: usize = 4 << 20;
/// The one template of an environment.
const NAME: &str = "chat_template";

/// Of DeepSeek LLM, V2 and Coder-V2.
const PLAIN: &str = "\
{{- bos_token -}}
{%- for message in messages -%}
    {%- if message.role == 'user' -%}
        {{- 'User: ' ~ message.content ~ '\n\n' -}}
    {%- elif message.role == 'assistant' -%}
        {{- 'Assistant: ' ~ message.content ~ eos_token -}}
    {%- else -%}
        {{- message.content ~ '\n\n' -}}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'Assistant:' -}}{%- endif -%}";

/// Of V3 and R1, whose tokenizers have a token for each role.
const ROLES: &str = "\
{{- bos_token -}}
{%- for message in messages -%}
    {%- if message.role == 'user' -%}
        {{- '<｜User｜>' ~ message.content -}}
    {%- elif message.role == 'assistant' -%}
        {{- '<｜Assistant｜>' ~ message.content ~ eos_token -}}
    {%- else -%}
        {{- message.content -}}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<｜Assistant｜>' -}}{%- endif -%}";

/// What a tokenizer has where [`ROLES`] is meant.
const ROLE_TOKEN: &str = "<｜User｜>";

/// How a conversation becomes text.
pub struct ChatTemplate {
    environment: Environment<'static>,
    /// Where it comes from.
    path: PathBuf,
    tokens: Tokens,
}

/// Special tokens as templates name them; those that a tokenizer lacks are empty.
#[derive(Clone, Debug, Default, Serialize)]
struct Tokens {
    bos_token: String,
    eos_token: String,
    pad_token: String,
}

/// A message as templates see it.
#[derive(Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: &'a str,
}

/// `chat_template` of `tokenizer_config.json`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Templates {
    One(String),
    Named(Vec<Named>),
}

#[derive(Deserialize)]
struct Named {
    name: String,
    template: String,
}

impl ChatTemplate {
    /// The template of a model: that of `chat_template.jinja`, or else of `tokenizer_config.json` (of several that called
    /// `default`), or else DeepSeek's, for the tokens that the tokenizer has.
    ///
    /// # Errors
    /// A file that cannot be read, or [`Error::ChatTemplate`].
    pub fn read(files: &ModelFiles, tokenizer: &Tokenizer) -> Result<Self> {
        let token = |id: Option<u32>| id.and_then(|id| tokenizer.token(id)).unwrap_or_default();
        let tokens = Tokens {
            bos_token: token(tokenizer.bos_id()),
            eos_token: token(tokenizer.eos_id()),
            pad_token: token(tokenizer.pad_id()),
        };
        if let Some((path, source)) = source(files)? {
            return Self::new(path, source, tokens);
        }
        let source = if tokenizer.token_id(ROLE_TOKEN).is_some() { ROLES } else { PLAIN };
        Self::new("the built-in chat template".into(), source.into(), tokens)
    }

    fn new(path: PathBuf, source: String, tokens: Tokens) -> Result<Self> {
        let mut environment = Environment::new();
        // As the transformers library has it.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment
            .set_syntax(syntax.map_err(|source| Error::ChatTemplate { path: path.clone(), source: Box::new(source) })?);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        let added = environment.add_template_owned(NAME, source);
        added.map_err(|source| Error::ChatTemplate { path: path.clone(), source: Box::new(source) })?;
        Ok(Self { environment, path, tokens })
    }

    /// The text of a prompt. What comes next is the model's answer: after a user's message a new one, after an assistant's
    /// the rest of that one.
    ///
    /// # Errors
    /// [`Error::NoMessage`], or [`Error::ChatTemplate`] where the template refuses the conversation, takes too many steps,
    /// writes too much, or does not write the answer that is to be continued.
    pub fn render(&self, conversation: &Conversation) -> Result<String> {
        let Some(last) = conversation.messages.last() else { return Err(Error::NoMessage) };
        let system = conversation.system.iter().map(|content| Turn { role: "system", content });
        let turns = conversation.messages.iter().map(|message| Turn {
            role: match message.role {
                Role::User => "user",
                Role::Assistant => "assistant",
            },
            content: &message.text,
        });
        let messages: Vec<Turn<'_>> = system.chain(turns).collect();
        let is_answer = last.role == Role::Assistant;
        let variables = context! {
            messages => Serde(messages), tools => (), documents => (), add_generation_prompt => !is_answer,
            ..Value::from(Serde(&self.tokens))
        };
        let mut text = self.write(variables).map_err(|source| self.error(source))?;
        if is_answer {
            let begun = last.text.trim();
            let unfinished = || {
                minijinja::Error::new(
                    ErrorKind::InvalidOperation,
                    "it does not write the answer that is to be continued",
                )
            };
            let at = text.rfind(begun).ok_or_else(|| self.error(unfinished()))?;
            text.truncate(at + begun.len());
        }
        Ok(text)
    }

    fn write(&self, variables: Value) -> Result<String, minijinja::Error> {
        let mut text = Bounded(Vec::new());
        self.environment.get_template(NAME)?.render_captured_to(variables, &mut text)?;
        String::from_utf8(text.0)
            .map_err(|error| minijinja::Error::new(ErrorKind::BadSerialization, "not UTF-8").with_source(error))
    }

    fn error(&self, source: minijinja::Error) -> Error {
        Error::ChatTemplate { path: self.path.clone(), source: Box::new(source) }
    }
}

/// The template that a model brings, and where it stands.
pub(crate) fn source(files: &ModelFiles) -> Result<Option<(PathBuf, String)>> {
    if let Some(file) = &files.chat_template {
        return Ok(Some((file.path().into(), String::from_utf8_lossy(&file.read()?).into_owned())));
    }
    let Some(config) = &files.tokenizer_config else { return Ok(None) };
    Ok(configured(config)?.map(|source| (config.path().into(), source)))
}

fn configured(config: &ModelFile) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Config {
        chat_template: Option<Templates>,
    }
    let config_json: Config = parse_json(config.path(), &config.read()?)?;
    let named = match config_json.chat_template {
        None => return Ok(None),
        Some(Templates::One(source)) => return Ok(Some(source)),
        Some(Templates::Named(named)) => named,
    };
    let is_only = named.len() == 1;
    let chosen = named.into_iter().find(|template| is_only || template.name == "default");
    let missing = || minijinja::Error::new(ErrorKind::TemplateNotFound, "none of its chat templates is called default");
    match chosen {
        Some(template) => Ok(Some(template.template)),
        None => Err(Error::ChatTemplate { path: config.path().into(), source: Box::new(missing()) }),
    }
}

/// Text that does not grow without end.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_BYTES {
            return Err(io::Error::other(format!("it writes more than {MAX_BYTES} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
