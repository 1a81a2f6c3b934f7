//! What belongs to executions: containers that are held in, and the networks that are their only way out.

use super::create::CreateOptions;
use super::error::DockerError;
use super::networks::Network;
use crate::base::RunId;
use crate::model::grants::Access;
use crate::primitives::permit::{Denied, DockerPermit};

/// What names of networks and containers of executions begin with.
pub const EXECUTION_PREFIX: &str = "aegis-exec-";
/// Containers of executions that could not be killed are called so.
pub const QUARANTINE_PREFIX: &str = "aegis-quarantine-";
/// The run that something belongs to.
pub const RUN_LABEL: &str = "aegis.run";
/// The way out that a network is, or that a container uses.
pub const GATE_LABEL: &str = "aegis.egress";

/// Whether a container is an execution's: it reaches nothing but by a way out of its run's.
fn is_execution(container: &str) -> bool {
    [EXECUTION_PREFIX, QUARANTINE_PREFIX].iter().any(|prefix| container.starts_with(prefix))
}

impl Network {
    /// Whether it holds executions in, or is called as if it did.
    pub(super) fn is_gate(&self) -> bool {
        self.labels.contains_key(GATE_LABEL) || self.name.starts_with(EXECUTION_PREFIX)
    }

    /// Whether it leads out the way that was opened for the run, and no other.
    fn is_gate_of(&self, run: Option<RunId>) -> bool {
        let gate = self.labels.get(GATE_LABEL).map_or("", String::as_str);
        self.internal
            && self.name.strip_prefix(EXECUTION_PREFIX) == Some(gate)
            && belongs(self.labels.get(RUN_LABEL), run)
    }
}

fn belongs(label: Option<&String>, run: Option<RunId>) -> bool {
    run.is_some_and(|run| label.is_some_and(|label| *label == run.to_string()))
}

/// A container that is put on a network.
pub(super) struct Guest<'a> {
    pub name: Option<&'a str>,
    /// Of which run its label tells.
    pub run: Option<&'a String>,
    /// The name servers that it is told of. Without one an engine may ask the machine's own for it.
    pub dns: &'a [String],
}

impl Guest<'_> {
    /// Whether it asks the network's own name server, and no other.
    fn asks(&self, network: &Network) -> bool {
        let own =
            |server: &String| network.gateways.iter().any(|gateway| gateway.split('/').next() == Some(server.as_str()));
        !self.dns.is_empty() && self.dns.iter().all(own)
    }

    /// Executions are held in by networks of their own run's, and nobody else is on those.
    pub(super) fn check_joins(&self, permit: &DockerPermit, network: &Network) -> Result<(), DockerError> {
        let may = if network.is_gate() {
            network.is_gate_of(permit.run()) && belongs(self.run, permit.run()) && self.asks(network)
        } else {
            !self.name.is_some_and(is_execution)
        };
        if may {
            return Ok(());
        }
        let what = match network.is_gate() {
            true => format!(
                "a container on {:?} without the labels and the name server of its own run's way out",
                network.name
            ),
            false => format!("an execution on the network {:?}, which does not hold it in,", network.name),
        };
        Ok(self.check_admin(permit, &what)?)
    }

    /// An engine puts a container on its usual network, which leads everywhere, unless it is told otherwise.
    pub(super) fn check_usual(&self, permit: &DockerPermit, options: &CreateOptions) -> Result<(), DockerError> {
        let is_told = options.networks.names().next().is_some() || options.network_mode.as_deref() == Some("none");
        if is_told || !self.name.is_some_and(is_execution) {
            return Ok(());
        }
        let what = "an execution on Docker's usual network, without network_mode = \"none\" or a way out of its own,";
        Ok(self.check_admin(permit, what)?)
    }

    fn check_admin(&self, permit: &DockerPermit, what: &str) -> Result<(), Denied> {
        match self.name {
            Some(name) => permit.check_as(what, Access::Admin, name),
            None => permit.check_all(Access::Admin, what),
        }
    }
}

/// Networks of executions are made by the daemon, which knows whether they hold.
pub(super) fn check_makes(permit: &DockerPermit, network: &str) -> Result<(), DockerError> {
    if permit.is_daemon() || !network.starts_with(EXECUTION_PREFIX) {
        return Ok(());
    }
    let what = format!("making the network {network:?} by hand, which aegis.egress.open does,");
    Ok(permit.check_as(&what, Access::Admin, network)?)
}

