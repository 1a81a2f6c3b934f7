//! Volumes, configs and secrets of a service, as options of its containers.

use serde_json::{Value, json};

use super::unsupported;
use crate::base::Fault;
use crate::primitives::docker::PutFile;
use crate::primitives::stack::compose::Project;
use crate::primitives::stack::compose::model::{FileMount, FileObject, Mount, Service};

pub(super) fn volumes(project: &Project, name: &str, service: &Service) -> Result<Vec<Value>, Fault> {
    let mut volumes = Vec::new();
    for mount in &service.volumes {
        volumes.push(match mount.kind.as_str() {
            "bind" => bind(mount),
            "volume" => volume(project, mount),
            "tmpfs" => tmpfs(mount),
            other => return Err(unsupported(name, &format!("a volume of the type {other:?}"))),
        });
    }
    for entry in entries(project, service) {
        if !entry.object.file.is_empty() {
            let (source, target) = (&entry.object.file, &entry.target);
            volumes.push(json!({ "type": "bind", "source": source, "target": target, "read_only": true }));
        }
    }
    Ok(volumes)
}

/// Configs and secrets that are no files of this machine, as files for a container.
pub(super) fn files(project: &Project, name: &str, service: &Service) -> Result<Vec<PutFile>, Fault> {
    let mut files = Vec::new();
    for entry in entries(project, service) {
        let (object, what) = (entry.object, format!("the {} {:?}", entry.kind, entry.mount.source));
        if object.external || !object.driver.is_empty() || !object.template_driver.is_empty() {
            return Err(unsupported(name, &format!("{what}, which is kept by a swarm")));
        }
        if !object.file.is_empty() {
            continue;
        }
        let hidden = object.from_environment.as_ref().map(|hidden| hidden.0.as_str());
        let content = hidden.unwrap_or(&object.content);
        if content.is_empty() && !object.environment.is_empty() {
            let message =
                format!("the service {name:?} needs {what}, and the variable {:?} is not set", object.environment);
            return Err(Fault::new("stack.variable", message).hint("set it in the stack's environment or .env"));
        }
        let id = |text: &str| text.parse::<u64>().unwrap_or_default();
        files.push(PutFile {
            path: entry.target,
            content: content.as_bytes().to_vec(),
            mode: entry.mount.mode.unwrap_or(0o444),
            uid: id(&entry.mount.uid),
            gid: id(&entry.mount.gid),
        });
    }
    Ok(files)
}

/// A config or a secret at its place in a container.
struct Entry<'a> {
    kind: &'static str,
    mount: &'a FileMount,
    object: FileObject,
    target: String,
}

/// Those of a service at whose place no volume is.
fn entries<'a>(project: &'a Project, service: &'a Service) -> impl Iterator<Item = Entry<'a>> {
    let of_configs = service.configs.iter().map(|mount| ("config", &project.configs, mount, "/"));
    let of_secrets = service.secrets.iter().map(|mount| ("secret", &project.secrets, mount, "/run/secrets/"));
    of_configs.chain(of_secrets).filter_map(move |(kind, objects, mount, base)| {
        let target = target(mount, base);
        let is_free = !service.volumes.iter().any(|volume| volume.target == target);
        let object = objects.get(&mount.source).cloned().unwrap_or_default();
        is_free.then_some(Entry { kind, mount, object, target })
    })
}

/// In the short form the engine makes the folder on the host if it is missing, in the long one it refuses.
fn bind(mount: &Mount) -> Value {
    let bind = mount.bind.clone().unwrap_or_default();
    if bind.create_host_path && bind.propagation.is_empty() && bind.recursive.is_empty() {
        let mut modes = vec![if mount.read_only { "ro" } else { "rw" }.to_owned()];
        modes.extend(Some(bind.selinux).filter(|text| !text.is_empty()));
        return json!(format!("{}:{}:{}", mount.source, mount.target, modes.join(",")));
    }
    let propagation = if bind.propagation.is_empty() { Value::Null } else { json!(bind.propagation) };
    json!({
        "type": "bind", "source": mount.source, "target": mount.target, "read_only": mount.read_only,
        "bind": { "propagation": propagation, "non_recursive": bind.recursive == "disabled" },
    })
}

fn volume(project: &Project, mount: &Mount) -> Value {
    let options = mount.volume.clone().unwrap_or_default();
    if mount.source.is_empty() {
        return json!({ "type": "volume", "target": mount.target, "read_only": mount.read_only });
    }
    let name = project.volumes.get(&mount.source).map_or(&mount.source, |volume| &volume.name);
    if options.subpath.is_empty() && !options.nocopy {
        return json!({ "type": "volume", "source": name, "target": mount.target, "read_only": mount.read_only });
    }
    let subpath = if options.subpath.is_empty() { Value::Null } else { json!(options.subpath) };
    json!({
        "type": "volume", "source": name, "target": mount.target, "read_only": mount.read_only,
        "volume": { "nocopy": options.nocopy, "subpath": subpath },
    })
}

fn tmpfs(mount: &Mount) -> Value {
    let options = mount.tmpfs.clone().unwrap_or_default();
    let mut tmpfs = serde_json::Map::new();
    if options.size > 0 {
        tmpfs.insert("size".to_owned(), json!(options.size));
    }
    if options.mode > 0 {
        // The option wants the digits that people write: 1777.
        tmpfs.insert("mode".to_owned(), json!(format!("{:o}", options.mode).parse::<u32>().unwrap_or_default()));
    }
    json!({ "type": "tmpfs", "target": mount.target, "read_only": mount.read_only, "tmpfs": tmpfs })
}

fn target(entry: &FileMount, base: &str) -> String {
    match entry.target.as_str() {
        "" => format!("{base}{}", entry.source),
        target if target.starts_with('/') => target.to_owned(),
        target => format!("{base}{target}"),
    }
}
