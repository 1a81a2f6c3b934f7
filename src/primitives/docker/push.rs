//! Pushing images to a registry.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use http_body_util::Full;
use serde::Deserialize;
use serde_json::{Value, json};

use super::build::Objects;
use super::client;
use super::done::Done;
use super::engine::Docker;
use super::error::DockerError;
use super::names::{check_image, split_image};
use super::pull::{Layers, PullProgress, RegistryAuth};
use crate::base::{ExposeSecret, limits};
use crate::model::grants::Access;
use crate::primitives::option::Span;
use crate::primitives::permit::DockerPermit;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PushOptions {
    pub auth: Option<RegistryAuth>,
    /// For all of it. Default: 30 min.
    pub timeout: Option<Span>,
    pub dry_run: bool,
}

impl Docker {
    /// Sends an image to the registry that its name begins with. `progress` is called with each step.
    pub async fn push(
        &self,
        permit: &DockerPermit,
        image: &str,
        options: PushOptions,
        mut progress: impl FnMut(PullProgress) + Send,
    ) -> Result<Done, DockerError> {
        let (repository, tag) = split_image(check_image(image)?);
        let action = format!("pushing the image {image:?}");
        permit.check_all(Access::Write, &action)?;
        let Some(ids) = self.image_ids(image).await? else {
            return Err(DockerError::NotFound { action, message: "there is no such image".into() });
        };
        let done = Done::new("push", image, options.dry_run).id(&ids.id);
        if options.dry_run {
            return Ok(done);
        }
        let limit = options.timeout.map_or(limits::DOCKER_PULL_TIMEOUT, |span| span.0);
        let work = self.send_image(&action, (repository, tag), options.auth.as_ref(), &mut progress);
        let digest = self.within(limit, &action, work).await.inspect_err(|error| self.note_failure(error))?;
        Ok(done.details(json!({ "digest": digest.map(|digest| format!("{repository}@{digest}")) })))
    }

    async fn send_image(
        &self,
        action: &str,
        (repository, tag): (&str, &str),
        auth: Option<&RegistryAuth>,
        progress: &mut (impl FnMut(PullProgress) + Send),
    ) -> Result<Option<String>, DockerError> {
        let (path, query) = (format!("/images/{repository}/push"), [("tag", tag.to_owned())]);
        let headers = [("x-registry-auth", credentials(auth))];
        let answer = client::post(self.address()?, &path, &query, &headers, Full::<Bytes>::default()).await;
        let answer = answer.map_err(|error| DockerError::of_get(self.host(), action, error))?;
        let (mut objects, mut layers, mut digest) = (Objects::new(answer), Layers::default(), None);
        while let Some(object) = objects.next(action).await? {
            let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
            if let Some(message) = text("error") {
                return Err(DockerError::Push { image: format!("{repository}:{tag}"), message });
            }
            if let Some(found) = object.pointer("/aux/Digest").and_then(Value::as_str) {
                digest = Some(found.to_owned());
            }
            let amount = |key: &str| object.pointer(&format!("/progressDetail/{key}")).and_then(Value::as_i64);
            if let Some(status) = text("status") {
                progress(layers.note(text("id"), status, amount("current"), amount("total")));
            }
        }
        Ok(digest)
    }
}

/// The engine wants the header even when there is nothing to say.
fn credentials(auth: Option<&RegistryAuth>) -> String {
    let said = auth.map_or_else(
        || json!({}),
        |auth| {
            json!({
                "username": auth.username,
                "password": auth.password.expose_secret(),
                "serveraddress": auth.server,
            })
        },
    );
    URL_SAFE.encode(said.to_string())
}
