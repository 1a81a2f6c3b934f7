//! Volumes, paths of the hosts and file systems in memory.

use serde_json::{Value, json};

use super::unsupported;
use crate::base::Fault;
use crate::base::quantity::parse_size;
use crate::primitives::stack::compose::Project;
use crate::primitives::stack::compose::model::{Mount, Volume};
use crate::primitives::stack::desired::Label;

pub(super) fn mount(
    project: &Project,
    service: &str,
    mount: &Mount,
    warnings: &mut Vec<String>,
) -> Result<Value, Fault> {
    let mut value = json!({ "Type": mount.kind, "Target": mount.target });
    if mount.read_only {
        value["ReadOnly"] = json!(true);
    }
    match mount.kind.as_str() {
        "bind" => {
            value["Source"] = json!(mount.source);
            let bind = mount.bind.clone().unwrap_or_default();
            if !bind.propagation.is_empty() {
                value["BindOptions"]["Propagation"] = json!(bind.propagation);
            }
            if bind.recursive == "disabled" {
                value["BindOptions"]["NonRecursive"] = json!(true);
            }
            if !bind.selinux.is_empty() {
                warnings
                    .push(format!("services.{service}: a swarm does not do volumes.bind.selinux ({})", mount.target));
            }
        }
        "volume" => volume(project, mount, &mut value),
        "tmpfs" => {
            let options = mount.tmpfs.clone().unwrap_or_default();
            if options.size > 0 {
                value["TmpfsOptions"]["SizeBytes"] = json!(options.size);
            }
            if options.mode > 0 {
                value["TmpfsOptions"]["Mode"] = json!(options.mode);
            }
        }
        other => {
            let message = format!("the service {service:?} has a volume of the type {other:?}");
            return Err(unsupported(message).hint("write bind, volume or tmpfs for its type"));
        }
    }
    Ok(value)
}

fn volume(project: &Project, mount: &Mount, value: &mut Value) {
    let options = mount.volume.clone().unwrap_or_default();
    if options.nocopy {
        value["VolumeOptions"]["NoCopy"] = json!(true);
    }
    if !options.subpath.is_empty() {
        value["VolumeOptions"]["Subpath"] = json!(options.subpath);
    }
    if mount.source.is_empty() {
        return;
    }
    let usual = Volume { name: mount.source.clone(), external: true, ..Volume::default() };
    let known = project.volumes.get(&mount.source).unwrap_or(&usual);
    value["Source"] = json!(known.name);
    if known.external {
        return;
    }
    let mut labels = known.labels.clone();
    labels.insert(Label::Namespace.key().to_owned(), project.name.clone());
    value["VolumeOptions"]["Labels"] = json!(labels);
    if !known.driver.is_empty() || !known.driver_opts.is_empty() {
        let mut driver = json!({ "Name": known.driver });
        if !known.driver_opts.is_empty() {
            driver["Options"] = json!(known.driver_opts);
        }
        value["VolumeOptions"]["DriverConfig"] = driver;
    }
}

/// The short form: `/run:size=64m,mode=1777`.
pub(super) fn tmpfs(service: &str, entry: &str, warnings: &mut Vec<String>) -> Value {
    let (target, options) = entry.split_once(':').unwrap_or((entry, ""));
    let mut value = json!({ "Type": "tmpfs", "Target": target });
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let (key, text) = option.split_once('=').unwrap_or((option, ""));
        let known = match key {
            "size" => parse_size(text).ok().map(|bytes| ("SizeBytes", bytes)),
            "mode" => u64::from_str_radix(text, 8).ok().map(|mode| ("Mode", mode)),
            "ro" => {
                value["ReadOnly"] = json!(true);
                continue;
            }
            _ => None,
        };
        match known {
            Some((key, number)) => value["TmpfsOptions"][key] = json!(number),
            None => warnings.push(format!("services.{service}: a swarm does not do {option} of tmpfs {target}")),
        }
    }
    value
}
