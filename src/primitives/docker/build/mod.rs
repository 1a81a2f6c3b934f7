//! Building images, with the engine's own (classic) builder.

mod context;
mod ignore;
mod steps;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde::{Deserialize, Serialize};

pub use context::{BuildContext, Folder};
pub use steps::BuildStep;
pub(super) use steps::Objects;
use steps::Reading;

use super::client;
use super::engine::Docker;
use super::error::DockerError;
use super::names::{check_image, split_image};
use crate::base::limits;
use crate::model::grants::Access;
use crate::primitives::option::{Pairs, Span, Texts};
use crate::primitives::permit::DockerPermit;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BuildOptions {
    /// Names for the image. Without one it is known by its id alone.
    pub tag: Texts,
    /// Its path in the context. Default: `Dockerfile`.
    pub dockerfile: Option<String>,
    /// Values of its ARG instructions.
    pub args: Pairs,
    /// The stage to end with. Default: the last.
    pub target: Option<String>,
    pub labels: Pairs,
    /// `linux/arm64`. Default: the engine's own.
    pub platform: Option<String>,
    /// Fetches newer versions of base images.
    pub pull: bool,
    pub no_cache: bool,
    /// `none`, or a network's name; `host` needs `admin`.
    pub network: Option<String>,
    /// For all of it. Default: 30 min.
    pub timeout: Option<Span>,
    pub dry_run: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Built {
    /// None on a dry run.
    pub id: Option<String>,
    pub tags: Vec<String>,
    /// How many instructions the Dockerfile has.
    pub steps: u64,
    /// What of the context was sent, or would be.
    pub files: usize,
    pub bytes: u64,
    pub dry_run: bool,
    /// What was left out of the context, and what the builder warns of.
    pub warnings: Vec<String>,
}

impl Docker {
    /// Builds an image from `context`. `progress` is called with each line that the builder prints. Runs whatever the
    /// Dockerfile says, so it needs `write` on everything. Dropped, the engine gives the build up.
    pub async fn build(
        &self,
        permit: &DockerPermit,
        context: BuildContext,
        options: BuildOptions,
        mut progress: impl FnMut(BuildStep) + Send,
    ) -> Result<Built, DockerError> {
        let action = match options.tag.0.first() {
            Some(tag) => format!("building the image {tag:?}"),
            None => "building an image".to_owned(),
        };
        permit.check_all(Access::Write, &action)?;
        if options.network.as_deref() == Some("host") {
            permit.check_all(Access::Admin, "building on the host's network")?;
        }
        let query = query(&options)?;
        let (plan, warnings) = context.plan(options.dockerfile.as_deref().unwrap_or("Dockerfile")).await?;
        let mut built = Built {
            id: None,
            tags: options.tag.0.clone(),
            steps: 0,
            files: plan.files(),
            bytes: plan.bytes(),
            dry_run: options.dry_run,
            warnings,
        };
        if options.dry_run {
            return Ok(built);
        }
        let limit = options.timeout.map_or(limits::DOCKER_BUILD_TIMEOUT, |span| span.0);
        let problem = plan.problem();
        let body = StreamBody::new(plan.into_archive().map(|piece| piece.map(|bytes: Bytes| Frame::data(bytes))));
        let work = async {
            let headers = [("content-type", "application/x-tar".to_owned())];
            let answer = client::post(self.address()?, "/build", &query, &headers, body).await;
            let answer = answer.map_err(|error| DockerError::of_get(self.host(), &action, error))?;
            let mut reading = Reading::new(&action);
            reading.follow(answer, &mut progress).await?;
            Ok(reading)
        };
        let reading = match self.within(limit, &action, work).await {
            Ok(reading) => reading,
            Err(error) => {
                self.note_failure(&error);
                // A file that cannot be read ends the request, which says only that it was ended.
                return Err(problem.take().map_or(error, DockerError::Context));
            }
        };
        built.steps = reading.steps;
        built.warnings.extend(reading.warnings);
        built.id = match (reading.id, options.tag.0.first()) {
            (Some(id), _) => Some(id),
            (None, Some(tag)) => self.image_ids(tag).await?.map(|ids| ids.id),
            (None, None) => None,
        };
        Ok(built)
    }
}

fn query(options: &BuildOptions) -> Result<Vec<(&'static str, String)>, DockerError> {
    let mut query = vec![("version", "1".to_owned()), ("rm", "1".to_owned()), ("forcerm", "1".to_owned())];
    for tag in &options.tag.0 {
        let (repository, tag) = split_image(check_image(tag)?);
        query.push(("t", format!("{repository}:{tag}")));
    }
    let pairs = |pairs: &Pairs| serde_json::to_string(&pairs.0).unwrap_or_default();
    query.push(("buildargs", pairs(&options.args)));
    query.push(("labels", pairs(&options.labels)));
    for (name, asked) in [("pull", options.pull), ("nocache", options.no_cache)] {
        query.extend(asked.then(|| (name, "1".to_owned())));
    }
    let texts = [
        ("dockerfile", &options.dockerfile),
        ("target", &options.target),
        ("platform", &options.platform),
        ("networkmode", &options.network),
    ];
    query.extend(texts.into_iter().filter_map(|(name, text)| Some((name, text.clone()?))));
    Ok(query)
}
