//! Getting at a model's files: inside this program, in a directory, in a GGUF file, or on the Hugging Face hub with its standard cache.
//!
//! The cache is the one that Hugging Face's own tools use, so a model that one of them has fetched is not fetched again.
//! Nothing is printed; whoever wants to show progress gives a [`Progress`].

use crate::files::{
    self, CHAT_TEMPLATE, CONFIG, GENERATION_CONFIG, ModelFile, ModelFiles, PREPROCESSOR_CONFIG, PROCESSOR_CONFIG,
    Source, TOKENIZER, TOKENIZER_CONFIG, WEIGHTS, WEIGHTS_INDEX, Wanted, shard_names,
};
use crate::{Error, Result, gguf};
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

const MAIN: &str = "main";
const RETRIES: usize = 3;

/// Follows downloads, and whatever else takes its time. `()` does nothing.
pub trait Progress {
    /// A file of `bytes` bytes begins. After an interruption it is called again for the same file, and counting starts
    /// anew, with what was there already as the first step.
    fn start(&mut self, file: &str, bytes: u64);
    /// Another `bytes` bytes of the file have arrived.
    fn advance(&mut self, bytes: u64);
    /// The file is complete.
    fn finish(&mut self);
}

impl Progress for () {
    fn start(&mut self, _: &str, _: u64) {}
    fn advance(&mut self, _: u64) {}
    fn finish(&mut self) {}
}

/// A model on the hub: `owner/name`, or `owner/name@revision`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelId {
    /// `owner/name`.
    pub repo: String,
    /// Branch, tag or commit, if one was given.
    pub revision: Option<String>,
}

/// How the hub is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct HubOptions {
    /// The cache, such as `~/.cache/huggingface/hub`. `None` where there is no home directory to put it in.
    pub cache: Option<PathBuf>,
    /// Sent to the hub for models that are private or gated.
    pub token: Option<String>,
    /// The hub's address.
    pub endpoint: String,
    /// Only what the cache has.
    pub offline: bool,
}

impl HubOptions {
    /// As the environment says, in the variables of Hugging Face's own tools: `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN` (or
    /// the file `token` in `HF_HOME`, or the one that `HF_TOKEN_PATH` names), `HF_ENDPOINT`, `HF_HUB_OFFLINE`.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok(), std::env::home_dir())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>, user: Option<PathBuf>) -> Self {
        let variable = |name| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let path = |name| variable(name).map(PathBuf::from);
        let user_cache = || path("XDG_CACHE_HOME").or_else(|| Some(user?.join(".cache")));
        let home = path("HF_HOME").or_else(|| Some(user_cache()?.join("huggingface")));
        let in_home = |name| home.as_ref().map(|home| home.join(name));
        let token_file = || {
            let token = std::fs::read_to_string(path("HF_TOKEN_PATH").or_else(|| in_home("token"))?).ok()?;
            Some(token.trim().to_owned()).filter(|token| !token.is_empty())
        };
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into());
        let is_on = |value: String| matches!(value.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE");
        Self {
            cache: path("HF_HUB_CACHE").or_else(|| in_home("hub")),
            token: variable("HF_TOKEN").or_else(token_file),
            endpoint: endpoint.trim_end_matches('/').into(),
            offline: variable("HF_HUB_OFFLINE").is_some_and(is_on),
        }
    }
}

/// The files of a model: `model` is [`NANO`](crate::NANO), a directory, a GGUF file, or an id on the hub. `revision` is a branch, a tag or a commit;
/// without one it is the id's, or `main`.
///
/// `nano` is always the model that is part of this crate, which needs neither network nor files; a directory of that
/// name is meant by `./nano`.
///
/// Files that the cache has for the hub's current commit are not fetched again. If the hub cannot be reached, what the
/// cache has for the revision is taken.
///
/// # Errors
/// [`Error::NotAModel`] for none of these, or a revision of what is not on the hub, [`Error::NotCached`], [`Error::Denied`] and [`Error::NotOnHub`] as the hub answers,
/// [`Error::Download`] for what else fails on the way, and the errors of [`ModelFiles::in_dir`].
pub fn resolve(
    model: &str,
    revision: Option<&str>,
    options: &HubOptions,
    progress: &mut dyn Progress,
) -> Result<ModelFiles> {
    locate(model, revision, options, Wanted::Everything, progress)
}

