//! Whether the files of the configuration's stacks load, and whether there is a swarm for those that want one.

use super::Finding;
use crate::base::{Clock, Fault};
use crate::config::Config;
use crate::model::Grants;
use crate::model::grants::{Access, DockerGrant};
use crate::primitives::docker::{Docker, Options};
use crate::primitives::permit;
use crate::primitives::stack::Stacks;

/// One finding for each stack.
pub(super) async fn check(config: &Config, clock: &Clock) -> Vec<Finding> {
    let docker = Docker::new(Options { host: config.docker.host.clone(), clock: clock.clone() });
    let stacks = Stacks::new(config.stacks.clone(), docker, clock.clone());
    let mut findings = Vec::new();
    for name in config.stacks.keys() {
        findings.push(match checked(&stacks, name).await {
            Ok((services, warnings)) if warnings.is_empty() => {
                Finding::ok("stack", format!("{name}: {services} services"))
            }
            Ok((_, warnings)) => {
                let found = format!("{name}: {}", warnings.join("; "));
                Finding::warning("stack", found, "correct the files, or live without what has no effect")
            }
            Err(fault) => {
                let fix = fault.hint.unwrap_or_else(|| "correct its files".into());
                Finding::problem("stack", format!("{name}: {}", fault.message), fix)
            }
        });
    }
    findings
}

async fn checked(stacks: &Stacks, name: &str) -> Result<(usize, Vec<String>), Fault> {
    let docker = Some(DockerGrant::Everything(Access::Read));
    let grants = Grants { docker, stack: vec![name.to_owned()], ..Grants::default() };
    stacks.check(&permit::stack(&grants, name, Access::Read)?).await
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::primitives::docker::testing::LabSwarm;
    use crate::primitives::stack::{Orchestrator, Source};

    #[tokio::test]
    async fn each_stack_is_loaded() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::default();
        assert_eq!(check(&config, &Clock::system()).await, []);
        for (name, text) in [
            ("bad", "services: { web: { image: [] } }"),
            ("fair", "services: { web: { image: w, links: [x] }, x: { image: x } }"),
            ("good", "services: { web: { image: w } }"),
        ] {
            let place = folder.path().join(name);
            std::fs::create_dir(&place).expect("a folder");
            std::fs::write(place.join("compose.yaml"), text).expect("written");
            config.stacks.insert(name.to_owned(), Source { folder: place, ..Source::default() });
        }
        let found = check(&config, &Clock::system()).await;
        let verdicts: Vec<Verdict> = found.iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Problem, Verdict::Warning, Verdict::Ok], "{found:?}");
        assert_eq!(found[2].found, "good: 1 services");
    }

    #[tokio::test]
    async fn a_stack_of_a_swarm_needs_one() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("compose.yaml"), "services: { web: { image: w } }").expect("written");
        let source = Source { folder: folder.path().into(), orchestrator: Orchestrator::Swarm, ..Source::default() };
        let mut config = Config::default();
        config.stacks.insert("web".to_owned(), source);
        let _turn = LabSwarm::turn();
        let found = check(&config, &Clock::system()).await;
        assert_eq!(found[0].verdict, Verdict::Problem, "{found:?}");
        assert!(found[0].fix.as_ref().is_some_and(|fix| fix.contains("docker swarm init")), "{found:?}");
        config.docker.host = format!("unix://{}/docker.sock", folder.path().display());
        let found = check(&config, &Clock::system()).await;
        assert!(found[0].found.contains("cannot be reached"), "{found:?}");
    }
}
