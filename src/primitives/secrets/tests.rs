use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::*;
use crate::base::{Clock, ExposeSecret, Fault, MASK, Masker};
use crate::model::Grants;
use crate::primitives::http::{self, Http};
use crate::primitives::permit;

/// A folder with sources of secrets in it.
struct Bed {
    dir: tempfile::TempDir,
    options: Options,
    masker: Masker,
}

impl Bed {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = dir.path().join("store/secrets.age");
        let config = SecretsConfig { store, ..SecretsConfig::default() };
        let options = Options { config, credentials_directory: None };
        Self { dir, options, masker: Masker::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, content: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        // Beside and in one step, as tools do.
        let new = path.with_extension("new");
        fs::write(&new, content).expect("written");
        fs::set_permissions(&new, fs::Permissions::from_mode(mode)).expect("a mode");
        fs::rename(&new, &path).expect("in its place");
        path
    }

    fn env_file(mut self, content: &str) -> Self {
        self.options.config.env_file = Some(self.file("env", content, 0o600));
        self
    }

    fn store(&mut self) -> AgeStore {
        let identity = self.path("identity");
        self.options.config.age_identity = Some(identity.clone());
        AgeStore::new(self.options.config.store.clone(), identity)
    }

    fn open(&self) -> Result<Vault, SecretError> {
        let http = Http::new(&http::Options::default(), Clock::system()).expect("a client");
        Vault::open(self.options.clone(), http, self.masker.clone(), Clock::system())
    }
}

async fn value(vault: &Vault, name: &str) -> Result<String, SecretError> {
    let permit = permit::secret(&Grants::all(), name).expect("every right");
    vault.get(&permit).await.map(|found| found.value.expose_secret().to_owned())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").mode() & 0o777
}

#[tokio::test]
async fn the_first_source_that_has_a_name_gives_its_value() {
    let mut bed = Bed::new().env_file("A=from-the-file\nB=of-the-file");
    bed.file("credentials/A", "from-systemd\n", 0o400);
    bed.file("credentials/C", "of-systemd\r\n", 0o440);
    bed.options.credentials_directory = Some(bed.path("credentials"));
    let store = bed.store();
    for (name, text) in [("C", "from-the-store"), ("D", "of-the-store")] {
        assert_eq!(store.set(name, &text.into(), &Clock::system()), Ok(true));
    }
    let vault = bed.open().expect("a service");
    for (name, text) in [("A", "from-the-file"), ("B", "of-the-file"), ("C", "of-systemd"), ("D", "of-the-store")] {
        assert_eq!(value(&vault, name).await.as_deref(), Ok(text), "{name}");
    }
    let listed: Vec<_> = vault
        .list()
        .into_iter()
        .map(|one| (one.name, one.source.as_str(), one.hidden_by.is_some(), one.at.is_some()))
        .collect();
    let expected = [
        ("A", "environment file", false, true),
        ("A", "systemd credential", true, true),
        ("B", "environment file", false, true),
        ("C", "systemd credential", false, true),
        ("C", "store", true, true),
        ("D", "store", false, true),
    ];
    assert_eq!(listed, expected.map(|(name, source, hidden, at)| (name.to_owned(), source, hidden, at)));
    let missing = Fault::from(value(&vault, "E").await.expect_err("nobody has it"));
    assert_eq!(missing.code, "secrets.not_found");
    assert!(missing.hint.is_some_and(|hint| hint.contains("environment file, systemd credential, store")));
    // Also what is hidden is masked.
    for text in ["from-the-file", "from-systemd", "from-the-store"] {
        assert_eq!(bed.masker.text(text), MASK);
    }
}

