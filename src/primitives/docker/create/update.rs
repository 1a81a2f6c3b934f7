//! Settings of a container that can be changed while it is there.

use serde::Deserialize;
use serde_json::Value;

use super::body::changeable;
use super::options::CreateOptions;
use crate::model::grants::Access;
use crate::primitives::docker::done::Done;
use crate::primitives::docker::engine::Docker;
use crate::primitives::docker::error::DockerError;
use crate::primitives::docker::inspect::restart_policy;
use crate::primitives::option::Size;
use crate::primitives::permit::DockerPermit;

/// What stays as it is unless it is said. Names and meanings are those of `create`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpdateOptions {
    pub restart: Option<String>,
    pub cpus: Option<f64>,
    pub cpuset: Option<String>,
    pub mem_limit: Option<Size>,
    pub mem_reservation: Option<Size>,
    pub memswap_limit: Option<Size>,
    pub pids_limit: Option<i64>,
    pub dry_run: bool,
}

impl Docker {
    /// A container that runs goes on running.
    pub async fn update(
        &self,
        permit: &DockerPermit,
        container: &str,
        options: UpdateOptions,
    ) -> Result<Done, DockerError> {
        let found = self.find(permit, Access::Write, container).await?;
        let dry_run = options.dry_run;
        let body = changeable(&options.into())?;
        let details = serde_json::json!(body);
        let wanted = details.as_object().filter(|wanted| !wanted.is_empty()).ok_or_else(|| {
            DockerError::invalid("options", "they change nothing: give restart, cpus, mem_limit or another limit")
        })?;
        let is_so = |(key, value): (&String, &Value)| match key.as_str() {
            "RestartPolicy" => policy_text(value) == restart_policy(&found.raw),
            _ => found.raw.get("HostConfig").and_then(|host| host.get(key)) == Some(value),
        };
        let is_changed = !wanted.iter().all(is_so);
        let done = Done::new("update", &found.name, dry_run).id(&found.id).changed(is_changed).details(details);
        if is_changed && !dry_run {
            let action = format!("changing the settings of {:?}", found.name);
            self.call(&action, |client| async move { client.update_container(&found.id, body).await }).await?;
        }
        Ok(done)
    }
}

impl From<UpdateOptions> for CreateOptions {
    fn from(options: UpdateOptions) -> Self {
        Self {
            restart: options.restart,
            cpus: options.cpus,
            cpuset: options.cpuset,
            mem_limit: options.mem_limit,
            mem_reservation: options.mem_reservation,
            memswap_limit: options.memswap_limit,
            pids_limit: options.pids_limit,
            ..Self::default()
        }
    }
}

fn policy_text(policy: &Value) -> String {
    restart_policy(&serde_json::json!({ "HostConfig": { "RestartPolicy": policy } }))
}