/// As [`resolve`], for what can be told without the weights: they are not fetched, and [`ModelFiles::shards`] is empty
/// unless they are all there.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_configuration(
    model: &str,
    revision: Option<&str>,
    options: &HubOptions,
    progress: &mut dyn Progress,
) -> Result<ModelFiles> {
    locate(model, revision, options, Wanted::Configuration, progress)
}

fn locate(
    model: &str,
    revision: Option<&str>,
    options: &HubOptions,
    wanted: Wanted,
    progress: &mut dyn Progress,
) -> Result<ModelFiles> {
    let path = Path::new(model);
    let embedded = files::embedded(model, wanted);
    if revision.is_some() && (embedded.is_some() || path.exists()) {
        return Err(Error::NotAModel { model: model.into(), reason: "only models on the hub have revisions" });
    }
    if let Some(files) = embedded {
        return files;
    }
    if path.is_dir() {
        return ModelFiles::find(Source::Directory(path.into()), wanted);
    }
    if path.exists() {
        let file = ModelFile::OnDisk(path.into());
        if !gguf::is_gguf(&file) {
            let reason = "it is a file, and not GGUF; give the directory of the model";
            return Err(Error::NotAModel { model: model.into(), reason });
        }
        return ModelFiles::in_gguf(file);
    }
    if looks_like_a_file(path) {
        return Err(Error::NotAModel { model: model.into(), reason: "there is no such file or directory" });
    }
    let mut id: ModelId = model.parse()?;
    if let Some(revision) = revision {
        check_revision(revision, model)?;
        id.revision = Some(revision.into());
    }
    let cache = options.cache.clone().ok_or(Error::NoCache)?;
    let hub = Hub { options, cache: Cache::new(cache), id, wanted };
    if options.offline {
        return hub.cached().ok_or_else(|| hub.not_cached())?;
    }
    hub.fetch(progress)
}

/// Whether what is not there was hardly meant as an id on the hub.
fn looks_like_a_file(path: &Path) -> bool {
    let is_file = |ending: &std::ffi::OsStr| ["gguf", "json", "safetensors"].iter().any(|known| ending == *known);
    path.is_absolute() || path.starts_with(".") || path.starts_with("..") || path.extension().is_some_and(is_file)
}

struct Hub<'a> {
    options: &'a HubOptions,
    cache: Cache,
    id: ModelId,
    wanted: Wanted,
}

