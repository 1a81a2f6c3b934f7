//! The folder that Traefik watches, and our files in it.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::build::{self, Wrong, clipped, is_name, service_name};
use super::document::Document;
use super::options::SetOptions;
use crate::base::limits;
use crate::primitives::proxy::error::{Problem, ProxyError};
use crate::primitives::proxy::service::Info;
use crate::primitives::proxy::source::Kind;

const HEAD: &str = "# Written by Aegis. What is changed here is lost when it writes again.\n";

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    /// One change at a time.
    turn: Arc<Mutex<()>>,
}

/// A set of services as it is in the folder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Services {
    pub name: String,
    pub file: String,
    pub services: Vec<Share>,
    pub rule: Option<String>,
    pub cookie: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    pub name: String,
    pub urls: Vec<String>,
    pub weight: u32,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Written {
    pub name: String,
    pub file: String,
    /// It was another one before, or was not there.
    pub changed: bool,
    pub text: String,
    /// Of a dry run: what would have been done.
    pub plan: Option<String>,
}

impl Folder {
    pub fn new(path: PathBuf) -> Self {
        Self { path, turn: Arc::default() }
    }

    /// Whether it can be written, and what is in it.
    pub async fn info(&self) -> Result<Info, Problem> {
        let work = |own: &Self| {
            let flags = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
            rustix::fs::access(&own.path, flags).map_err(|problem| disk("write to", &own.path, &problem.into()))?;
            let directory = Some(own.path.display().to_string());
            Ok(Info { directory, services: Some(own.names()?), ..Info::of(Kind::Traefik) })
        };
        self.on_disk(work).await
    }

    pub async fn list(&self) -> Result<Vec<Services>, Problem> {
        let work = |own: &Self| {
            let read = |name: String| own.load(&name).map(|found| found.map(|document| own.shown(&name, &document)));
            own.names()?.into_iter().filter_map(|name| read(name).transpose()).collect()
        };
        self.on_disk(work).await
    }

    /// Writes a set in place of the one of that name. Traefik sees the old file or the new one.
    pub async fn set(
        &self,
        proxy: &str,
        name: &str,
        options: SetOptions,
        dry_run: bool,
    ) -> Result<Written, ProxyError> {
        let document = build::document(name, options).map_err(|wrong| bad_call(proxy, wrong))?;
        let (name, of) = (name.to_owned(), proxy.to_owned());
        let work = move |own: &Self| {
            if let Some(other) = own.other_with(&name, &document)? {
                let hint = "Traefik has one list of names for all files: call the set or its services otherwise";
                return Ok(Err(bad_call(&of, (format!("the set {other:?} has a name of this one's"), hint.into()))));
            }
            own.put(&name, &document, dry_run).map(Ok)
        };
        self.on_disk(work).await.unwrap_or_else(|problem| Err(failed(proxy, problem)))
    }

    /// Changes the weight of one entry of a set, and gives the one before.
    pub async fn weigh(
        &self,
        proxy: &str,
        (name, entry): (&str, &str),
        weight: u32,
        dry_run: bool,
    ) -> Result<u32, ProxyError> {
        let weight = build::checked_weight(i64::from(weight)).map_err(|wrong| bad_call(proxy, wrong))?;
        let (set, part, of) = (name.to_owned(), entry.to_owned(), proxy.to_owned());
        let work = move |own: &Self| Ok(own.reweigh(&of, (&set, &part), weight, dry_run));
        self.on_disk(work).await.unwrap_or_else(|problem| Err(failed(proxy, problem)))
    }

    /// Takes a set away; false when there is none of that name.
    pub async fn remove(&self, proxy: &str, name: &str, dry_run: bool) -> Result<bool, ProxyError> {
        if !is_name(name) {
            return Ok(false);
        }
        let file = self.file(name);
        let work = move |own: &Self| {
            let gone = match dry_run {
                true => std::fs::metadata(&file).map(drop),
                false => std::fs::remove_file(&file).and_then(|()| sync(&own.path)),
            };
            match gone {
                Ok(()) => Ok(true),
                Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(problem) => Err(disk("remove", &file, &problem)),
            }
        };
        self.on_disk(work).await.map_err(|problem| failed(proxy, problem))
    }

