//! Aegis's own store: one file, encrypted with age for one x25519 identity, whose key lies in a file of its own.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use age::x25519::Identity;
use serde::{Deserialize, Serialize};

use super::error::SecretError;
use super::files::{self, Readers};
use super::setting::is_name;
use super::source::{Entry, SourceKind, Values, checked};
use crate::base::{Clock, ExposeSecret, SecretString, Timestamp};

/// Where the store is, and the identity that opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgeStore {
    file: PathBuf,
    identity: PathBuf,
}

/// What `init` found or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// For which the store is encrypted: `age1…`. It is no secret.
    pub recipient: String,
    pub is_new: bool,
}

/// What is inside of the encryption.
#[derive(Default, Serialize, Deserialize)]
struct Content {
    version: u32,
    secrets: BTreeMap<String, Kept>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    value: String,
    set_at: Timestamp,
}

const VERSION: u32 = 1;
const PRIVATE: u32 = 0o600;

impl AgeStore {
    pub fn new(file: PathBuf, identity: PathBuf) -> Self {
        Self { file, identity }
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    pub fn identity(&self) -> &Path {
        &self.identity
    }

    /// Everything in it; nothing where there is no store yet.
    pub fn read(&self) -> Result<Values, SecretError> {
        let entry = |(name, kept): (String, Kept)| (name, Entry { value: kept.value.into(), at: Some(kept.set_at) });
        Ok(self.content()?.secrets.into_iter().map(entry).collect())
    }

    fn content(&self) -> Result<Content, SecretError> {
        if !self.file.exists() {
            return Ok(Content { version: VERSION, ..Content::default() });
        }
        let identity = self.key()?;
        let encrypted = files::read(&self.file, Readers::Nobody)?;
        let failed = |problem: String| SecretError::Decrypt { path: self.file.clone(), problem };
        let plain = age::decrypt(&identity, &encrypted).map_err(|problem| failed(problem.to_string()))?;
        let plain = SecretString::from(String::from_utf8(plain).map_err(|_| failed("it holds no text".into()))?);
        let content: Content = serde_json::from_str(plain.expose_secret())
            .map_err(|problem| failed(format!("line {} of its content is wrong", problem.line())))?;
        match content.version {
            VERSION => Ok(content),
            other => Err(failed(format!("it is of version {other}, and this Aegis knows version {VERSION}"))),
        }
    }

    fn key(&self) -> Result<Identity, SecretError> {
        if !self.identity.exists() {
            return Err(SecretError::NoIdentity { path: self.identity.clone() });
        }
        let bad = || SecretError::BadIdentity { path: self.identity.clone() };
        let text = files::read(&self.identity, Readers::Nobody)?;
        let text = SecretString::from(String::from_utf8(text).map_err(|_| bad())?);
        let line = text.expose_secret().lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        line.and_then(|line| line.parse().ok()).ok_or_else(bad)
    }

    /// Makes the identity unless it is there. Not beside a store that was written for another one.
    pub fn init(&self) -> Result<Created, SecretError> {
        if self.identity.exists() {
            return Ok(Created { recipient: self.key()?.to_public().to_string(), is_new: false });
        }
        if self.file.exists() {
            return Err(SecretError::NoIdentity { path: self.identity.clone() });
        }
        let identity = Identity::generate();
        let recipient = identity.to_public().to_string();
        let text = format!("# public key: {recipient}\n{}\n", identity.to_string().expose_secret());
        // Only one of two that begin at once makes it.
        let written = make_folder(&self.identity).and_then(|()| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&self.identity)?;
            file.write_all(text.as_bytes())?;
            give_to_owner_of_folder(&file, &self.identity)?;
            file.sync_all()?;
            sync_folder(&self.identity)
        });
        match written {
            Ok(()) => Ok(Created { recipient, is_new: true }),
            // Somebody else made it just now; or it is a link that leads nowhere, which cannot be read.
            Err(problem) if problem.kind() == io::ErrorKind::AlreadyExists => {
                Ok(Created { recipient: self.key()?.to_public().to_string(), is_new: false })
            }
            Err(problem) => Err(unwritable(&self.identity, &problem)),
        }
    }

    /// Sets a secret; true when there was none of that name. Makes the identity and the store where there is none.
    pub fn set(&self, name: &str, value: &SecretString, clock: &Clock) -> Result<bool, SecretError> {
        if !is_name(name) {
            return Err(SecretError::Name { name: name.to_owned() });
        }
        let text = value.expose_secret();
        let wrong = |problem: &str| SecretError::Value { name: name.to_owned(), problem: problem.to_owned() };
        if text.is_empty() {
            return Err(wrong("is empty"));
        }
        if text.contains('\0') {
            return Err(wrong("has a zero byte"));
        }
        self.init()?;
        let kept = Kept { value: text.to_owned(), set_at: clock.now() };
        self.change(|secrets| secrets.insert(name.to_owned(), kept).is_none())
    }

    /// Forgets a secret; false when there is none of that name.
    pub fn remove(&self, name: &str) -> Result<bool, SecretError> {
        self.change(|secrets| secrets.remove(name).is_some())
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Kept>) -> bool) -> Result<bool, SecretError> {
        let _alone = self.lock()?;
        let mut content = self.content()?;
        let outcome = change(&mut content.secrets);
        let entry =
            |(name, kept): (&String, &Kept)| (name.clone(), Entry { value: kept.value.clone().into(), at: None });
        checked(content.secrets.iter().map(entry).collect(), SourceKind::Store)?;
        let failed = |problem: String| SecretError::Write { path: self.file.clone(), problem };
        let plain = SecretString::from(serde_json::to_string(&content).map_err(|problem| failed(problem.to_string()))?);
        let encrypted = age::encrypt(&self.key()?.to_public(), plain.expose_secret().as_bytes())
            .map_err(|problem| failed(problem.to_string()))?;
        self.replace(&encrypted).map_err(|problem| unwritable(&self.file, &problem))?;
        Ok(outcome)
    }

    /// The old file or the new one is there, whatever happens, and the new one is on disk when this returns.
    fn replace(&self, encrypted: &[u8]) -> io::Result<()> {
        let partial = beside(&self.file, ".part");
        let _ = std::fs::remove_file(&partial);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&partial)?;
        let written = file
            .write_all(encrypted)
            .and_then(|()| give_to_owner_of_folder(&file, &self.file))
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::rename(&partial, &self.file))
            .and_then(|()| sync_folder(&self.file));
        if written.is_err() {
            let _ = std::fs::remove_file(&partial);
        }
        written
    }

    /// Keeps every other writer out until the file is dropped; waits for one that is at it.
    fn lock(&self) -> Result<File, SecretError> {
        let path = beside(&self.file, ".lock");
        let opened = make_folder(&path)
            .and_then(|()| OpenOptions::new().write(true).create(true).truncate(false).mode(PRIVATE).open(&path));
        let file = opened.map_err(|problem| unwritable(&path, &problem))?;
        let _ = give_to_owner_of_folder(&file, &path);
        file.lock().map_err(|problem| unwritable(&path, &problem))?;
        Ok(file)
    }
}

fn unwritable(path: &Path, problem: &io::Error) -> SecretError {
    SecretError::Write { path: path.to_owned(), problem: problem.to_string() }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn make_folder(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder_of(path))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// What root writes is for the daemon, whose user owns the folder.
fn give_to_owner_of_folder(file: &File, path: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let folder = std::fs::metadata(folder_of(path))?;
    std::os::unix::fs::fchown(file, Some(folder.uid()), Some(folder.gid()))
}
