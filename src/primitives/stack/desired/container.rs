//! A service as options of a container's creation.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::labels::MAKER;
use super::{Condition, Label, Need, Service, long_hash, mounts, resources, short_hash};
use crate::base::Fault;
use crate::primitives::docker::PutFile;
use crate::primitives::stack::compose::Project;
use crate::primitives::stack::compose::model::{self, HealthCheck, Port, ServiceNetwork, Span};

pub(super) struct Making<'a> {
    pub project: &'a Project,
    pub files: &'a [String],
    pub name: &'a str,
    pub service: &'a model::Service,
    pub warnings: &'a mut Vec<String>,
}

impl Making<'_> {
    pub fn service(mut self) -> Result<Service, Fault> {
        let image = self.image();
        let mut options = Map::from_iter([("image".to_owned(), json!(image))]);
        self.process(&mut options);
        self.place(&mut options);
        resources::resources(self.service, &mut options);
        self.put_volumes(&mut options)?;
        let files = mounts::files(self.project, self.name, self.service)?;
        if !files.is_empty() {
            options.insert("files".to_owned(), json!(files.iter().map(shown_file).collect::<Vec<_>>()));
        }
        self.put_networks(&mut options);
        self.warn();
        let parts: BTreeMap<String, String> =
            options.iter().map(|(key, value)| (key.clone(), short_hash(value))).collect();
        let hash = long_hash(&Value::Object(options.clone()));
        self.label(&mut options, &hash, &parts);
        options.remove("files");
        let service = self.service;
        let replicas = service.deploy.as_ref().and_then(|deploy| deploy.replicas).or(service.scale).unwrap_or(1);
        let named = Some(service.container_name.clone()).filter(|name| !name.is_empty());
        Ok(Service {
            name: self.name.to_owned(),
            image,
            build: service.build.clone(),
            pull_policy: self.pull_policy(),
            platform: service.platform.clone(),
            replicas,
            container_name: named,
            networks: self.networks().map(|(name, _)| name).collect(),
            needs: self.needs(),
            shares: self.shares(),
            options,
            files,
            parts,
            hash,
        })
    }

    fn image(&self) -> String {
        match self.service.image.as_str() {
            "" => format!("{}-{}", self.project.name, self.name),
            image => image.to_owned(),
        }
    }

    fn pull_policy(&self) -> String {
        match self.service.pull_policy.as_str() {
            "always" | "never" | "build" => self.service.pull_policy.clone(),
            _ => "missing".to_owned(),
        }
    }

    /// What runs, and as what.
    fn process(&self, options: &mut Map<String, Value>) {
        let service = self.service;
        let mut put = |key: &str, value: Value, is_said: bool| {
            if is_said {
                options.insert(key.to_owned(), value);
            }
        };
        put("command", json!(service.command), service.command.is_some());
        put("entrypoint", json!(service.entrypoint), service.entrypoint.is_some());
        let said = service.environment.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let environment: BTreeMap<_, _> = said.collect();
        put("environment", json!(environment), !environment.is_empty());
        for (key, text) in [
            ("platform", &service.platform),
            ("user", &service.user),
            ("working_dir", &service.working_dir),
            ("hostname", &service.hostname),
            ("domainname", &service.domainname),
            ("stop_signal", &service.stop_signal),
            ("runtime", &service.runtime),
        ] {
            put(key, json!(text), !text.is_empty());
        }
        put("stop_grace_period", span(service.stop_grace_period), service.stop_grace_period.is_some());
        put("group_add", json!(service.group_add), !service.group_add.is_empty());
        put("tty", json!(true), service.tty);
        put("stdin_open", json!(true), service.stdin_open);
        put("init", json!(service.init), service.init.is_some());
        put("annotations", json!(service.annotations), !service.annotations.is_empty());
        put("service_labels", json!(service.labels), !service.labels.is_empty());
        put("healthcheck", service.healthcheck.as_ref().map_or(Value::Null, health), service.healthcheck.is_some());
        let logging = service.logging.as_ref().map(|of| json!({ "driver": of.driver, "options": of.options }));
        put("logging", logging.clone().unwrap_or_default(), logging.is_some());
        let restart = restart(service);
        put("restart", json!(restart), !restart.is_empty());
    }

    /// What it sees of the host and may do there.
    fn place(&self, options: &mut Map<String, Value>) {
        let service = self.service;
        let mut put = |key: &str, value: Value, is_said: bool| {
            if is_said {
                options.insert(key.to_owned(), value);
            }
        };
        let ports: Vec<Value> = service.ports.iter().map(port).collect();
        put("ports", json!(ports), !ports.is_empty());
        for (key, list) in [
            ("expose", &service.expose),
            ("tmpfs", &service.tmpfs),
            ("dns", &service.dns),
            ("dns_search", &service.dns_search),
            ("dns_opt", &service.dns_opt),
            ("cap_add", &service.cap_add),
            ("cap_drop", &service.cap_drop),
            ("security_opt", &service.security_opt),
            ("volumes_from", &service.volumes_from),
            ("device_cgroup_rules", &service.device_cgroup_rules),
        ] {
            put(key, json!(list), !list.is_empty());
        }
        let hosts = service.extra_hosts.0.iter();
        let hosts: Vec<String> =
            hosts.flat_map(|(host, list)| list.iter().map(move |address| format!("{host}:{address}"))).collect();
        put("extra_hosts", json!(hosts), !hosts.is_empty());
        put("read_only", json!(true), service.read_only);
        put("privileged", json!(true), service.privileged);
        put("sysctls", json!(service.sysctls), !service.sysctls.is_empty());
        put("storage_opt", json!(service.storage_opt), !service.storage_opt.is_empty());
        for (key, text) in [
            ("pid", &service.pid),
            ("ipc", &service.ipc),
            ("uts", &service.uts),
            ("userns_mode", &service.userns_mode),
            ("cgroup", &service.cgroup),
            ("cgroup_parent", &service.cgroup_parent),
            ("network_mode", &service.network_mode),
        ] {
            put(key, json!(text), !text.is_empty());
        }
    }

    fn put_volumes(&self, options: &mut Map<String, Value>) -> Result<(), Fault> {
        let volumes = mounts::volumes(self.project, self.name, self.service)?;
        if !volumes.is_empty() {
            options.insert("volumes".to_owned(), json!(volumes));
        }
        Ok(())
    }

    /// Its networks by their names on the engine. The one that it is created on comes first.
    fn networks(&self) -> impl Iterator<Item = (String, ServiceNetwork)> {
        let mut found: Vec<(String, ServiceNetwork)> = Vec::new();
        if self.service.network_mode.is_empty() {
            for (key, settings) in &self.service.networks {
                let name = self.project.networks.get(key).map_or(key, |network| &network.name);
                found.push((name.clone(), settings.clone().unwrap_or_default()));
            }
        }
        found.sort_by_key(|(_, settings)| std::cmp::Reverse(settings.priority));
        found.into_iter()
    }

    fn put_networks(&self, options: &mut Map<String, Value>) {
        let networks: Vec<Value> = self
            .networks()
            .enumerate()
            .map(|(place, (name, settings))| {
                let mut aliases = vec![self.name.to_owned()];
                aliases.extend(settings.aliases.iter().cloned());
                let text = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
                let own_address = if place == 0 { &self.service.mac_address } else { "" };
                let address = if settings.mac_address.is_empty() { own_address } else { &settings.mac_address };
                json!({
                    "name": name,
                    "aliases": aliases,
                    "ipv4_address": text(&settings.ipv4_address),
                    "ipv6_address": text(&settings.ipv6_address),
                    "link_local_ips": settings.link_local_ips,
                    "mac_address": text(address),
                    "driver_opts": settings.driver_opts,
                })
            })
            .collect();
        if !networks.is_empty() {
            options.insert("networks".to_owned(), json!(networks));
        }
    }

    fn needs(&self) -> BTreeMap<String, Need> {
        let need = |of: &model::Dependency| Need {
            condition: Condition::parse(&of.condition),
            restart: of.restart,
            required: of.required,
        };
        self.service.depends_on.iter().map(|(name, of)| (name.clone(), need(of))).collect()
    }

    fn shares(&self) -> BTreeSet<String> {
        let service = self.service;
        let modes = [&service.network_mode, &service.ipc, &service.pid];
        let of_modes = modes.into_iter().filter_map(|mode| mode.strip_prefix("service:"));
        let containers = service.volumes_from.iter().filter(|entry| !entry.starts_with("container:"));
        let of_volumes = containers.map(|entry| entry.split(':').next().unwrap_or_default());
        of_modes.chain(of_volumes).map(str::to_owned).collect()
    }

    fn label(&self, options: &mut Map<String, Value>, hash: &str, parts: &BTreeMap<String, String>) {
        let mut labels = self.service.labels.clone();
        let needs: Vec<String> = self
            .needs()
            .iter()
            .map(|(name, need)| format!("{name}:{}:{}", need.condition.as_str(), need.restart))
            .collect();
        for (label, text) in [
            (Label::Project, self.project.name.clone()),
            (Label::Service, self.name.to_owned()),
            (Label::OneOff, "False".to_owned()),
            (Label::ConfigHash, hash.to_owned()),
            (Label::DependsOn, needs.join(",")),
            (Label::Version, MAKER.to_owned()),
            (Label::WorkingDir, self.project.folder.clone()),
            (Label::ConfigFiles, self.files.join(",")),
            (Label::OwnHash, hash.to_owned()),
            (Label::OwnParts, super::labels::parts_text(parts)),
        ] {
            labels.insert(label.key().to_owned(), text);
        }
        options.remove("service_labels");
        options.insert("labels".to_owned(), json!(labels));
    }

    /// What loads and has no effect: it is told, not dropped in silence.
    fn warn(&mut self) {
        let service = self.service;
        let cpu = service.cpu_count != 0 || service.cpu_percent.0 != 0.0;
        let real_time = service.cpu_rt_period != 0 || service.cpu_rt_runtime != 0;
        for (key, is_said) in [
            ("blkio_config", service.blkio_config.is_some()),
            ("cpu_count and cpu_percent", cpu),
            ("cpu_rt_period and cpu_rt_runtime", real_time),
            ("credential_spec", service.credential_spec.is_some()),
            ("external_links", !service.external_links.is_empty()),
            ("isolation", !service.isolation.is_empty()),
            ("links", !service.links.is_empty()),
            ("post_start", !service.post_start.is_empty()),
            ("pre_stop", !service.pre_stop.is_empty()),
        ] {
            if is_said {
                self.warnings.push(format!("services.{}: nothing acts on {key}", self.name));
            }
        }
    }
}

