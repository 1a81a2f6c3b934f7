//! What a build sees: files that a script wrote, and a folder of a granted root. It goes to the engine as an archive
//! that is made while it is sent, a piece of a file at a time.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::Stream;
use tokio::io::AsyncReadExt;

use super::ignore::Ignore;
use crate::base::limits;
use crate::base::quantity::show_size;
use crate::primitives::docker::error::DockerError;
use crate::primitives::fs::{Entry, Files, FsError, FsPath, Kind, Listing};
use crate::primitives::permit::FsPermit;

/// Of a file, at once in memory.
const CHUNK_BYTES: u64 = 1 << 20;

/// Files win over what the folder has at their place.
#[derive(Debug, Default)]
pub struct BuildContext {
    pub files: BTreeMap<String, Vec<u8>>,
    pub folder: Option<Folder>,
}

/// A folder of a root of the configuration, and the permit to read it.
#[derive(Debug)]
pub struct Folder {
    pub files: Files,
    pub permit: FsPermit,
    pub path: FsPath,
}

/// What goes into the archive, in the order of paths.
pub(super) struct Plan {
    pieces: Vec<Piece>,
    folder: Option<Folder>,
    problem: Problem,
}

/// Why the archive ended early.
#[derive(Clone, Default)]
pub(super) struct Problem(Arc<Mutex<Option<FsError>>>);

struct Piece {
    /// In the archive.
    path: String,
    mode: u32,
    content: Content,
}

enum Content {
    Folder,
    Given(Vec<u8>),
    File { path: String, bytes: u64 },
}

impl Problem {
    pub(super) fn take(&self) -> Option<FsError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, problem: FsError) -> io::Error {
        let text = problem.to_string();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem);
        io::Error::other(text)
    }
}

impl BuildContext {
    /// What is sent, and sentences about what is not.
    pub(super) async fn plan(self, dockerfile: &str) -> Result<(Plan, Vec<String>), DockerError> {
        let mut warnings = Vec::new();
        let mut pieces: BTreeMap<String, Piece> = BTreeMap::new();
        if let Some(folder) = &self.folder {
            let ignore = match self.files.get(".dockerignore") {
                Some(given) => Ignore::parse(&String::from_utf8_lossy(given)),
                None => folder.ignore().await?,
            };
            for entry in folder.entries().await? {
                let path = folder.inside(&entry);
                // The engine needs both, whatever is ignored.
                let is_needed = path == dockerfile || path == ".dockerignore";
                if !is_needed && ignore.excludes(&path) {
                    continue;
                }
                match piece(&entry, &path) {
                    Some(piece) => drop(pieces.insert(path, piece)),
                    None => warnings.push(format!("{path} is a {} and was left out", entry.kind.as_str())),
                }
            }
        }
        for (path, content) in self.files {
            let path = check_path(&path)?;
            pieces.insert(path.clone(), Piece { path, mode: 0o644, content: Content::Given(content) });
        }
        if !pieces.contains_key(dockerfile) {
            let problem =
                format!("the context has no {dockerfile:?}; give it in files, or name another with dockerfile");
            return Err(DockerError::invalid("context", problem));
        }
        let plan = Plan { pieces: pieces.into_values().collect(), folder: self.folder, problem: Problem::default() };
        let (bytes, most) = (plan.bytes(), limits::DOCKER_BUILD_CONTEXT_BYTES_MAX);
        if bytes > most {
            let (has, most) = (show_size(bytes), show_size(most));
            let problem = format!("it has {has}, and {most} at most are sent; leave out more with .dockerignore");
            return Err(DockerError::invalid("context", problem));
        }
        Ok((plan, warnings))
    }
}

impl Folder {
    async fn entries(&self) -> Result<Vec<Entry>, DockerError> {
        let listing = Listing { glob: None, recursive: true, limit: limits::FS_ENTRIES_SEEN_MAX };
        self.files.list(&self.permit, self.path.clone(), listing).await.map_err(DockerError::Context)
    }

    async fn ignore(&self) -> Result<Ignore, DockerError> {
        let path: FsPath = self.below(".dockerignore").parse().map_err(DockerError::Context)?;
        if self.files.stat(&self.permit, path.clone()).await.map_err(DockerError::Context)?.is_none() {
            return Ok(Ignore::default());
        }
        let text = self.files.read(&self.permit, path, limits::DOCKER_ENV_FILE_BYTES_MAX).await;
        Ok(Ignore::parse(&String::from_utf8_lossy(&text.map_err(DockerError::Context)?)))
    }

    fn below(&self, name: &str) -> String {
        let own = self.path.to_string();
        if own.ends_with(':') { format!("{own}{name}") } else { format!("{own}/{name}") }
    }

    /// The path in the context.
    fn inside(&self, entry: &Entry) -> String {
        entry.path.strip_prefix(&self.below("")).unwrap_or(&entry.path).to_owned()
    }
}

/// None for what is neither a file nor a folder: a link may lead out of the context.
fn piece(entry: &Entry, path: &str) -> Option<Piece> {
    let content = match entry.kind {
        Kind::File => Content::File { path: entry.path.clone(), bytes: entry.bytes },
        Kind::Folder => Content::Folder,
        Kind::Link | Kind::Other => return None,
    };
    Some(Piece { path: path.to_owned(), mode: entry.mode & 0o777, content })
}

fn check_path(path: &str) -> Result<String, DockerError> {
    let plain =
        !path.is_empty() && path.split('/').all(|part| !matches!(part, "" | "." | "..")) && !path.contains('\0');
    match plain {
        true => Ok(path.to_owned()),
        false => Err(DockerError::invalid("files", format!("{path:?} is not a path inside the context"))),
    }
}

