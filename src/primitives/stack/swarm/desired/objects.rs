//! Secrets and configs. A swarm never changes one, so each is called by what it holds, and another content is another
//! object; services then go over to it, and the one before goes when none is given it any more.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Contents, Object, unsupported};
use crate::base::Fault;
use crate::base::limits::SWARM_NAME_BYTES_MAX;
use crate::primitives::docker::{NewObject, ObjectKind};
use crate::primitives::stack::compose::Project;
use crate::primitives::stack::compose::model::{FileMount, FileObject};
use crate::primitives::stack::desired::{Label, long_hash};

/// Digits of the digest in a name.
const DIGITS: usize = 12;
/// Where a swarm puts secrets whose name is no path.
const SECRETS: &str = "/run/secrets/";
/// Who may read it, where the files do not say.
const MODE: u32 = 0o444;

/// Those of a stack, by their names in the files.
#[derive(Debug, Default)]
pub(super) struct Stored(BTreeMap<(ObjectKind, String), (String, Object)>);

pub(super) fn of(project: &Project, contents: &Contents) -> Result<Stored, Fault> {
    let mut stored = Stored::default();
    for (kind, list) in [(ObjectKind::Secret, &project.secrets), (ObjectKind::Config, &project.configs)] {
        for (key, object) in list {
            stored.0.insert((kind, key.clone()), made(project, kind, key, object, contents)?);
        }
    }
    Ok(stored)
}

impl Stored {
    pub fn secrets(&self, service: &str, mounts: &[FileMount]) -> Result<Vec<Value>, Fault> {
        self.references(service, ObjectKind::Secret, "SecretName", mounts)
    }

    pub fn configs(&self, service: &str, mounts: &[FileMount]) -> Result<Vec<Value>, Fault> {
        self.references(service, ObjectKind::Config, "ConfigName", mounts)
    }

    fn references(
        &self,
        service: &str,
        kind: ObjectKind,
        named: &str,
        mounts: &[FileMount],
    ) -> Result<Vec<Value>, Fault> {
        let mut list = Vec::new();
        for mount in mounts {
            let Some((name, _)) = self.0.get(&(kind, mount.source.clone())) else {
                let message = format!("the service {service:?} is given a {} {:?}", kind.as_str(), mount.source);
                return Err(unsupported(message).hint(format!("describe it under {}s", kind.as_str())));
            };
            let or = |text: &str, usual: &str| if text.is_empty() { usual.to_owned() } else { text.to_owned() };
            list.push(json!({
                "File": {
                    "Name": or(mount.target.strip_prefix(SECRETS).unwrap_or(&mount.target), &mount.source),
                    "UID": or(&mount.uid, "0"),
                    "GID": or(&mount.gid, "0"),
                    "Mode": mount.mode.unwrap_or(MODE),
                },
                named: name,
            }));
        }
        Ok(list)
    }

    pub fn into_objects(self) -> BTreeMap<(ObjectKind, String), Object> {
        self.0.into_iter().map(|((kind, _), (name, object))| ((kind, name), object)).collect()
    }
}

/// Its name in the swarm, and what it is made of.
fn made(
    project: &Project,
    kind: ObjectKind,
    key: &str,
    object: &FileObject,
    contents: &Contents,
) -> Result<(String, Object), Fault> {
    if object.external {
        return Ok((object.name.clone(), Object(None)));
    }
    let content = content(kind, key, object, contents)?;
    let driver = Some((object.driver.clone(), object.driver_opts.clone())).filter(|(name, _)| !name.is_empty());
    let template_driver = Some(object.template_driver.clone()).filter(|name| !name.is_empty());
    // The stack and the key are hashed along, so that equal contents of two stacks do not show.
    let told = json!([
        project.name,
        kind.as_str(),
        key,
        object.labels,
        driver,
        template_driver,
        blake3::hash(&content).to_hex().as_str(),
    ]);
    let digest: String = long_hash(&told).chars().take(DIGITS).collect();
    let name = shortened(&object.name, &digest);
    let mut labels = object.labels.clone();
    labels.insert(Label::Namespace.key().to_owned(), project.name.clone());
    Ok((name.clone(), Object(Some(NewObject { name, content, labels, driver, template_driver }))))
}

fn shortened(name: &str, digest: &str) -> String {
    let room = SWARM_NAME_BYTES_MAX - DIGITS - 1;
    let end = (0..=room.min(name.len())).rev().find(|end| name.is_char_boundary(*end)).unwrap_or_default();
    format!("{}.{digest}", &name[..end])
}

fn content(kind: ObjectKind, key: &str, object: &FileObject, contents: &Contents) -> Result<Vec<u8>, Fault> {
    if !object.file.is_empty() {
        return contents.get(&object.file).cloned().ok_or_else(|| {
            let message = format!("the file {:?} of the {} {key:?} was not read", object.file, kind.as_str());
            Fault::new("stack.file", message).hint("try again; the files were changed meanwhile").retryable()
        });
    }
    let hidden = object.from_environment.as_ref().map(|hidden| hidden.0.as_str());
    let content = hidden.unwrap_or(&object.content);
    if content.is_empty() && !object.environment.is_empty() {
        let message =
            format!("the {} {key:?} is the variable {:?}, which is not set", kind.as_str(), object.environment);
        return Err(Fault::new("stack.variable", message).hint("set it in the stack's environment or .env"));
    }
    Ok(content.as_bytes().to_vec())
}