fn port(port: &Port) -> Value {
    let mut table = Map::from_iter([("target".to_owned(), json!(port.target))]);
    for (key, text) in [("published", &port.published), ("host_ip", &port.host_ip), ("protocol", &port.protocol)] {
        if !text.is_empty() {
            table.insert(key.to_owned(), json!(text));
        }
    }
    Value::Object(table)
}

fn health(check: &HealthCheck) -> Value {
    let mut table = Map::new();
    if !check.test.is_empty() {
        table.insert("test".to_owned(), json!(check.test));
    }
    for (key, value) in [
        ("interval", check.interval),
        ("timeout", check.timeout),
        ("start_period", check.start_period),
        ("start_interval", check.start_interval),
    ] {
        if value.is_some() {
            table.insert(key.to_owned(), span(value));
        }
    }
    if let Some(retries) = check.retries {
        table.insert("retries".to_owned(), json!(retries));
    }
    if check.disable {
        table.insert("disable".to_owned(), json!(true));
    }
    Value::Object(table)
}

/// What of a file makes another container of it. Its content is only told apart, never kept.
fn shown_file(file: &PutFile) -> Value {
    let content = blake3::hash(&file.content).to_hex().to_string();
    json!({ "path": file.path, "mode": file.mode, "uid": file.uid, "gid": file.gid, "content": content })
}

/// Seconds, as options have them.
fn span(span: Option<Span>) -> Value {
    json!(span.unwrap_or_default().0.max(0) as f64 / 1e9)
}

fn restart(service: &model::Service) -> String {
    let policy = service.deploy.as_ref().and_then(|deploy| deploy.restart_policy.as_ref());
    let (name, count) = match policy {
        Some(policy) => (policy.condition.as_str(), policy.max_attempts),
        None => return service.restart.clone(),
    };
    match (name, count.filter(|count| *count > 0)) {
        ("none" | "no", _) => "no".to_owned(),
        ("on-failure", Some(count)) => format!("on-failure:{count}"),
        ("any", _) => "always".to_owned(),
        _ => name.to_owned(),
    }
}