    /// On a thread that may wait for a disk, one after the other. What has begun ends, whether or not it is waited for.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let own = self.clone();
        let work = move || {
            let _turn = own.turn.lock().unwrap_or_else(PoisonError::into_inner);
            work(&own)
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|_| Err(Problem::Lost("the daemon is ending".into())))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(format!("aegis-{name}.yml"))
    }

    /// Of the sets in the folder, by name.
    fn names(&self) -> Result<Vec<String>, Problem> {
        let failed = |problem: io::Error| disk("read", &self.path, &problem);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let file = entry.map_err(failed)?.file_name();
            let name = file.to_str().and_then(|file| file.strip_prefix("aegis-")?.strip_suffix(".yml"));
            names.extend(name.filter(|name| is_name(name)).map(str::to_owned));
            if names.len() > limits::PROXY_FILES_MAX {
                let problem = io::Error::other(format!("more than {} files of ours", limits::PROXY_FILES_MAX));
                return Err(failed(problem));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, name: &str) -> Result<Option<String>, Problem> {
        let file = self.file(name);
        let mut text = String::new();
        let read = File::open(&file).and_then(|open| open.take(limits::PROXY_FILE_BYTES_MAX).read_to_string(&mut text));
        match read {
            Ok(_) => Ok(Some(text)),
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(problem) => Err(disk("read", &file, &problem)),
        }
    }

    fn load(&self, name: &str) -> Result<Option<Document>, Problem> {
        let Some(text) = self.read(name)? else { return Ok(None) };
        let foreign = |problem: String| Problem::Foreign { path: self.file(name).display().to_string(), problem };
        let document: Document =
            serde_saphyr::from_str(&text).map_err(|problem| foreign(problem.without_snippet().to_string()))?;
        match document.weighted(name) {
            Some(_) => Ok(Some(document)),
            None => Err(foreign(format!("it has no weighted service {name}"))),
        }
    }

    /// Another set with a router or a service of the same name. What cannot be read is in nobody's way.
    fn other_with(&self, name: &str, document: &Document) -> Result<Option<String>, Problem> {
        let shares = |other: &String| {
            self.load(other).ok().flatten().is_some_and(|other| {
                document.http.services.keys().any(|key| other.http.services.contains_key(key))
                    || document.http.routers.keys().any(|key| other.http.routers.contains_key(key))
            })
        };
        Ok(self.names()?.into_iter().filter(|other| other != name).find(shares))
    }

    fn shown(&self, name: &str, document: &Document) -> Services {
        let prefix = service_name(name, "");
        let weighted = document.weighted(name);
        let parts = weighted.map(|weighted| weighted.services.as_slice()).unwrap_or_default();
        let share = |part: &super::document::Part| Share {
            name: part.name.strip_prefix(&prefix).unwrap_or(&part.name).to_owned(),
            urls: document.urls(&part.name),
            weight: part.weight,
        };
        Services {
            name: name.to_owned(),
            file: self.file(name).display().to_string(),
            services: parts.iter().map(share).collect(),
            rule: document.http.routers.get(name).map(|router| router.rule.clone()),
            cookie: weighted.and_then(|weighted| Some(weighted.sticky.as_ref()?.cookie.name.clone())),
        }
    }

    fn put(&self, name: &str, document: &Document, dry_run: bool) -> Result<Written, Problem> {
        let file = self.file(name);
        // A rule on one line is a rule that people find.
        let style = serde_saphyr::ser_options! { prefer_block_scalars: false };
        let text = serde_saphyr::to_string_with_options(document, style)
            .map_err(|problem| Problem::Protocol(problem.to_string()))?;
        let text = format!("{HEAD}{text}");
        let changed = self.read(name)?.as_deref() != Some(text.as_str());
        let shown = file.display().to_string();
        let plan = dry_run.then(|| match changed {
            true => format!("write {shown}"),
            false => format!("nothing: {shown} is as it would be written"),
        });
        if changed && !dry_run {
            self.replace(&file, text.as_bytes()).map_err(|problem| disk("write", &file, &problem))?;
        }
        Ok(Written { name: name.to_owned(), file: shown, changed, text, plan })
    }

    /// Written beside its place under a name that Traefik does not read, and on disk before it takes the place.
    fn replace(&self, file: &Path, text: &[u8]) -> io::Result<()> {
        let early = file.with_extension("yml.early");
        let write = || {
            match std::fs::remove_file(&early) {
                Err(problem) if problem.kind() != io::ErrorKind::NotFound => return Err(problem),
                _ => {}
            }
            let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&early)?;
            open.write_all(text)?;
            // Traefik runs as somebody else.
            open.set_permissions(Permissions::from_mode(0o644))?;
            open.sync_all()?;
            std::fs::rename(&early, file)?;
            sync(&self.path)
        };
        write().inspect_err(|_| drop(std::fs::remove_file(&early)))
    }

    fn reweigh(&self, proxy: &str, (name, entry): (&str, &str), weight: u32, dry_run: bool) -> Result<u32, ProxyError> {
        let broken = |problem| failed(proxy, problem);
        let known = || self.names().map_err(broken);
        let unknown = |known| ProxyError::UnknownServices { proxy: proxy.to_owned(), name: clipped(name), known };
        let found = if is_name(name) { self.load(name).map_err(broken)? } else { None };
        let Some(mut document) = found else { return Err(unknown(known()?)) };
        let service = service_name(name, entry);
        let parts = document.weighted_mut(name).map(|weighted| &mut weighted.services);
        let parts = parts.ok_or_else(|| unknown(Vec::new()))?;
        let Some(part) = parts.iter_mut().find(|part| part.name == service) else {
            let known = self.shown(name, &document).services.into_iter().map(|share| share.name).collect();
            let (backend, server) = (name.to_owned(), clipped(entry));
            return Err(ProxyError::UnknownServer { proxy: proxy.to_owned(), backend, server, known });
        };
        let before = std::mem::replace(&mut part.weight, weight);
        build::check_weights(parts).map_err(|wrong| bad_call(proxy, wrong))?;
        if before != weight {
            self.put(name, &document, dry_run).map_err(broken)?;
        }
        Ok(before)
    }
}

/// Names that were moved in a folder are on disk after this.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn disk(what: &'static str, path: &Path, problem: &io::Error) -> Problem {
    Problem::Disk { what, path: path.display().to_string(), problem: problem.to_string() }
}

fn bad_call(proxy: &str, (problem, hint): Wrong) -> ProxyError {
    ProxyError::BadCall { proxy: proxy.to_owned(), problem, hint }
}

fn failed(proxy: &str, problem: Problem) -> ProxyError {
    ProxyError::Failed { proxy: proxy.to_owned(), place: None, problem }
}