/// They are taken away by it and by the run that they belong to.
pub(super) fn check_removes(permit: &DockerPermit, network: &Network) -> Result<(), DockerError> {
    if permit.is_daemon() || !network.is_gate() || belongs(network.labels.get(RUN_LABEL), permit.run()) {
        return Ok(());
    }
    let what = format!("removing {:?}, the way out of another run's or of none,", network.name);
    Ok(permit.check_as(&what, Access::Admin, &network.name)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::Grants;
    use crate::model::grants::DockerGrant;
    use crate::primitives::permit;

    fn permit(access: Access, run: RunId) -> DockerPermit {
        let names = ["aegis-exec-*", "aegis-quarantine-*", "web-*"].map(str::to_owned).into();
        let docker = Some(DockerGrant::Named(BTreeMap::from([(access, names)])));
        let grants = Grants { docker, ..Grants::default() };
        permit::docker(&grants, Access::Write, None).expect("granted").of_run(run)
    }

    fn network(name: &str, internal: bool, labels: &[(&str, &str)]) -> Network {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let gateways = vec!["172.30.0.1".to_owned()];
        Network { name: name.into(), internal, labels, gateways, ..super::super::networks::none() }
    }

    #[test]
    fn executions_are_on_ways_out_of_their_own_run_and_nobody_else_is() {
        let (own, other) = (RunId::generate(), RunId::generate());
        let (mine, theirs) = (own.to_string(), other.to_string());
        let gate = |run: &str| network("aegis-exec-g", true, &[(GATE_LABEL, "g"), (RUN_LABEL, run)]);
        let leaky = network("aegis-exec-g", false, &[(GATE_LABEL, "g"), (RUN_LABEL, &mine)]);
        let renamed = network("front", true, &[(GATE_LABEL, "g"), (RUN_LABEL, &mine)]);
        let bare = network("aegis-exec-g", true, &[]);
        let front = network("front", false, &[]);
        for (container, run, network, expected) in [
            ("aegis-exec-1", Some(&mine), &gate(&mine), true),
            ("web-1", Some(&mine), &gate(&mine), true),
            ("web-1", None, &front, true),
            ("aegis-exec-1", None, &gate(&mine), false),
            ("aegis-exec-1", Some(&theirs), &gate(&mine), false),
            ("aegis-exec-1", Some(&theirs), &gate(&theirs), false),
            ("aegis-exec-1", Some(&mine), &gate(&theirs), false),
            ("aegis-exec-1", Some(&mine), &leaky, false),
            ("aegis-exec-1", Some(&mine), &renamed, false),
            ("aegis-exec-1", Some(&mine), &bare, false),
            ("aegis-exec-1", Some(&mine), &front, false),
            ("aegis-quarantine-aegis-exec-1", Some(&mine), &front, false),
            ("web-1", None, &gate(&theirs), false),
        ] {
            let guest = Guest { name: Some(container), run, dns: &["172.30.0.1".to_owned()] };
            let joined = guest.check_joins(&permit(Access::Write, own), network);
            assert_eq!(joined.is_ok(), expected, "{container} {run:?} {network:?}");
            assert!(guest.check_joins(&permit(Access::Admin, own), network).is_ok(), "an admin decides");
        }
        for dns in [&[][..], &["8.8.8.8".to_owned()], &["172.30.0.1".to_owned(), "8.8.8.8".to_owned()]] {
            let guest = Guest { name: Some("aegis-exec-1"), run: Some(&mine), dns };
            assert!(guest.check_joins(&permit(Access::Write, own), &gate(&mine)).is_err(), "{dns:?}");
        }
    }

    #[test]
    fn ways_out_are_made_by_the_daemon_and_removed_by_whose_they_are() {
        let (own, other) = (RunId::generate(), RunId::generate());
        let daemon = permit::executions(&[EXECUTION_PREFIX]).expect("a permit");
        assert!(check_makes(&daemon, "aegis-exec-g").is_ok());
        assert!(check_makes(&permit(Access::Write, own), "web-front").is_ok());
        let refused = check_makes(&permit(Access::Write, own), "aegis-exec-g").expect_err("not the daemon");
        assert!(refused.to_string().contains("aegis.egress.open"), "{refused}");
        let gate = network("aegis-exec-g", true, &[(GATE_LABEL, "g"), (RUN_LABEL, &own.to_string())]);
        for (permit, expected) in
            [(permit(Access::Write, own), true), (permit(Access::Write, other), false), (daemon, true)]
        {
            assert_eq!(check_removes(&permit, &gate).is_ok(), expected);
        }
    }

    #[test]
    fn an_execution_says_where_it_is() {
        let permit = permit(Access::Write, RunId::generate());
        for (container, options, expected) in [
            ("aegis-exec-1", serde_json::json!({ "network_mode": "none" }), true),
            ("aegis-exec-1", serde_json::json!({ "networks": ["aegis-exec-g"] }), true),
            ("web-1", serde_json::json!({}), true),
            ("aegis-exec-1", serde_json::json!({}), false),
            ("aegis-exec-1", serde_json::json!({ "networks": [] }), false),
            ("aegis-exec-1", serde_json::json!({ "network_mode": "" }), false),
            ("aegis-exec-1", serde_json::json!({ "network_mode": "bridge" }), false),
            ("aegis-exec-1", serde_json::json!({ "network_mode": "default" }), false),
        ] {
            let mut all = options.clone();
            all["image"] = "agent:1".into();
            let all: CreateOptions = serde_json::from_value(all).expect("options");
            let guest = Guest { name: Some(container), run: None, dns: &[] };
            assert_eq!(guest.check_usual(&permit, &all).is_ok(), expected, "{container} {options}");
        }
    }
}
