//! References to containers, images, networks and volumes: checked before they become part of a path.

use serde_json::Value;

use super::engine::Docker;
use super::error::DockerError;
use crate::model::grants::Access;
use crate::primitives::permit::DockerPermit;

/// A container that a reference turned out to mean.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) id: String,
    /// Without the leading slash.
    pub(super) name: String,
    pub(super) running: bool,
    pub(super) paused: bool,
    pub(super) raw: Value,
}

/// A container, network or volume name, or an id.
pub(super) fn check_name<'a>(field: &str, name: &'a str) -> Result<&'a str, DockerError> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let starts = bare.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts && bare.len() <= 255 && bare.chars().all(fits) {
        return Ok(bare);
    }
    let shown: String = name.chars().take(60).collect();
    Err(DockerError::invalid(field, format!("{shown:?} is not a name: use letters, digits and any of _ . - inside")))
}

/// `nginx`, `registry.example.com:5000/team/web:1.2`, `web@sha256:…`, `sha256:…`.
pub(super) fn check_image(image: &str) -> Result<&str, DockerError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ':' | '@');
    let plain = image.starts_with(|c: char| c.is_ascii_alphanumeric())
        && image.len() <= 512
        && image.chars().all(fits)
        && !image.split('/').any(|part| part.is_empty() || part == "." || part == "..");
    if plain {
        return Ok(image);
    }
    let shown: String = image.chars().take(60).collect();
    Err(DockerError::invalid("image", format!("{shown:?} is not an image reference such as \"nginx:1.27\"")))
}

/// Splits a reference into repository and tag; a digest counts as the tag; `latest` when there is none.
pub(super) fn split_image(image: &str) -> (&str, &str) {
    if let Some((repository, digest)) = image.split_once('@') {
        return (repository, digest);
    }
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (image, "latest"),
    }
}

impl Docker {
    /// What `reference` (a name, an id, the start of an id) means, and whether the permit covers its real name.
    pub(super) async fn find(
        &self,
        permit: &DockerPermit,
        access: Access,
        reference: &str,
    ) -> Result<Found, DockerError> {
        let bare = check_name("container", reference)?;
        let action = format!("looking for the container {bare:?}");
        let raw = self.read(&action, &format!("/containers/{bare}/json"), &[]).await.map_err(|error| match error {
            // An outsider learns nothing about containers that it may not see.
            DockerError::NotFound { .. } => {
                DockerError::NotFound { action: action.clone(), message: "there is no such container".into() }
            }
            other => other,
        })?;
        let text = |pointer: &str| raw.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let flag = |pointer: &str| raw.pointer(pointer).and_then(Value::as_bool).unwrap_or_default();
        let name = text("/Name").trim_start_matches('/').to_owned();
        permit.check(access, &name)?;
        Ok(Found {
            id: text("/Id").to_owned(),
            name,
            running: flag("/State/Running"),
            paused: flag("/State/Paused"),
            raw: raw.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_path() {
        for good in ["web", "/web", "0a1b2c", "my_app.1-x"] {
            assert!(check_name("container", good).is_ok(), "{good}");
        }
        for bad in ["", "..", "../images/prune", "a/b", "a?x=1", "a b", "a%2f", "-a", "."] {
            assert!(check_name("container", bad).is_err(), "{bad}");
        }
        for good in ["nginx", "r.example.com:5000/team/web:1.2", "web@sha256:0abc", "sha256:0abc"] {
            assert!(check_image(good).is_ok(), "{good}");
        }
        for bad in ["", "../x", "a/../b", "a//b", "a b", "a?x", "/a", "a\n"] {
            assert!(check_image(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn image_references_split() {
        assert_eq!(split_image("nginx"), ("nginx", "latest"));
        assert_eq!(split_image("nginx:1.27"), ("nginx", "1.27"));
        assert_eq!(split_image("localhost:5000/web"), ("localhost:5000/web", "latest"));
        assert_eq!(split_image("localhost:5000/web:2"), ("localhost:5000/web", "2"));
        assert_eq!(split_image("web@sha256:ab"), ("web", "sha256:ab"));
    }
}