#[test]
fn what_others_can_read_is_refused_with_the_command_that_helps() {
    let mut bed = Bed::new();
    for bad in [0o640, 0o604, 0o660, 0o601, 0o777] {
        let file = bed.file("env", "A=some-secret", bad);
        bed.options.config.env_file = Some(file.clone());
        let fault = Fault::from(bed.open().expect_err("it is readable by others"));
        assert_eq!((&*fault.code, fault.hint), ("secrets.mode", Some(format!("chmod 600 {}", file.display()))));
    }
    bed.options.config.env_file = None;
    bed.file("credentials/A", "x", 0o444);
    bed.options.credentials_directory = Some(bed.path("credentials"));
    assert!(matches!(bed.open(), Err(SecretError::Mode { mode: 0o444, .. })));
    bed.options.credentials_directory = None;
    let store = bed.store();
    store.set("A", &"some-secret".into(), &Clock::system()).expect("set");
    for file in [store.file(), store.identity()] {
        fs::set_permissions(file, fs::Permissions::from_mode(0o644)).expect("a mode");
        assert!(matches!(bed.open(), Err(SecretError::Mode { mode: 0o644, .. })), "{}", file.display());
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("a mode");
    }
    assert!(bed.open().is_ok());
}

#[tokio::test]
async fn a_change_is_seen_without_a_restart_and_what_was_stays_masked() {
    let mut bed = Bed::new().env_file("A=first-value");
    let store = bed.store();
    let vault = bed.open().expect("a service");
    assert_eq!(value(&vault, "A").await.as_deref(), Ok("first-value"));
    bed.file("env", "A=second-value\nNEW=brand-new", 0o600);
    store.set("B", &"in-the-store".into(), &Clock::system()).expect("set");
    for (name, text) in [("A", "second-value"), ("NEW", "brand-new"), ("B", "in-the-store")] {
        assert_eq!(value(&vault, name).await.as_deref(), Ok(text));
    }
    assert_eq!(bed.masker.text("first-value second-value brand-new in-the-store"), "*** *** *** ***");
    store.remove("B").expect("removed");
    assert!(value(&vault, "B").await.is_err());
    assert_eq!(bed.masker.text("in-the-store"), MASK);
}

#[tokio::test]
async fn a_source_that_breaks_leaves_what_was_known_and_says_so() {
    let bed = Bed::new().env_file("A=first-value");
    let vault = bed.open().expect("a service");
    for (content, mode, code) in [("A=other", 0o644, "secrets.mode"), ("no sign", 0o600, "secrets.syntax")] {
        bed.file("env", content, mode);
        assert_eq!(value(&vault, "A").await.as_deref(), Ok("first-value"));
        let codes: Vec<_> = vault.problems().into_iter().map(|problem| Fault::from(problem).code).collect();
        assert_eq!(codes, [code]);
    }
    fs::remove_file(bed.path("env")).expect("removed");
    assert_eq!(value(&vault, "A").await.as_deref(), Ok("first-value"));
    bed.file("env", "A=mended-value", 0o600);
    assert_eq!(value(&vault, "A").await.as_deref(), Ok("mended-value"));
    assert_eq!(vault.problems(), []);
}

#[test]
fn the_configuration_finds_secrets_in_sources_and_then_in_the_environment() {
    let bed = Bed::new().env_file("HOME=of-the-file");
    let vault = bed.open().expect("a service");
    assert_eq!(vault.secret("HOME").expect("it is there").expose_secret(), "of-the-file");
    let path = vault.secret("PATH").expect("every process has one");
    assert!(bed.masker.finds(path.expose_secret()), "what the configuration uses is masked");
    assert!(!vault.has("PATH"), "scripts do not reach the environment");
    assert!(vault.secret("AEGIS_NO_SUCH_SECRET").is_none());
}

#[test]
fn the_store_is_encrypted_private_and_whole() {
    let mut bed = Bed::new();
    let store = bed.store();
    let clock = Clock::system();
    assert!(store.read().expect("nothing yet").is_empty());
    assert_eq!(store.set("A", &"some-secret".into(), &clock), Ok(true), "the identity is made by itself");
    assert_eq!(store.set("A", &"other-secret".into(), &clock), Ok(false));
    let on_disk = fs::read(store.file()).expect("the store");
    assert!(on_disk.starts_with(b"age-encryption.org/v1"), "the tools of age read it");
    assert!(!String::from_utf8_lossy(&on_disk).contains("other-secret"));
    assert_eq!((mode(store.file()), mode(store.identity())), (0o600, 0o600));
    let made = store.init().expect("it is there");
    assert!(!made.is_new && made.recipient.starts_with("age1"));
    let names: Vec<String> = fs::read_dir(bed.path("store"))
        .expect("the folder")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert!(!names.iter().any(|name| name.ends_with(".part")), "{names:?}");
    assert_eq!(store.remove("A"), Ok(true));
    assert_eq!(store.remove("A"), Ok(false));
}

