//! Finding a model's files: in directories, in the hub's cache, on a hub.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod server;

use seekvl::hub::{HubOptions, ModelId, Progress, resolve, resolve_configuration};
use seekvl::{Error, ModelFiles};
use server::Server;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER_COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";
const INDEX: &str = r#"{"metadata": {}, "weight_map": {"a": "model-2.safetensors", "b": "model-1.safetensors",
    "c": "model-2.safetensors"}}"#;

const SHARDED: [(&str, &str); 7] = [
    ("config.json", "{}"),
    ("processor_config.json", "{\"p\": 1}"),
    ("tokenizer.json", "{\"t\": 1}"),
    ("tokenizer_config.json", "{\"c\": 1}"),
    ("model.safetensors.index.json", INDEX),
    ("model-1.safetensors", "first"),
    ("model-2.safetensors", "second"),
];

fn fill(dir: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(dir).unwrap();
    for (name, content) in files {
        fs::write(dir.join(name), content).unwrap();
    }
}

fn directory(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), files);
    dir
}

fn options(cache: &Path, endpoint: &str) -> HubOptions {
    HubOptions { cache: Some(cache.into()), token: None, endpoint: endpoint.into(), offline: false }
}

fn offline(cache: &Path) -> HubOptions {
    HubOptions { offline: true, ..options(cache, "http://127.0.0.1:9") }
}

fn names(files: &ModelFiles) -> Vec<&str> {
    files.shards.iter().map(|shard| shard.path().file_name().unwrap().to_str().unwrap()).collect()
}

#[test]
fn a_directory_with_one_file_of_weights_or_several() {
    let dir = directory(&SHARDED);
    let files = resolve(dir.path().to_str().unwrap(), None, &offline(Path::new("none")), &mut ()).unwrap();
    assert_eq!(names(&files), ["model-1.safetensors", "model-2.safetensors"]);
    assert_eq!(files.config.path(), dir.path().join("config.json"));
    assert!(files.tokenizer_config.is_some());
    fs::remove_file(dir.path().join("tokenizer_config.json")).unwrap();
    fs::rename(dir.path().join("model.safetensors.index.json"), dir.path().join("model.safetensors")).unwrap();
    let files = ModelFiles::in_dir(dir.path()).unwrap();
    assert_eq!(names(&files), ["model.safetensors"]);
    assert_eq!(files.tokenizer_config, None);
}

#[test]
fn a_directory_that_lacks_a_file_says_which() {
    for missing in ["config.json", "tokenizer.json", "model-2.safetensors"] {
        let dir = directory(&SHARDED);
        fs::remove_file(dir.path().join(missing)).unwrap();
        match ModelFiles::in_dir(dir.path()) {
            Err(Error::MissingFile { file, .. }) => assert_eq!(file, missing),
            other => panic!("{missing}: {other:?}"),
        }
    }
    let empty = directory(&[]);
    assert!(matches!(ModelFiles::in_dir(empty.path()), Err(Error::MissingFile { .. })));
}

