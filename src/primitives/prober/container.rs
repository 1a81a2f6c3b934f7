//! A container that runs and is not unhealthy.

use crate::model::Grants;
use crate::model::grants::{Access, DockerGrant};
use crate::primitives::docker::Docker;
use crate::primitives::permit;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerProbe {
    pub name: String,
}

impl ContainerProbe {
    pub(super) async fn probe(&self, docker: &Docker) -> Result<(), String> {
        let grants = Grants { docker: Some(DockerGrant::Everything(Access::Read)), ..Grants::default() };
        let permit = permit::docker(&grants, Access::Read, Some(&self.name)).map_err(|denied| denied.to_string())?;
        let found = docker.inspect(&permit, &self.name).await.map_err(|error| error.to_string())?.container;
        if found.state != "running" {
            let code = found.exit_code.map_or_else(String::new, |code| format!(" with code {code}"));
            return Err(format!("it is {}{code}", found.state));
        }
        match found.health.as_deref() {
            Some("unhealthy") => Err("its health check fails".to_owned()),
            _ => Ok(()),
        }
    }
}
