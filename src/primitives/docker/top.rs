//! The processes of a container.

use serde::Serialize;
use serde_json::Value;

use super::engine::Docker;
use super::error::DockerError;
use crate::model::grants::Access;
use crate::primitives::permit::DockerPermit;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Top {
    /// Column heads of `ps -ef`.
    pub titles: Vec<String>,
    /// One row a process, in the order of the heads. Process ids are the host's.
    pub processes: Vec<Vec<String>>,
}

impl Docker {
    /// The engine runs the host's `ps -ef`. Other arguments are not offered: some of them print environments.
    pub async fn top(&self, permit: &DockerPermit, container: &str) -> Result<Top, DockerError> {
        let found = self.find(permit, Access::Read, container).await?;
        let action = format!("listing the processes of {:?}", found.name);
        if !found.running {
            return Err(DockerError::Conflict { action, message: "it is not running".into() });
        }
        let raw = self.read(&action, &format!("/containers/{}/top", found.id), &[]).await?;
        let texts = |value: &Value| {
            let list = value.as_array().into_iter().flatten();
            list.map(|item| item.as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        let rows = raw.get("Processes").and_then(Value::as_array).into_iter().flatten();
        Ok(Top { titles: raw.get("Titles").map(texts).unwrap_or_default(), processes: rows.map(texts).collect() })
    }
}
