//! The service: one view of all sources, which stays true while they change.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::age_store::AgeStore;
use super::error::SecretError;
use super::openbao::OpenBao;
use super::options::Options;
use super::setting::{ProcessSecrets, Secrets};
use super::source::{Entry, Place, Source, SourceKind, Values};
use crate::base::clock::later;
use crate::base::{Clock, ExposeSecret, Masker, SecretString, Timestamp, limits};
use crate::primitives::http::Http;
use crate::primitives::permit::SecretPermit;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Vault(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    masker: Masker,
    clock: Clock,
    bao: Option<OpenBao>,
    /// Held while OpenBao is asked, so that everybody waits for one answer.
    asking: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In order of precedence.
    files: Vec<Source>,
    remote: Remote,
    /// What the configuration asked for of the daemon's environment.
    environment: BTreeMap<String, SecretString>,
    /// What was known once and is masked still, the latest last.
    retired: VecDeque<SecretString>,
    /// What the masker was told last.
    masked: Vec<SecretString>,
    is_crowded: bool,
}

#[derive(Debug, Default)]
struct Remote {
    values: Values,
    problem: Option<SecretError>,
    look_at: Option<Timestamp>,
    failures: u32,
}

/// A secret that somebody may have.
#[derive(Debug, Clone)]
pub struct Found {
    pub name: String,
    pub value: SecretString,
}

/// A secret as it is listed: never its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub source: SourceKind,
    /// When it was set, as far as the source knows.
    pub at: Option<Timestamp>,
    /// The source that gives the value of that name instead.
    pub hidden_by: Option<SourceKind>,
}

impl Vault {
    /// Reads what is on disk; OpenBao is not asked yet. Fails when a source cannot be used.
    pub fn open(options: Options, http: Http, masker: Masker, clock: Clock) -> Result<Self, SecretError> {
        let Options { config, credentials_directory } = options;
        let store = config.age_identity.map(|identity| Place::Store(AgeStore::new(config.store, identity)));
        let places = [
            config.env_file.map(Place::EnvFile),
            config.credentials.or(credentials_directory).map(Place::Credentials),
            store,
        ];
        let files: Vec<Source> = places.into_iter().flatten().map(Source::new).collect();
        let bao = config.openbao.map(|options| OpenBao::new(options, http, clock.clone()));
        let state = Mutex::new(State { files, ..State::default() });
        let vault = Self(Arc::new(Shared { masker, clock, bao, asking: tokio::sync::Mutex::default(), state }));
        let state = vault.looked();
        match state.files.iter().find_map(|source| source.problem.clone()) {
            Some(problem) => Err(problem),
            None if state.is_crowded => Err(SecretError::Crowded),
            None => {
                drop(state);
                Ok(vault)
            }
        }
    }

    /// What takes them out of texts.
    pub fn masker(&self) -> &Masker {
        &self.0.masker
    }

