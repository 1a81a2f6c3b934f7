//! The dashboard's own files, embedded, under addresses that change with their content.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use super::error::{ApiError, ApiResult};
use super::extract::Path;
use super::parts::Web;

#[derive(RustEmbed)]
#[folder = "src/web/assets"]
struct Folder;

/// Scripts keep their names, so that modules can import each other; style sheets are one file, in order of names.
#[derive(Debug)]
pub struct Assets {
    files: BTreeMap<String, Bytes>,
    /// Of all files together: part of each address, so that browsers may keep them for ever.
    hash: String,
}

const STYLE: &str = "style.css";

impl Assets {
    pub fn load() -> Self {
        let mut files = BTreeMap::new();
        let mut style = Vec::new();
        let mut names: Vec<_> = Folder::iter().collect();
        names.sort();
        for name in names {
            let Some(file) = Folder::get(&name) else { continue };
            if name.ends_with(".css") {
                style.extend_from_slice(&file.data);
            } else {
                files.insert(name.into_owned(), Bytes::from(file.data.into_owned()));
            }
        }
        files.insert(STYLE.to_owned(), Bytes::from(style));
        let mut hasher = blake3::Hasher::new();
        for (name, content) in &files {
            hasher.update(name.as_bytes()).update(&(content.len() as u64).to_le_bytes()).update(content);
        }
        let hash = hasher.finalize().to_hex()[..16].to_owned();
        Self { files, hash }
    }

    /// The address of a file.
    pub fn url(&self, name: &str) -> String {
        format!("/assets/{}/{name}", self.hash)
    }
}

pub async fn serve(State(web): State<Web>, Path((hash, name)): Path<(String, String)>) -> ApiResult<Response> {
    let file = web.assets.files.get(&name).filter(|_| hash == web.assets.hash);
    let Some(file) = file else {
        return Err(ApiError::not_found("asset.not_found", format!("there is no file {name:?} of this version")));
    };
    let kind = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let kept = "public, max-age=31536000, immutable";
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept)], file.clone()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_import_only_files_that_are_there() {
        let assets = Assets::load();
        for (name, content) in assets.files.iter().filter(|(name, _)| name.ends_with(".js")) {
            let text = std::str::from_utf8(content).expect("scripts are UTF-8");
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let target =
                    line.rsplit('"').nth(1).and_then(|path| path.strip_prefix("./")).expect("a relative import");
                assert!(assets.files.contains_key(target), "{name} imports {target}");
            }
        }
        assert!(assets.files[STYLE].len() > 1000);
    }

    #[test]
    fn nothing_comes_from_elsewhere() {
        for (name, content) in &Assets::load().files {
            let text = String::from_utf8_lossy(content);
            let foreign = text.match_indices("http").map(|(at, _)| &text[at..]).find(|rest| {
                (rest.starts_with("http://") || rest.starts_with("https://")) && !rest.starts_with("http://www.w3.org/")
            });
            assert!(foreign.is_none(), "{name} refers to {:?}", foreign.map(|rest| &rest[..40.min(rest.len())]));
        }
    }
}
