//! Images on the host.

use bollard::query_parameters::{RemoveImageOptions as RemoveImageParameters, TagImageOptions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::containers::labels;
use super::done::Done;
use super::engine::Docker;
use super::error::DockerError;
use super::lifecycle::ChangeOptions;
use super::names::{check_image, split_image};
use crate::base::Timestamp;
use crate::model::grants::{Access, matches};
use crate::primitives::option::Texts;
use crate::primitives::permit::DockerPermit;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageListOptions {
    /// Names or patterns of names, such as `nginx:*`.
    pub names: Texts,
    /// Only images without a name (true), or only those with one (false).
    pub dangling: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RemoveImageOptions {
    /// Takes every name off it, and removes it from under stopped containers.
    pub force: bool,
    pub dry_run: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Image {
    pub id: String,
    /// `repository:tag`; empty for a dangling image.
    pub tags: Vec<String>,
    pub digests: Vec<String>,
    pub created_at: Option<Timestamp>,
    /// With the layers that it shares with others.
    pub size_bytes: u64,
    pub dangling: bool,
    pub labels: std::collections::BTreeMap<String, String>,
}

impl Image {
    pub(super) fn of(raw: &Value) -> Self {
        let texts = |key: &str| {
            let list = raw.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            list.filter(|text| !text.contains("<none>")).map(str::to_owned).collect::<Vec<_>>()
        };
        let tags = texts("RepoTags");
        Self {
            id: raw.get("Id").and_then(Value::as_str).unwrap_or_default().to_owned(),
            dangling: tags.is_empty(),
            tags,
            digests: texts("RepoDigests"),
            created_at: raw.get("Created").and_then(Value::as_i64).and_then(|at| Timestamp::from_second(at).ok()),
            size_bytes: raw.get("Size").and_then(Value::as_u64).unwrap_or_default(),
            labels: labels(raw.get("Labels")),
        }
    }

    /// Its first name, or its id.
    pub(super) fn name(&self) -> &str {
        self.tags.first().unwrap_or(&self.id)
    }
}

impl Docker {
    /// Sorted by name.
    pub async fn images(&self, permit: &DockerPermit, options: ImageListOptions) -> Result<Vec<Image>, DockerError> {
        permit.check_any(Access::Read, "listing images")?;
        let raw = self.read("listing images", "/images/json", &[]).await?;
        let mut images: Vec<_> = raw.as_array().into_iter().flatten().map(Image::of).collect();
        let named = |image: &Image| {
            let fits =
                |pattern: &String| image.tags.iter().any(|tag| matches(pattern, tag) || split_image(tag).0 == pattern);
            options.names.0.is_empty() || options.names.0.iter().any(fits)
        };
        images.retain(|image| named(image) && options.dangling.is_none_or(|dangling| image.dangling == dangling));
        images.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(images)
    }

    /// The id of the image that a reference means now; None when it is not on the host.
    pub async fn image_id(&self, permit: &DockerPermit, image: &str) -> Result<Option<String>, DockerError> {
        permit.check_any(Access::Read, &format!("looking for the image {image:?}"))?;
        Ok(self.image_ids(check_image(image)?).await?.map(|ids| ids.id))
    }

    /// Images belong to nobody: removing one needs `write` on everything.
    pub async fn remove_image(
        &self,
        permit: &DockerPermit,
        image: &str,
        options: RemoveImageOptions,
    ) -> Result<Done, DockerError> {
        let image = check_image(image)?.to_owned();
        let action = format!("removing the image {image:?}");
        permit.check_all(Access::Write, &action)?;
        let Some(ids) = self.image_ids(&image).await? else {
            return Err(DockerError::NotFound { action, message: "there is no such image".into() });
        };
        let mut done = Done::new("remove_image", &image, options.dry_run).id(&ids.id);
        if !options.dry_run {
            let parameters = RemoveImageParameters { force: options.force, ..RemoveImageParameters::default() };
            let removed = self
                .call(&action, |client| async move { client.remove_image(&image, Some(parameters), None).await })
                .await?;
            let of = |pick: fn(&bollard::models::ImageDeleteResponseItem) -> &Option<String>| {
                removed.iter().filter_map(|item| pick(item).clone()).collect::<Vec<_>>()
            };
            done.details = json!({ "untagged": of(|item| &item.untagged), "deleted": of(|item| &item.deleted) });
        }
        Ok(done)
    }

    /// Gives `image` a further name, such as a backup tag before an update.
    pub async fn tag(
        &self,
        permit: &DockerPermit,
        image: &str,
        name: &str,
        options: ChangeOptions,
    ) -> Result<Done, DockerError> {
        let image = check_image(image)?.to_owned();
        let (repository, tag) = split_image(check_image(name)?);
        let action = format!("tagging the image {image:?} as {name:?}");
        permit.check_all(Access::Write, &action)?;
        let Some(ids) = self.image_ids(&image).await? else {
            return Err(DockerError::NotFound { action, message: "there is no such image".into() });
        };
        let before = self.image_ids(name).await?;
        let done = Done::new("tag", &image, options.dry_run)
            .id(&ids.id)
            .changed(before.is_none_or(|before| before.id != ids.id))
            .details(json!({ "name": format!("{repository}:{tag}") }));
        if !options.dry_run {
            let parameters = TagImageOptions { repo: Some(repository.to_owned()), tag: Some(tag.to_owned()) };
            self.call(&action, |client| async move { client.tag_image(&image, Some(parameters)).await }).await?;
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_without_a_name_are_dangling() {
        let raw = json!({"Id": "sha256:1", "RepoTags": ["<none>:<none>"], "RepoDigests": null, "Created": 1_767_225_600,
            "Size": 12, "Labels": null});
        let image = Image::of(&raw);
        assert!(image.dangling && image.tags.is_empty());
        assert_eq!((image.name(), image.size_bytes), ("sha256:1", 12));
    }
}
