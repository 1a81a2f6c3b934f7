//! Pulling images.

use std::collections::BTreeMap;

use bollard::auth::DockerCredentials;
use bollard::errors::Error as BollardError;
use bollard::query_parameters::CreateImageOptions;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::engine::Docker;
use super::error::DockerError;
use super::names::{check_image, split_image};
use crate::base::{ExposeSecret, SecretString, limits};
use crate::model::grants::Access;
use crate::primitives::option::Span;
use crate::primitives::permit::DockerPermit;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PullOptions {
    /// Default: `always`.
    pub policy: Option<PullPolicy>,
    /// `linux/arm64`. Default: the engine's own.
    pub platform: Option<String>,
    pub auth: Option<RegistryAuth>,
    /// For all of it. Default: 30 min.
    pub timeout: Option<Span>,
    pub dry_run: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryAuth {
    pub username: String,
    pub password: SecretString,
    /// Default: the image's own registry.
    #[serde(default)]
    pub server: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullPolicy {
    Always,
    #[serde(alias = "if_not_present")]
    Missing,
    Never,
}

/// What a policy means for an image that is there, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Pull,
    Keep,
    Refuse,
}

impl PullPolicy {
    pub(super) fn decide(self, is_present: bool) -> Decision {
        match (self, is_present) {
            (Self::Always, _) | (Self::Missing, false) => Decision::Pull,
            (Self::Missing | Self::Never, true) => Decision::Keep,
            (Self::Never, false) => Decision::Refuse,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PullOutcome {
    pub image: String,
    /// None on a dry run that would pull.
    pub id: Option<String>,
    /// `repository@sha256:…` as the registry knows it.
    pub digest: Option<String>,
    /// Whether the registry was asked, or would be.
    pub pulled: bool,
    /// Whether another image is there now than before.
    pub changed: bool,
    pub dry_run: bool,
}

/// How far a pull is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PullProgress {
    /// `Downloading`, `Extracting`, `Pull complete`, …
    pub status: String,
    /// The layer; None for the image as a whole.
    pub layer: Option<String>,
    /// Over all layers that said their size so far.
    pub bytes_done: u64,
    pub bytes_total: u64,
}

impl Docker {
    /// `progress` is called with each step the engine reports.
    pub async fn pull(
        &self,
        permit: &DockerPermit,
        image: &str,
        options: PullOptions,
        mut progress: impl FnMut(PullProgress) + Send,
    ) -> Result<PullOutcome, DockerError> {
        permit.check_any(Access::Write, &format!("pulling the image {image:?}"))?;
        let image = check_image(image)?;
        let before = self.image_ids(image).await?;
        let outcome = |present: Option<ImageIds>, pulled: bool, changed: bool| {
            let (id, digest) = present.map_or((None, None), |ids| (Some(ids.id), ids.digest));
            PullOutcome { image: image.to_owned(), id, digest, pulled, changed, dry_run: options.dry_run }
        };
        match options.policy.unwrap_or(PullPolicy::Always).decide(before.is_some()) {
            Decision::Keep => return Ok(outcome(before, false, false)),
            Decision::Refuse => {
                let message = "it is not on this host, and the policy \"never\" forbids to fetch it".into();
                return Err(DockerError::NotFound { action: format!("pulling the image {image:?}"), message });
            }
            Decision::Pull if options.dry_run => {
                let changed = before.is_none();
                return Ok(outcome(before, true, changed));
            }
            Decision::Pull => {}
        }
        let limit = options.timeout.map_or(limits::DOCKER_PULL_TIMEOUT, |span| span.0);
        let action = format!("pulling the image {image:?}");
        self.within(limit, &action, self.fetch(image, &options, &mut progress)).await?;
        let after = self.image_ids(image).await?.ok_or_else(|| DockerError::Pull {
            image: image.to_owned(),
            message: "Docker reported success, yet the image is not there".into(),
        })?;
        let changed = before.is_none_or(|before| before.id != after.id);
        Ok(outcome(Some(after), true, changed))
    }

    async fn fetch(
        &self,
        image: &str,
        options: &PullOptions,
        progress: &mut (impl FnMut(PullProgress) + Send),
    ) -> Result<(), DockerError> {
        let (repository, tag) = split_image(image);
        let parameters = CreateImageOptions {
            from_image: Some(repository.to_owned()),
            tag: Some(tag.to_owned()),
            platform: options.platform.clone().unwrap_or_default(),
            ..CreateImageOptions::default()
        };
        let client = self.connected().await?.bollard;
        let failed = |message: String| DockerError::Pull { image: image.to_owned(), message };
        let mut steps = client.create_image(Some(parameters), None, options.auth.as_ref().map(credentials));
        let mut layers = Layers::default();
        while let Some(step) = steps.next().await {
            match step {
                Ok(step) => {
                    let (done, total) =
                        step.progress_detail.map_or((None, None), |detail| (detail.current, detail.total));
                    progress(layers.note(step.id, step.status.unwrap_or_default(), done, total));
                }
                Err(BollardError::DockerStreamError { error }) => return Err(failed(error)),
                Err(BollardError::DockerResponseServerError { status_code: 404 | 500, message }) => {
                    return Err(failed(message));
                }
                // Engines end the stream with a piece that is no JSON at times. Whether the image came is asked after.
                Err(BollardError::JsonDataError { .. } | BollardError::JsonSerdeError { .. }) => {}
                Err(error) => {
                    let error = DockerError::of(self.host(), &format!("pulling the image {image:?}"), error);
                    self.note_failure(&error);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// None when the image is not on the host.
    pub(super) async fn image_ids(&self, image: &str) -> Result<Option<ImageIds>, DockerError> {
        match self.read(&format!("looking for the image {image:?}"), &format!("/images/{image}/json"), &[]).await {
            Ok(raw) => Ok(Some(ImageIds::of(&raw, split_image(image).0))),
            Err(DockerError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageIds {
    pub(super) id: String,
    pub(super) digest: Option<String>,
}

impl ImageIds {
    fn of(raw: &Value, repository: &str) -> Self {
        let digests = raw.get("RepoDigests").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let own = |digest: &&str| digest.split_once('@').is_some_and(|(name, _)| name.ends_with(repository));
        Self {
            id: raw.get("Id").and_then(Value::as_str).unwrap_or_default().to_owned(),
            digest: digests.clone().find(own).or_else(|| digests.clone().next()).map(str::to_owned),
        }
    }
}

fn credentials(auth: &RegistryAuth) -> DockerCredentials {
    DockerCredentials {
        username: Some(auth.username.clone()),
        password: Some(auth.password.expose_secret().to_owned()),
        serveraddress: auth.server.clone(),
        ..DockerCredentials::default()
    }
}

/// Sums up over the layers of an image.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// Done and total of each layer's download.
    bytes: BTreeMap<String, (u64, u64)>,
}

impl Layers {
    pub(super) fn note(
        &mut self,
        layer: Option<String>,
        status: String,
        done: Option<i64>,
        total: Option<i64>,
    ) -> PullProgress {
        let whole = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default();
        if let Some(layer) = &layer {
            let bytes = self.bytes.entry(layer.clone()).or_default();
            match status.as_str() {
                "Downloading" | "Pushing" => *bytes = (whole(done), whole(total).max(whole(done))),
                "Download complete" | "Extracting" | "Pull complete" | "Pushed" => bytes.0 = bytes.1,
                _ => {}
            }
        }
        let (bytes_done, bytes_total) =
            self.bytes.values().fold((0, 0), |sum, bytes| (sum.0 + bytes.0, sum.1 + bytes.1));
        PullProgress { status, layer, bytes_done, bytes_total }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn policies_decide() {
        use Decision::*;
        let table = [
            (PullPolicy::Always, true, Pull),
            (PullPolicy::Always, false, Pull),
            (PullPolicy::Missing, true, Keep),
            (PullPolicy::Missing, false, Pull),
            (PullPolicy::Never, true, Keep),
            (PullPolicy::Never, false, Refuse),
        ];
        for (policy, present, expected) in table {
            assert_eq!(policy.decide(present), expected, "{policy:?} {present}");
        }
        let alias: PullPolicy = serde_json::from_value(json!("if_not_present")).expect("an alias");
        assert_eq!(alias, PullPolicy::Missing);
    }

    #[test]
    fn progress_sums_over_layers() {
        let mut layers = Layers::default();
        let mut note = |layer: &str, status: &str, done, total| {
            layers.note(Some(layer.into()), status.into(), Some(done), Some(total))
        };
        note("a", "Downloading", 5, 10);
        let both = note("b", "Downloading", 1, 30);
        assert_eq!((both.bytes_done, both.bytes_total), (6, 40));
        let done = note("a", "Pull complete", 0, 0);
        assert_eq!((done.bytes_done, done.bytes_total), (11, 40));
    }

    #[test]
    fn an_image_s_own_digest_is_preferred() {
        let raw = json!({"Id": "sha256:1", "RepoDigests": ["a/x@sha256:2", "r:5000/web@sha256:3"]});
        assert_eq!(ImageIds::of(&raw, "r:5000/web").digest.as_deref(), Some("r:5000/web@sha256:3"));
        assert_eq!(ImageIds::of(&json!({"Id": "sha256:1", "RepoDigests": null}), "web").digest, None);
    }
}