impl Hub<'_> {
    fn repo(&self) -> Repo {
        let revision = self.id.revision.as_deref().unwrap_or(MAIN);
        Repo::with_revision(self.id.repo.clone(), RepoType::Model, revision.into())
    }

    /// The directory of a commit's files.
    fn snapshot(&self, commit: &str) -> PathBuf {
        self.cache.repo(self.repo()).pointer_path(commit)
    }

    /// What the cache has for the revision, complete or not; `None` if it never heard of it.
    fn cached(&self) -> Option<Result<ModelFiles>> {
        let repo = self.repo();
        let refs = self.cache.path().join(repo.folder_name()).join("refs").join(repo.revision());
        let commit = std::fs::read_to_string(refs).unwrap_or_else(|_| repo.revision().into());
        let snapshot = self.snapshot(commit.trim());
        (is_commit(commit.trim()) && snapshot.is_dir())
            .then(|| ModelFiles::find(Source::Directory(snapshot), self.wanted))
    }

    fn not_cached(&self) -> Error {
        Error::NotCached { id: self.id.to_string(), cache: self.cache.path().clone() }
    }

    fn fetch(&self, progress: &mut dyn Progress) -> Result<ModelFiles> {
        let api = ApiBuilder::from_cache(self.cache.clone())
            .with_endpoint(self.options.endpoint.clone())
            .with_token(self.options.token.clone())
            // Its own retries continue a file at the wrong place where the first answer to a resumed download is an error.
            .with_retries(0)
            .with_progress(false)
            .build()
            .map_err(|error| self.explain(error, None))?;
        let repo = api.repo(self.repo());
        let info = match repo.info() {
            Ok(info) => info,
            Err(error) if answered(&error) => return Err(self.explain(error, None)),
            // No answer: the cache is the next best.
            Err(error) => match self.cached() {
                Some(Ok(files)) => return Ok(files),
                _ => return Err(self.explain(error, None)),
            },
        };
        if !is_commit(&info.sha) {
            return Err(Error::NotOnHub { id: self.id.to_string(), what: "a commit".into() });
        }
        let mut download = Download { hub: self, api: &api, repo: &repo, snapshot: self.snapshot(&info.sha), progress };
        let has = |name: &str| info.siblings.iter().any(|file| file.rfilename == name);
        for name in [CONFIG, TOKENIZER] {
            download.file(name)?;
        }
        let optional = [PROCESSOR_CONFIG, PREPROCESSOR_CONFIG, TOKENIZER_CONFIG, GENERATION_CONFIG, CHAT_TEMPLATE];
        for name in optional.into_iter().filter(|name| has(name)) {
            download.file(name)?;
        }
        if self.wanted == Wanted::Configuration {
            // The weights stay where they are.
        } else if has(WEIGHTS_INDEX) {
            for shard in shard_names(&download.file(WEIGHTS_INDEX)?.into())? {
                download.file(&shard)?;
            }
        } else {
            download.file(WEIGHTS)?;
        }
        let files = ModelFiles::find(Source::Directory(download.snapshot), self.wanted)?;
        // The branch may have moved on to a commit whose files were all here.
        if self.repo().revision() != info.sha {
            let noted = self.cache.repo(self.repo()).create_ref(&info.sha);
            noted.map_err(|source| Error::Read { path: self.cache.path().clone(), source })?;
        }
        Ok(files)
    }

    fn explain(&self, error: ApiError, file: Option<&str>) -> Error {
        let id = self.id.to_string();
        let what = file.map_or_else(|| "the model or its revision".into(), str::to_owned);
        match status(&error) {
            Some(status @ (401 | 403)) => Error::Denied { id, status, has_token: self.options.token.is_some() },
            Some(404) => Error::NotOnHub { id, what },
            _ => Error::Download { id, what, endpoint: self.options.endpoint.clone(), source: Box::new(error) },
        }
    }
}

struct Download<'a> {
    hub: &'a Hub<'a>,
    api: &'a Api,
    repo: &'a ApiRepo,
    snapshot: PathBuf,
    progress: &'a mut dyn Progress,
}

impl Download<'_> {
    fn file(&mut self, name: &str) -> Result<PathBuf> {
        let path = self.snapshot.join(name);
        if path.is_file() {
            return Ok(path);
        }
        let fetched = self.fetch(name).map_err(|error| self.hub.explain(error, Some(name)))?;
        if fetched == path { Ok(path) } else { Err(Error::Moved { id: self.hub.id.to_string() }) }
    }

    fn fetch(&mut self, name: &str) -> Result<PathBuf, ApiError> {
        let mut attempt = 0;
        loop {
            let fetched = self.repo.download_with_progress(name, Forward(&mut *self.progress));
            attempt += 1;
            match &fetched {
                Err(error) if attempt <= RETRIES && cannot_resume(error) && self.forget_part(name).is_some() => {}
                Err(error) if attempt <= RETRIES && !answered(error) => {
                    std::thread::sleep(Duration::from_millis(200 << attempt));
                }
                _ => return fetched,
            }
        }
    }

    /// Removes what an earlier download left of a file.
    fn forget_part(&self, name: &str) -> Option<()> {
        let metadata = self.api.metadata(&self.repo.url(name)).ok()?;
        let blob = self.hub.cache.repo(self.hub.repo()).blob_path(metadata.etag());
        std::fs::remove_file(blob.with_extension("part")).ok()
    }
}

