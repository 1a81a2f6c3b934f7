//! A service: what it is called, how many run, where it is reached.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::draft::Draft;
use super::objects::Stored;
use super::{Service, container, default_network, mounts, policy, unsupported};
use crate::base::Fault;
use crate::base::limits::STACK_REPLICAS_MAX;
use crate::primitives::stack::compose::Project;
use crate::primitives::stack::compose::model::{self, Deploy, Port, ServiceNetwork};
use crate::primitives::stack::desired::{Label, parts_text};

pub(super) struct Making<'a> {
    pub project: &'a Project,
    pub name: &'a str,
    pub service: &'a model::Service,
    pub stored: &'a Stored,
    pub warnings: &'a mut Vec<String>,
}

impl Making<'_> {
    pub fn service(mut self) -> Result<Service, Fault> {
        let service = self.service;
        if service.image.is_empty() {
            let message = format!("the service {:?} has no image, and a swarm builds none", self.name);
            let hint = "build it, push it to a registry that the nodes reach, and give the service its name as image";
            return Err(unsupported(message).hint(hint));
        }
        let mut draft = Draft::default();
        let name = format!("{}_{}", self.project.name, self.name);
        draft.spec = json!({ "Name": name });
        container::put(service, &mut draft);
        draft.put_some("volumes", "/TaskTemplate/ContainerSpec/Mounts", self.mounts()?);
        for (key, place, list) in [
            ("secrets", "/TaskTemplate/ContainerSpec/Secrets", self.stored.secrets(self.name, &service.secrets)?),
            ("configs", "/TaskTemplate/ContainerSpec/Configs", self.stored.configs(self.name, &service.configs)?),
        ] {
            draft.put_some(key, place, list);
        }
        draft.put_some("networks", "/TaskTemplate/Networks", self.networks());
        policy::put(service, &mut draft);
        self.mode(&mut draft)?;
        self.endpoint(&mut draft);
        Ok(self.labelled(name, draft))
    }

    fn deploy(&self) -> Option<&Deploy> {
        self.service.deploy.as_ref()
    }

    fn mounts(&mut self) -> Result<Vec<Value>, Fault> {
        let mut list = Vec::new();
        for mount in &self.service.volumes {
            list.push(mounts::mount(self.project, self.name, mount, self.warnings)?);
        }
        for entry in &self.service.tmpfs {
            list.push(mounts::tmpfs(self.name, entry, self.warnings));
        }
        Ok(list)
    }

    fn mode(&mut self, draft: &mut Draft) -> Result<(), Fault> {
        let said = self.deploy().and_then(|deploy| deploy.replicas).or(self.service.scale);
        let replicas = said.unwrap_or(1);
        if replicas > STACK_REPLICAS_MAX {
            let message =
                format!("the service {:?} has {replicas} replicas, more than {STACK_REPLICAS_MAX}", self.name);
            return Err(Fault::new("stack.too_large", message).hint("ask for fewer replicas"));
        }
        let mode = self.deploy().map(|deploy| deploy.mode.as_str()).unwrap_or_default();
        let value = match mode {
            "" | "replicated" => json!({ "Replicated": { "Replicas": replicas } }),
            "replicated-job" => {
                json!({ "ReplicatedJob": { "MaxConcurrent": replicas, "TotalCompletions": replicas } })
            }
            "global" => json!({ "Global": {} }),
            "global-job" => json!({ "GlobalJob": {} }),
            other => {
                let message = format!("the service {:?} has the mode {other:?}", self.name);
                let hint = "write replicated, global, replicated-job or global-job for deploy.mode";
                return Err(unsupported(message).hint(hint));
            }
        };
        if mode.starts_with("global") && said.is_some() {
            self.warn("deploy.replicas has no effect beside deploy.mode global: each node has one");
        }
        draft.put("deploy.replicas", "/Mode", value);
        Ok(())
    }

    fn endpoint(&mut self, draft: &mut Draft) {
        let mode = self.deploy().map(|deploy| deploy.endpoint_mode.clone()).unwrap_or_default();
        draft.put_some("deploy.endpoint_mode", "/EndpointSpec/Mode", mode);
        let mut ports: Vec<(u64, Value)> = Vec::new();
        for port in &self.service.ports {
            ports.push(self.port(port));
        }
        ports.sort_by_key(|(published, _)| *published);
        let ports: Vec<Value> = ports.into_iter().map(|(_, port)| port).collect();
        draft.put_some("ports", "/EndpointSpec/Ports", ports);
    }

    fn port(&mut self, port: &Port) -> (u64, Value) {
        let or = |text: &str, usual: &str| if text.is_empty() { usual.to_owned() } else { text.to_owned() };
        let mut value = json!({
            "Protocol": or(&port.protocol, "tcp"),
            "TargetPort": port.target,
            "PublishMode": or(&port.mode, "ingress"),
        });
        let published = port.published.parse::<u64>().ok();
        if let Some(published) = published {
            value["PublishedPort"] = json!(published);
        } else if !port.published.is_empty() {
            self.warn(&format!(
                "ports: the swarm chooses its own for {} instead of one of {}",
                port.target, port.published
            ));
        }
        if !port.host_ip.is_empty() {
            self.warn(&format!("ports: {} is published on every address, not on {} alone", port.target, port.host_ip));
        }
        (published.unwrap_or_default(), value)
    }

    fn networks(&mut self) -> Vec<Value> {
        let mut found: BTreeMap<String, ServiceNetwork> = BTreeMap::new();
        for (key, settings) in &self.service.networks {
            let name = self.project.networks.get(key).map_or(key, |network| &network.name);
            let settings = settings.clone().unwrap_or_default();
            self.unheeded_of_network(key, &settings);
            found.insert(name.clone(), settings);
        }
        if found.is_empty() {
            found.insert(default_network(&self.project.name), ServiceNetwork::default());
        }
        found
            .into_iter()
            .map(|(name, settings)| {
                let mut value = json!({ "Target": name });
                // On the networks of an engine itself nobody is called anything.
                if !super::PREDEFINED.contains(&name.as_str()) {
                    value["Aliases"] = json!([settings.aliases, vec![self.name.to_owned()]].concat());
                }
                if !settings.driver_opts.is_empty() {
                    value["DriverOpts"] = json!(settings.driver_opts);
                }
                value
            })
            .collect()
    }

    fn unheeded_of_network(&mut self, key: &str, settings: &ServiceNetwork) {
        for (option, is_said) in [
            ("ipv4_address", !settings.ipv4_address.is_empty()),
            ("ipv6_address", !settings.ipv6_address.is_empty()),
            ("link_local_ips", !settings.link_local_ips.is_empty()),
            ("mac_address", !settings.mac_address.is_empty()),
            ("priority", settings.priority != 0),
            ("gw_priority", settings.gw_priority != 0),
        ] {
            if is_said {
                self.warn(&format!("a swarm does not do networks.{key}.{option}"));
            }
        }
    }

    fn warn(&mut self, what: &str) {
        self.warnings.push(format!("services.{}: {what}", self.name));
    }

    fn labelled(self, name: String, mut draft: Draft) -> Service {
        let own = self.deploy().map(|deploy| deploy.labels.clone()).unwrap_or_default();
        draft.put_some("deploy.labels", "/Labels", json!(own));
        let (parts, hash) = (draft.parts(), draft.hash());
        let mut labels = own;
        for (label, text) in [
            (Label::Namespace, self.project.name.clone()),
            (Label::StackImage, self.service.image.clone()),
            (Label::OwnHash, hash.clone()),
            (Label::OwnParts, parts_text(&parts)),
        ] {
            labels.insert(label.key().to_owned(), text);
        }
        let mut spec = draft.spec;
        spec["Labels"] = json!(labels);
        // What runs is known by it too, beside what the files say.
        let mut of_tasks = self.service.labels.clone();
        of_tasks.insert(Label::Namespace.key().to_owned(), self.project.name.clone());
        spec["TaskTemplate"]["ContainerSpec"]["Labels"] = json!(of_tasks);
        Service { name, spec, parts, hash, needs: self.service.depends_on.keys().cloned().collect() }
    }
}