#[test]
fn wrong_uses_of_the_store_are_refused_by_name() {
    let mut bed = Bed::new();
    let store = bed.store();
    let clock = Clock::system();
    let code = |error: SecretError| Fault::from(error).code.into_owned();
    for name in ["", "a b", ".hidden", "a/b", "é", &"x".repeat(129)] {
        assert_eq!(store.set(name, &"some-secret".into(), &clock).map_err(code), Err("secrets.name".into()), "{name}");
    }
    let long = "x".repeat(crate::base::limits::SECRET_VALUE_BYTES_MAX + 1);
    for value in ["", "a\0b", &long] {
        assert_eq!(store.set("A", &value.into(), &clock).map_err(code), Err("secrets.value".into()));
    }
    store.set("A", &"some-secret".into(), &clock).expect("set");
    // Another identity, none, and one that is none.
    fs::rename(store.identity(), bed.path("kept")).expect("moved");
    assert_eq!(store.read().map(|_| ()).map_err(code), Err("secrets.identity".into()));
    assert_eq!(store.set("B", &"some-secret".into(), &clock).map_err(code), Err("secrets.identity".into()));
    let other = AgeStore::new(bed.path("other-store"), store.identity().to_owned());
    other.init().expect("another identity");
    assert_eq!(store.read().map(|_| ()).map_err(code), Err("secrets.undecryptable".into()));
    bed.file("identity", "no identity", 0o600);
    assert_eq!(store.read().map(|_| ()).map_err(code), Err("secrets.identity".into()));
    fs::rename(bed.path("kept"), store.identity()).expect("moved back");
    fs::write(store.file(), b"age-encryption.org/v1\ncut").expect("damaged");
    assert_eq!(store.read().map(|_| ()).map_err(code), Err("secrets.undecryptable".into()));
    assert_eq!(store.set("B", &"x-secret".into(), &clock).map_err(code), Err("secrets.undecryptable".into()));
}

#[test]
fn writers_at_once_lose_nothing() {
    let mut bed = Bed::new();
    let store = bed.store();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let store = store.clone();
            scope.spawn(move || {
                for turn in 0..4 {
                    store.set(&format!("S{writer}_{turn}"), &"some-secret".into(), &Clock::system()).expect("set");
                }
            });
        }
    });
    assert_eq!(store.read().expect("whole").len(), 32);
}

#[test]
fn no_message_and_no_debug_output_holds_a_value() {
    let mut bed = Bed::new().env_file("A=hunter2-of-the-file");
    bed.store().set("B", &"hunter2-of-the-store".into(), &Clock::system()).expect("set");
    let vault = bed.open().expect("a service");
    bed.file("env", "A='hunter2-open", 0o600);
    let said = format!("{vault:?} {:?} {:?} {:?}", vault.problems(), vault.list(), bed.masker);
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_denial_names_the_line_to_add() {
    let grants = Grants { secrets: vec!["A".into()], reveal: vec!["R-1".into()], ..Grants::default() };
    assert!(permit::secret(&grants, "A").is_ok() && permit::secret(&grants, "R-1").is_ok());
    assert!(permit::reveal(&grants, "R-1").is_ok());
    let line = |denied: Result<_, permit::Denied>| denied.map(|_: permit::SecretPermit| ()).expect_err("denied").line;
    assert_eq!(line(permit::secret(&grants, "B")), r#"permissions = { secrets = { "A", "B", ["R-1"] = "reveal" } }"#);
    let both = r#"permissions = { secrets = { ["R-1"] = "reveal", A = "reveal" } }"#;
    assert_eq!(line(permit::reveal(&grants, "A")), both);
}
