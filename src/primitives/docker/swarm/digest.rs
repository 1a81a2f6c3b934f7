//! What an image's name stands for in its registry now, so that all nodes run the same one.

use super::text;
use crate::base::limits::SWARM_DIGEST_TIMEOUT;
use crate::model::grants::Access;
use crate::primitives::docker::engine::Docker;
use crate::primitives::docker::error::DockerError;
use crate::primitives::docker::names::check_image;
use crate::primitives::permit::DockerPermit;

impl Docker {
    /// The image with its digest: `web:1@sha256:…`. Fails where the engine cannot ask its registry.
    pub async fn pinned_image(&self, permit: &DockerPermit, image: &str) -> Result<String, DockerError> {
        let action = format!("asking the registry for {image:?}");
        permit.check_any(Access::Read, &action)?;
        let image = check_image(image)?;
        if image.contains('@') {
            return Ok(image.to_owned());
        }
        let patient = self.with_deadline(SWARM_DIGEST_TIMEOUT);
        let raw = patient.read(&action, &format!("/distribution/{image}/json"), &[]).await?;
        match text(&raw, "/Descriptor/digest") {
            digest if digest.starts_with("sha256:") => Ok(format!("{image}@{digest}")),
            other => Err(DockerError::Unreadable { action, problem: format!("{other:?} is no digest") }),
        }
    }
}
