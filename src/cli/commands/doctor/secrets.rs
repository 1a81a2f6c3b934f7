//! Whether the sources of secrets can be read, and by nobody else.

use super::Finding;
use crate::app;
use crate::base::{Clock, Fault};
use crate::config::Config;
use crate::primitives::secrets::{Options, SecretsConfig};
use crate::primitives::{self, Primitives};

/// One finding for each source that is configured.
pub(super) async fn check(config: &Config, clock: &Clock) -> Vec<Finding> {
    let Options { config: secrets, credentials_directory } = app::secrets(config);
    let SecretsConfig { env_file, credentials, age_identity, store, openbao } = secrets;
    let mut findings = Vec::new();
    let only = SecretsConfig { store: store.clone(), ..SecretsConfig::default() };
    if let Some(file) = env_file {
        let found = format!("the environment file {}", file.display());
        findings.push(look(SecretsConfig { env_file: Some(file), ..only.clone() }, &found, config, clock).await);
    }
    if let Some(folder) = credentials.or(credentials_directory) {
        let found = format!("the credentials in {}", folder.display());
        findings.push(look(SecretsConfig { credentials: Some(folder), ..only.clone() }, &found, config, clock).await);
    }
    if let Some(identity) = age_identity {
        let found = format!("the store {}", store.display());
        let is_there = identity.exists() || store.exists();
        let with_store = SecretsConfig { age_identity: Some(identity), ..only.clone() };
        findings.push(match is_there {
            true => look(with_store, &found, config, clock).await,
            false => Finding::warning("secrets", format!("{found} is not there yet"), "run aegis secret init"),
        });
    }
    if let Some(openbao) = openbao {
        let found = format!("OpenBao at {}", openbao.address);
        // Its role may come from any of the others.
        let all = SecretsConfig { openbao: Some(openbao), ..config.secrets.clone() };
        findings.push(look(all, &found, config, clock).await);
    }
    findings
}

/// Reads the sources of `secrets`.
async fn look(secrets: SecretsConfig, found: &str, config: &Config, clock: &Clock) -> Finding {
    let options = primitives::Options {
        secrets: Options { config: secrets, credentials_directory: None },
        ca_file: config.outgoing.ca_file.clone(),
        clock: clock.clone(),
        ..primitives::Options::default()
    };
    let read = async {
        let vault = Primitives::new(options)?.secrets;
        vault.refresh().await;
        match vault.problems().into_iter().next() {
            Some(problem) => Err(Fault::from(problem)),
            None => Ok(vault.list().len()),
        }
    };
    match read.await {
        Ok(count) => Finding::ok("secrets", format!("{found}: {count} secrets")),
        Err(fault) => {
            let fix = fault.hint.unwrap_or_else(|| "correct what is named, or the section secrets".to_owned());
            Finding::problem("secrets", fault.message, fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::Verdict;
    use super::*;
    use crate::primitives::secrets::AgeStore;

    #[tokio::test]
    async fn each_source_has_its_finding_and_its_fix() {
        let clock = Clock::system();
        let mut config = Config::default();
        assert_eq!(check(&config, &clock).await, Vec::new());
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("env");
        std::fs::write(&file, "A=some-secret\n").expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("a mode");
        config.secrets.env_file = Some(file.clone());
        config.secrets.age_identity = Some(dir.path().join("identity"));
        config.secrets.store = dir.path().join("store");
        let findings = check(&config, &clock).await;
        assert_eq!(findings[0].fix.as_deref(), Some(&*format!("chmod 600 {}", file.display())));
        assert_eq!((findings[1].verdict, findings.len()), (Verdict::Warning, 2));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        let store = AgeStore::new(dir.path().join("store"), dir.path().join("identity"));
        assert_eq!(store.set("B", &"another-secret".into(), &clock), Ok(true));
        let verdicts: Vec<_> = check(&config, &clock).await.into_iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Ok]);
        std::fs::write(dir.path().join("store"), "damaged").expect("written");
        let finding = check(&config, &clock).await.remove(1);
        assert!(finding.found.contains("cannot be decrypted") && finding.fix.is_some(), "{finding:?}");
    }
}