impl Plan {
    pub(super) fn files(&self) -> usize {
        self.pieces.iter().filter(|piece| !matches!(piece.content, Content::Folder)).count()
    }

    pub(super) fn bytes(&self) -> u64 {
        let size = |piece: &Piece| match &piece.content {
            Content::Folder => 0,
            Content::Given(content) => content.len() as u64,
            Content::File { bytes, .. } => *bytes,
        };
        self.pieces.iter().map(size).sum()
    }

    pub(super) fn problem(&self) -> Problem {
        self.problem.clone()
    }

    /// The archive, piece by piece.
    pub(super) fn into_archive(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let pieces: Vec<Piece> = self.pieces.into_iter().rev().collect();
        let archive = Some(Archive { pieces, folder: self.folder, problem: self.problem, open: None });
        futures_util::stream::unfold(archive, |archive| async move {
            let mut archive = archive?;
            match archive.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(archive))),
                // Two empty blocks end it.
                Ok(None) => Some((Ok(Bytes::from(vec![0; 1_024])), None)),
                Err(problem) => Some((Err(problem), None)),
            }
        })
    }
}

/// An archive on its way.
struct Archive {
    /// The next one last.
    pieces: Vec<Piece>,
    folder: Option<Folder>,
    problem: Problem,
    open: Option<Open>,
}

/// A file whose head was sent.
struct Open {
    path: String,
    file: tokio::fs::File,
    bytes: u64,
    left: u64,
}

impl Archive {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(open) = self.open.take() {
            return self.go_on(open).await.map(Some);
        }
        let Some(piece) = self.pieces.pop() else { return Ok(None) };
        match piece.content {
            Content::Folder => head(&piece.path, piece.mode, None).map(|head| Some(head.into())),
            Content::Given(content) => {
                let mut packed = head(&piece.path, piece.mode, Some(content.len() as u64))?;
                packed.extend_from_slice(&content);
                packed.resize(packed.len() + padding(content.len() as u64), 0);
                Ok(Some(packed.into()))
            }
            Content::File { path, .. } => {
                let (file, bytes) = self.opened(&path).await?;
                self.open = (bytes > 0).then_some(Open { path, file, bytes, left: bytes });
                head(&piece.path, piece.mode, Some(bytes)).map(|head| Some(head.into()))
            }
        }
    }

    async fn opened(&self, path: &str) -> io::Result<(tokio::fs::File, u64)> {
        let Some(folder) = &self.folder else { return Err(io::Error::other("there is no folder")) };
        let path: FsPath = path.parse().map_err(|problem| self.problem.put(problem))?;
        let opened = folder.files.opened(&folder.permit, path).await.map_err(|problem| self.problem.put(problem))?;
        let bytes = opened.metadata()?.len();
        Ok((tokio::fs::File::from_std(opened), bytes))
    }

    async fn go_on(&mut self, mut open: Open) -> io::Result<Bytes> {
        let mut chunk = Vec::new();
        let most = open.left.min(CHUNK_BYTES);
        (&mut open.file).take(most).read_to_end(&mut chunk).await?;
        if chunk.len() as u64 != most {
            return Err(io::Error::other(format!("{} became shorter while it was sent", open.path)));
        }
        open.left -= most;
        if open.left == 0 {
            chunk.resize(chunk.len() + padding(open.bytes), 0);
        } else {
            self.open = Some(open);
        }
        Ok(chunk.into())
    }
}

/// The head of an entry. It has no time of its own, so that the builder's cache holds.
fn head(path: &str, mode: u32, bytes: Option<u64>) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_entry_type(if bytes.is_some() { tar::EntryType::Regular } else { tar::EntryType::Directory });
    header.set_size(bytes.unwrap_or_default());
    let mut builder = tar::Builder::new(Vec::new());
    // The content comes later: it may be large.
    builder.append_data(&mut header, path, io::empty())?;
    Ok(std::mem::take(builder.get_mut()))
}

/// Up to the next whole block.
fn padding(bytes: u64) -> usize {
    const BLOCK: u64 = 512;
    usize::try_from(bytes.next_multiple_of(BLOCK) - bytes).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn given_files_become_an_archive() {
        let files = BTreeMap::from([
            ("Dockerfile".to_owned(), b"FROM scratch".to_vec()),
            ("app/deep/a.txt".to_owned(), vec![b'x'; 2_000]),
        ]);
        let (plan, warnings) = BuildContext { files, folder: None }.plan("Dockerfile").await.expect("a plan");
        assert_eq!((plan.files(), plan.bytes(), warnings.len()), (2, 2_012, 0));
        let archive: Vec<Bytes> = plan.into_archive().try_collect().await.expect("an archive");
        let archive = archive.concat();
        let mut archive = tar::Archive::new(archive.as_slice());
        let names: Vec<String> = archive
            .entries()
            .expect("entries")
            .map(|entry| entry.expect("an entry").path().expect("a path").display().to_string())
            .collect();
        assert_eq!(names, ["Dockerfile", "app/deep/a.txt"]);
    }

    #[tokio::test]
    async fn a_context_without_a_dockerfile_or_with_an_odd_path_is_refused() {
        let context = |name: &str| BuildContext { files: [(name.to_owned(), Vec::new())].into(), folder: None };
        let absent = context("app.txt").plan("Dockerfile").await.err().expect("no Dockerfile");
        assert!(absent.to_string().contains("Dockerfile") && absent.code() == "docker.invalid");
        for odd in ["../x", "/x", "a//b", "", "a/./b"] {
            assert!(context(odd).plan("Dockerfile").await.is_err(), "{odd}");
        }
    }
}
