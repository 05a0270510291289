//! As much of a hub as a download needs, on this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

pub struct Server {
    port: u16,
}

struct Repo {
    id: String,
    commit: String,
    files: Vec<(String, String)>,
    /// With any, one of them must be sent.
    tokens: Vec<String>,
}

impl Server {
    /// Serves one model until the test's process ends. `owner/private` is denied, everything else is not there.
    pub fn start(id: &str, commit: &str, files: &[(&str, &str)], tokens: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let repo = Repo {
            id: id.into(),
            commit: commit.into(),
            files: files.iter().map(|(name, content)| ((*name).into(), (*content).into())).collect(),
            tokens: tokens.iter().map(|token| (*token).into()).collect(),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that hangs up is its own affair.
                let _ = repo.answer(&stream.unwrap());
            }
        });
        Self { port }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Repo {
    fn answer(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream).lines();
        let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        let path = request.split(' ').nth(1).unwrap_or("").to_owned();
        let headers: Vec<(String, String)> = lines
            .map_while(|line| {
                let line = line.ok()?;
                let (name, value) = line.split_once(": ")?;
                Some((name.to_ascii_lowercase(), value.to_owned()))
            })
            .collect();
        let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let (status, more, body) = self.find(&path, header("authorization"), header("range"));
        write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{more}\r\n{body}", body.len())
    }

    fn find(&self, path: &str, authorization: Option<&str>, range: Option<&str>) -> (&str, String, String) {
        let nothing = |status| (status, String::new(), String::new());
        let allowed = |token: &String| authorization == Some(&format!("Bearer {token}"));
        if path.contains("owner/private") || !(self.tokens.is_empty() || self.tokens.iter().any(allowed)) {
            return nothing("401 Unauthorized");
        }
        if path == format!("/api/models/{}/revision/main", self.id) {
            let names = self.files.iter().map(|(name, _)| serde_json::json!({ "rfilename": name }));
            let info = serde_json::json!({ "sha": self.commit, "siblings": names.collect::<Vec<_>>() });
            return ("200 OK", "Content-Type: application/json\r\n".into(), info.to_string());
        }
        let name = path.strip_prefix(&format!("/{}/resolve/main/", self.id));
        let Some((name, content)) = self.files.iter().find(|(file, _)| Some(file.as_str()) == name) else {
            return nothing("404 Not Found");
        };
        let bounds = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')).unwrap_or(("0", ""));
        let start: usize = bounds.0.parse().unwrap();
        if start >= content.len() {
            return nothing("416 Range Not Satisfiable");
        }
        let end = bounds.1.parse().map_or(content.len(), |last: usize| (last + 1).min(content.len()));
        let headers = format!(
            "ETag: \"etag-of-{name}\"\r\nX-Repo-Commit: {}\r\nContent-Range: bytes {start}-{}/{}\r\n",
            self.commit,
            end.saturating_sub(1),
            content.len()
        );
        ("206 Partial Content", headers, content[start..end].to_owned())
    }
}