#[test]
fn an_index_that_leads_elsewhere_is_refused() {
    let dir = directory(&SHARDED);
    let index = dir.path().join("model.safetensors.index.json");
    for shard in ["../secret", "/etc/passwd", "a/b", "..", ".", "", "./a", "a\\\\b", "a/"] {
        fs::write(&index, format!(r#"{{"weight_map": {{"a": "{shard}"}}}}"#)).unwrap();
        let found = ModelFiles::in_dir(dir.path());
        assert!(matches!(found, Err(Error::Index { .. })), "{shard:?}: {found:?}");
    }
    fs::write(&index, r#"{"weight_map": {}}"#).unwrap();
    assert!(matches!(ModelFiles::in_dir(dir.path()), Err(Error::Index { .. })));
    fs::write(&index, r#"{"weight_map": {"a.weight": 7}}"#).unwrap();
    match ModelFiles::in_dir(dir.path()) {
        Err(Error::Json { key, .. }) => assert_eq!(key, "weight_map.a.weight"),
        other => panic!("{other:?}"),
    }
    fs::write(&index, "{").unwrap();
    assert!(matches!(ModelFiles::in_dir(dir.path()), Err(Error::Json { .. })));
}

#[test]
fn ids_are_told_from_everything_else() {
    let id: ModelId = "deepseek-ai/deepseek-vl2-tiny@refs/pr/3".parse().unwrap();
    assert_eq!((id.repo.as_str(), id.revision.as_deref()), ("deepseek-ai/deepseek-vl2-tiny", Some("refs/pr/3")));
    assert_eq!(id.to_string(), "deepseek-ai/deepseek-vl2-tiny@refs/pr/3");
    for wrong in
        ["", "tiny", "a/b/c", "./a", "/a", "a/", "a/..", "a/b c", "a/b@", "a/b@../c", "a/b@x//y", "a/b?c", "é/b"]
    {
        let found = resolve(wrong, None, &offline(Path::new("none")), &mut ());
        assert!(matches!(found, Err(Error::NotAModel { .. })), "{wrong:?}: {found:?}");
    }
    let file = directory(&SHARDED).path().join("config.json");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "").unwrap();
    let found = resolve(file.to_str().unwrap(), None, &offline(Path::new("none")), &mut ());
    assert!(matches!(found, Err(Error::NotAModel { reason, .. }) if reason.contains("file")));
    fs::remove_dir_all(file.parent().unwrap()).unwrap();
}

#[test]
fn offline_the_cache_answers_for_branches_and_commits() {
    let cache = tempfile::tempdir().unwrap();
    let repo = cache.path().join("models--owner--name");
    fill(&repo.join("snapshots").join(COMMIT), &SHARDED);
    fill(&repo.join("refs"), &[("main", COMMIT)]);
    let offline = offline(cache.path());
    for (id, revision) in [("owner/name", None), ("owner/name", Some("main")), ("owner/name@main", None)] {
        let files = resolve(id, revision, &offline, &mut ()).unwrap();
        assert_eq!(files.dir, Some(repo.join("snapshots").join(COMMIT)));
    }
    assert!(resolve("owner/name", Some(COMMIT), &offline, &mut ()).is_ok());
    for (id, revision) in [("owner/other", None), ("owner/name", Some("v2")), ("owner/name", Some(OTHER_COMMIT))] {
        let found = resolve(id, revision, &offline, &mut ());
        assert!(matches!(found, Err(Error::NotCached { .. })), "{id} {revision:?}: {found:?}");
    }
    fs::remove_file(repo.join("snapshots").join(COMMIT).join("model-1.safetensors")).unwrap();
    let found = resolve("owner/name", None, &offline, &mut ());
    assert!(matches!(found, Err(Error::MissingFile { file, .. }) if file == "model-1.safetensors"));
}

#[derive(Default)]
struct Record {
    files: Vec<String>,
    announced: u64,
    arrived: u64,
    finished: usize,
}

impl Progress for Record {
    fn start(&mut self, file: &str, bytes: u64) {
        if self.files.last().is_none_or(|last| last != file) {
            self.files.push(file.into());
            self.announced += bytes;
        }
    }

    fn advance(&mut self, bytes: u64) {
        self.arrived += bytes;
    }

    fn finish(&mut self) {
        self.finished += 1;
    }
}

#[test]
fn a_configuration_comes_without_the_weights() {
    let server = Server::start("owner/name", COMMIT, &SHARDED, &[]);
    let cache = tempfile::tempdir().unwrap();
    let options = options(cache.path(), &server.url());
    let mut record = Record::default();
    let files = resolve_configuration("owner/name", None, &options, &mut record).unwrap();
    assert!(files.shards.is_empty() && files.config.path().is_file() && files.tokenizer.path().is_file());
    assert!(record.files.iter().all(|name| !name.contains("safetensors")), "{:?}", record.files);
    // What is here is not enough for the model, and is completed.
    assert!(resolve("owner/name", None, &offline(cache.path()), &mut ()).is_err());
    let whole = resolve("owner/name", None, &options, &mut ()).unwrap();
    assert_eq!(whole.shards.len(), 2);
    assert_eq!(resolve_configuration("owner/name", None, &offline(cache.path()), &mut ()).unwrap(), whole);
}

#[test]
fn what_an_interrupted_download_left_is_no_obstacle() {
    for content in ["", "{", "{\"model\": 1} and more than there is", SHARDED[0].1] {
        let server = Server::start("owner/name", COMMIT, &SHARDED, &[]);
        let cache = tempfile::tempdir().unwrap();
        let blobs = cache.path().join("models--owner--name/blobs");
        fs::create_dir_all(&blobs).unwrap();
        let part = Path::new(SHARDED[0].0).with_extension("part");
        fs::write(blobs.join(format!("etag-of-{}", part.display())), content).unwrap();
        let files = resolve("owner/name", None, &options(cache.path(), &server.url()), &mut ()).unwrap();
        let complete = fs::read_to_string(files.dir.unwrap().join(SHARDED[0].0)).unwrap();
        // What was there counts as the beginning, whatever it is; hubs name blobs by their content.
        assert_eq!(complete.len(), SHARDED[0].1.len(), "{content:?}");
    }
}

#[test]
fn a_model_is_downloaded_once_into_the_standard_cache() {
    let server = Server::start("owner/name", COMMIT, &SHARDED, &[]);
    let cache = tempfile::tempdir().unwrap();
    let options = options(cache.path(), &server.url());
    let mut record = Record::default();
    let files = resolve("owner/name", None, &options, &mut record).unwrap();
    let repo = cache.path().join("models--owner--name");
    assert_eq!(files.dir, Some(repo.join("snapshots").join(COMMIT)));
    assert_eq!(fs::read_to_string(repo.join("refs/main")).unwrap(), COMMIT);
    for (name, content) in SHARDED {
        assert_eq!(fs::read_to_string(files.config.path().with_file_name(name)).unwrap(), content);
    }
    assert_eq!((record.files.len(), record.finished), (SHARDED.len(), SHARDED.len()));
    let bytes: usize = SHARDED.iter().map(|(_, content)| content.len()).sum();
    assert_eq!((record.announced, record.arrived), (bytes as u64, bytes as u64));

    // Again: asked for the commit, but nothing is fetched.
    let mut again = Record::default();
    assert_eq!(resolve("owner/name", None, &options, &mut again).unwrap(), files);
    assert_eq!(again.files, Vec::<String>::new());
    // The branch moves on.
    let moved = Server::start("owner/name", OTHER_COMMIT, &SHARDED, &[]);
    let newer = HubOptions { endpoint: moved.url(), ..options.clone() };
    let later = resolve("owner/name", None, &newer, &mut ()).unwrap();
    assert_eq!(later.dir, Some(repo.join("snapshots").join(OTHER_COMMIT)));
    assert_eq!(fs::read_to_string(repo.join("refs/main")).unwrap(), OTHER_COMMIT);
    // And back, to a commit whose files are here.
    assert_eq!(resolve("owner/name", None, &options, &mut ()).unwrap(), files);
    assert_eq!(fs::read_to_string(repo.join("refs/main")).unwrap(), COMMIT);
    // Without the hub.
    let unreachable = HubOptions { endpoint: "http://127.0.0.1:9".into(), ..options.clone() };
    assert_eq!(resolve("owner/name", None, &unreachable, &mut ()).unwrap(), files);
    assert_eq!(resolve("owner/name", None, &offline(cache.path()), &mut ()).unwrap(), files);
}

#[test]
fn the_hub_says_no_and_we_say_why() {
    let cache = tempfile::tempdir().unwrap();
    let server = Server::start("owner/name", COMMIT, &SHARDED[..3], &[]);
    let at = |model: &str| resolve(model, None, &options(cache.path(), &server.url()), &mut ());
    let found = at("owner/name");
    assert!(matches!(&found, Err(Error::NotOnHub { what, .. }) if what == "model.safetensors"), "{found:?}");
    assert!(matches!(at("owner/missing"), Err(Error::NotOnHub { .. })));
    let denied = at("owner/private").unwrap_err();
    assert!(matches!(denied, Error::Denied { status: 401, has_token: false, .. }), "{denied:?}");
    assert!(denied.to_string().contains("HF_TOKEN"), "{denied}");
    let down = resolve("owner/other", None, &options(cache.path(), "http://127.0.0.1:9"), &mut ());
    assert!(matches!(down, Err(Error::Download { .. })), "{down:?}");
    let nonsense = resolve("owner/other", None, &options(cache.path(), "::nonsense::"), &mut ());
    assert!(matches!(nonsense, Err(Error::Download { .. })), "{nonsense:?}");
}

#[test]
fn a_hostile_index_on_the_hub_writes_nothing_outside() {
    let files =
        [SHARDED[0], SHARDED[1], SHARDED[2], ("model.safetensors.index.json", r#"{"weight_map": {"a": "../x"}}"#)];
    let server = Server::start("owner/name", COMMIT, &files, &[]);
    let cache = tempfile::tempdir().unwrap();
    let found = resolve("owner/name", None, &options(cache.path(), &server.url()), &mut ());
    assert!(matches!(found, Err(Error::Index { .. })), "{found:?}");
    assert!(!cache.path().join("models--owner--name/snapshots/x").exists());
}

#[test]
fn the_token_is_sent() {
    let server = Server::start("owner/name", COMMIT, &SHARDED, &["secret"]);
    let cache = tempfile::tempdir().unwrap();
    let without = options(cache.path(), &server.url());
    assert!(matches!(resolve("owner/name", None, &without, &mut ()), Err(Error::Denied { .. })));
    let with = HubOptions { token: Some("secret".into()), ..without };
    assert!(resolve("owner/name", None, &with, &mut ()).is_ok());
}