/// Whether what an earlier download left cannot be continued: it was complete, and the program ended before it said so, or
/// the file has become shorter.
fn cannot_resume(error: &ApiError) -> bool {
    matches!(error, ApiError::InvalidResume) || status(error) == Some(416)
}

/// Our progress as hf-hub calls it.
struct Forward<'a>(&'a mut dyn Progress);

impl hf_hub::api::Progress for Forward<'_> {
    fn init(&mut self, size: usize, filename: &str) {
        self.0.start(filename, size as u64);
    }

    fn update(&mut self, size: usize) {
        self.0.advance(size as u64);
    }

    fn finish(&mut self) {
        self.0.finish();
    }
}

fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(status) => Some(status),
            _ => None,
        },
        ApiError::TooManyRetries(error) => status(error),
        _ => None,
    }
}

/// Whether the hub answered, and it is no passing trouble of its own.
fn answered(error: &ApiError) -> bool {
    status(error).is_some_and(|status| status < 500)
}

fn is_commit(name: &str) -> bool {
    name.len() == 40 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

fn check_revision(revision: &str, model: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/-+".contains(c);
    let part = |part: &str| !part.is_empty() && part != "." && part != "..";
    if revision.chars().all(plain) && revision.split('/').all(part) {
        return Ok(());
    }
    Err(Error::NotAModel { model: model.into(), reason: "its revision is not the name of a branch, a tag or a commit" })
}

impl FromStr for ModelId {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self> {
        let (repo, revision) = match id.split_once('@') {
            Some((repo, revision)) => (repo, Some(revision)),
            None => (id, None),
        };
        // The hub's rules for names.
        let plain = |name: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            let edge = |c: char| c == '.' || c == '-';
            !name.is_empty()
                && name.chars().all(allowed)
                && !name.contains("..")
                && !name.contains("--")
                && !name.starts_with(edge)
                && !name.ends_with(edge)
        };
        match repo.split_once('/') {
            Some((owner, name)) if plain(owner) && plain(name) && repo.len() <= 96 => {}
            _ => {
                return Err(Error::NotAModel {
                    model: id.into(),
                    reason: "it is neither nano, a directory nor owner/name",
                });
            }
        }
        if let Some(revision) = revision {
            check_revision(revision, id)?;
        }
        Ok(Self { repo: repo.into(), revision: revision.map(str::to_owned) })
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.revision {
            Some(revision) => write!(f, "{}@{revision}", self.repo),
            None => f.write_str(&self.repo),
        }
    }
}

/// Leaves the token out.
impl fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubOptions")
            .field("cache", &self.cache)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("endpoint", &self.endpoint)
            .field("offline", &self.offline)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(variables: &[(&str, &str)]) -> HubOptions {
        let find = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        HubOptions::from_variables(find, Some("/home/someone".into()))
    }

    #[test]
    fn the_environment_decides_as_for_other_tools() {
        let cache = |variables| options(variables).cache.unwrap();
        assert_eq!(cache(&[]), Path::new("/home/someone/.cache/huggingface/hub"));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/c")]), Path::new("/c/huggingface/hub"));
        assert_eq!(cache(&[("HF_HOME", "/hf"), ("XDG_CACHE_HOME", "/c")]), Path::new("/hf/hub"));
        assert_eq!(cache(&[("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/cache")]), Path::new("/cache"));
        assert_eq!(HubOptions::from_variables(|_| None, None).cache, None);
        assert_eq!(options(&[("HF_TOKEN", " secret\n")]).token.as_deref(), Some("secret"));
        assert_eq!(options(&[("HF_ENDPOINT", "http://mirror/")]).endpoint, "http://mirror");
        assert!(options(&[("HF_HUB_OFFLINE", "true")]).offline);
        assert!(!options(&[("HF_HUB_OFFLINE", "0")]).offline);
    }

    #[test]
    fn the_token_file_is_read_and_never_shown() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "secret\n").unwrap();
        let options = options(&[("HF_HOME", home.path().to_str().unwrap())]);
        assert_eq!(options.token.as_deref(), Some("secret"));
        assert!(!format!("{options:?}").contains("secret"));
    }
}
