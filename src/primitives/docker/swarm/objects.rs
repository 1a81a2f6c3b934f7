//! Secrets and configs: what a swarm keeps and gives to tasks as files. Neither changes once it is made.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::text;
use crate::base::limits::{SWARM_CONFIG_BYTES_MAX, SWARM_SECRET_BYTES_MAX};
use crate::model::grants::Access;
use crate::primitives::docker::containers::labels;
use crate::primitives::docker::engine::Docker;
use crate::primitives::docker::error::DockerError;
use crate::primitives::docker::names::check_name;
use crate::primitives::permit::DockerPermit;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    Secret,
    Config,
}

/// One that the swarm has. Its content is not told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SwarmObject {
    pub id: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

/// One that is to be made.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NewObject {
    pub name: String,
    pub content: Vec<u8>,
    pub labels: BTreeMap<String, String>,
    /// Who keeps it instead of the swarm, for secrets only, and with which options.
    pub driver: Option<(String, BTreeMap<String, String>)>,
    /// `golang`: placeholders in it are filled for each task.
    pub template_driver: Option<String>,
}

/// Nothing prints what is in it.
impl std::fmt::Debug for NewObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewObject").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ObjectKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Config => "config",
        }
    }

    pub fn bytes_max(self) -> usize {
        match self {
            Self::Secret => SWARM_SECRET_BYTES_MAX,
            Self::Config => SWARM_CONFIG_BYTES_MAX,
        }
    }
}

impl Docker {
    /// All that the permit covers, by name.
    pub async fn swarm_objects(
        &self,
        permit: &DockerPermit,
        kind: ObjectKind,
    ) -> Result<BTreeMap<String, SwarmObject>, DockerError> {
        let action = format!("listing {}s", kind.as_str());
        permit.check_any(Access::Read, &action)?;
        let raw = self.read(&action, &format!("/{}s", kind.as_str()), &[]).await?;
        let found = raw.as_array().into_iter().flatten().map(|one| SwarmObject {
            id: text(one, "/ID"),
            name: text(one, "/Spec/Name"),
            labels: labels(one.pointer("/Spec/Labels")),
        });
        Ok(found.filter(|one| permit.covers(Access::Read, &one.name)).map(|one| (one.name.clone(), one)).collect())
    }

    /// Gives its id.
    pub async fn create_object(
        &self,
        permit: &DockerPermit,
        kind: ObjectKind,
        new: &NewObject,
    ) -> Result<String, DockerError> {
        let name = check_name("name", &new.name)?;
        permit.check(Access::Write, name)?;
        if let Some((driver, _)) = &new.driver {
            permit.check_as(&format!("a secret that {driver:?} keeps, {name:?},"), Access::Admin, name)?;
        }
        if new.content.len() > kind.bytes_max() {
            let problem = format!("{name:?} has {} bytes, and a swarm takes {}", new.content.len(), kind.bytes_max());
            return Err(DockerError::invalid(kind.as_str(), problem));
        }
        let action = format!("creating the {} {name:?}", kind.as_str());
        let answer = self.send_json(&action, &format!("/{}s/create", kind.as_str()), &[], &body(new)).await?;
        Ok(text(&answer, "/ID"))
    }

    /// Fails while a service is given it.
    pub async fn remove_object(&self, permit: &DockerPermit, kind: ObjectKind, name: &str) -> Result<(), DockerError> {
        let name = check_name("name", name)?.to_owned();
        permit.check(Access::Write, &name)?;
        let action = format!("removing the {} {name:?}", kind.as_str());
        self.call(&action, |client| async move {
            match kind {
                ObjectKind::Secret => client.delete_secret(&name).await,
                ObjectKind::Config => client.delete_config(&name).await,
            }
        })
        .await
    }
}

fn body(new: &NewObject) -> Value {
    let mut body = json!({ "Name": new.name, "Labels": new.labels });
    match &new.driver {
        Some((driver, options)) => body["Driver"] = json!({ "Name": driver, "Options": options }),
        None => body["Data"] = json!(STANDARD.encode(&new.content)),
    }
    if let Some(driver) = &new.template_driver {
        body["Templating"] = json!({ "Name": driver });
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_travels_whole_and_is_not_printed() {
        let mut new = NewObject { name: "token".into(), content: b"\0s3cret".to_vec(), ..NewObject::default() };
        assert_eq!(body(&new), json!({ "Name": "token", "Labels": {}, "Data": "AHMzY3JldA==" }));
        assert!(!format!("{new:?}").contains("115"), "{new:?}");
        new.driver = Some(("vault".into(), BTreeMap::new()));
        new.template_driver = Some("golang".into());
        let kept = json!({ "Name": "token", "Labels": {}, "Driver": { "Name": "vault", "Options": {} },
                           "Templating": { "Name": "golang" } });
        assert_eq!(body(&new), kept);
    }
}