    /// Keeps OpenBao's values fresh and looks at the files until `stop`, so that a value is masked soon after it came to
    /// be, whether anybody asks for it or not.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), Infallible> {
        loop {
            self.refresh().await;
            tokio::select! {
                () = self.0.clock.sleep(limits::SECRETS_LOOK_EVERY) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    /// Looks at all sources that are due. Problems are kept for [`Vault::problems`].
    pub async fn refresh(&self) {
        drop(self.looked());
        let Some(bao) = &self.0.bao else { return };
        let _asking = self.0.asking.lock().await;
        if self.state().remote.look_at.is_some_and(|at| self.0.clock.now() < at) {
            return;
        }
        let read = bao.read(self).await;
        let mut state = self.state();
        let State { remote, retired, .. } = &mut *state;
        match read {
            Ok(values) => {
                retire(retired, &remote.values, &values);
                let look_at = Some(later(self.0.clock.now(), bao.options().refresh));
                *remote = Remote { values, look_at, ..Remote::default() };
            }
            Err(problem) => {
                if remote.problem.as_ref() != Some(&problem) {
                    tracing::warn!(%problem, "secrets of OpenBao cannot be read; those that are known stay in use");
                }
                let pause =
                    limits::OPENBAO_PAUSE.saturating_mul(1 << remote.failures.min(16)).min(bao.options().refresh);
                remote.problem = Some(problem);
                remote.failures += 1;
                remote.look_at = Some(later(self.0.clock.now(), pause));
            }
        }
        self.tell_masker(&mut state);
    }

    /// The secret that the permit is for, from the first source that has it.
    pub async fn get(&self, permit: &SecretPermit) -> Result<Found, SecretError> {
        self.refresh().await;
        let (state, name) = (self.state(), permit.name());
        match state.find(name) {
            Some((_, entry)) => Ok(Found { name: name.to_owned(), value: entry.value.clone() }),
            None => Err(self.missing(&state, name)),
        }
    }

    /// Whether there is one of that name that scripts can be given.
    pub fn has(&self, name: &str) -> bool {
        self.looked().find(name).is_some()
    }

    /// All names in all sources.
    pub fn list(&self) -> Vec<Listed> {
        let state = self.looked();
        let mut listed = Vec::new();
        for (kind, values) in state.sources() {
            for (name, entry) in values {
                let hidden_by = state.find(name).map(|(found, _)| found).filter(|found| *found != kind);
                listed.push(Listed { name: name.clone(), source: kind, at: entry.at, hidden_by });
            }
        }
        listed.sort_by(|one, other| (&one.name, one.source).cmp(&(&other.name, other.source)));
        listed
    }

    /// What is wrong with the sources now.
    pub fn problems(&self) -> Vec<SecretError> {
        let state = self.looked();
        let crowded = state.is_crowded.then_some(SecretError::Crowded);
        let of_files = state.files.iter().filter_map(|source| source.problem.clone());
        of_files.chain(state.remote.problem.clone()).chain(crowded).collect()
    }

    /// How many sources there are.
    pub fn sources(&self) -> usize {
        self.state().files.len() + usize::from(self.0.bao.is_some())
    }

    fn missing(&self, state: &State, name: &str) -> SecretError {
        // What cannot be asked now may have it.
        if let Some(problem) = &state.remote.problem {
            return problem.clone();
        }
        let sources: Vec<&str> = state.files.iter().map(|source| source.place.kind().as_str()).collect();
        let remote = self.0.bao.as_ref().map(|_| SourceKind::OpenBao.as_str());
        let known = state.sources().flat_map(|(_, values)| values.keys().map(String::as_str)).collect::<Vec<_>>();
        SecretError::missing(name, known, &[sources, remote.into_iter().collect()].concat())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, after the files were looked at.
    fn looked(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        let mut changed = false;
        let State { files, retired, .. } = &mut *state;
        for source in files {
            let (before, problem) = (source.values.clone(), source.problem.clone());
            if source.look() {
                changed = true;
                retire(retired, &before, &source.values);
                if let Some(new) = source.problem.as_ref().filter(|new| Some(*new) != problem.as_ref()) {
                    tracing::warn!(problem = %new, "secrets cannot be read; those that are known stay in use");
                }
            }
        }
        if changed {
            self.tell_masker(&mut state);
        }
        state
    }

    /// Before anybody is given a value, it is masked.
    fn tell_masker(&self, state: &mut State) {
        let of_sources = state.sources().flat_map(|(_, values)| values.values().map(|entry| &entry.value));
        let mut known: Vec<SecretString> =
            of_sources.chain(state.environment.values()).chain(&state.retired).cloned().collect();
        known.sort_by(|one, other| one.expose_secret().cmp(other.expose_secret()));
        known.dedup_by(|one, other| one.expose_secret() == other.expose_secret());
        let same = |(one, other): (&SecretString, &SecretString)| one.expose_secret() == other.expose_secret();
        if known.len() == state.masked.len() && known.iter().zip(&state.masked).all(same) {
            return;
        }
        state.is_crowded = !self.0.masker.set(known.iter().map(ExposeSecret::expose_secret));
        if state.is_crowded {
            tracing::error!("there are too many secrets to mask them all");
        }
        state.masked = known;
    }
}

/// What was there and is not any more.
fn retire(retired: &mut VecDeque<SecretString>, before: &Values, now: &Values) {
    for (name, old) in before {
        let stays = now.get(name).is_some_and(|new| new.value.expose_secret() == old.value.expose_secret());
        if !stays {
            retired.push_back(old.value.clone());
        }
    }
    while retired.len() > limits::SECRETS_RETIRED_MAX {
        retired.pop_front();
    }
}

impl State {
    fn sources(&self) -> impl Iterator<Item = (SourceKind, &Values)> {
        let files = self.files.iter().map(|source| (source.place.kind(), &source.values));
        files.chain(std::iter::once((SourceKind::OpenBao, &self.remote.values)))
    }

    fn find(&self, name: &str) -> Option<(SourceKind, &Entry)> {
        self.sources().find_map(|(kind, values)| Some((kind, values.get(name)?)))
    }
}

/// For the configuration's `secret:NAME`; the daemon's own environment is the last place that is looked at.
impl Secrets for Vault {
    fn secret(&self, name: &str) -> Option<SecretString> {
        let mut state = self.looked();
        if let Some((_, entry)) = state.find(name) {
            return Some(entry.value.clone());
        }
        let value = ProcessSecrets.secret(name)?;
        state.environment.insert(name.to_owned(), value.clone());
        self.tell_masker(&mut state);
        Some(value)
    }

    fn masker(&self) -> Masker {
        self.0.masker.clone()
    }
}
