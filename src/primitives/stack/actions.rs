//! What is done with a stack besides bringing it up and taking it away.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::apply::{Stage, Told};
use super::desired::{Desired, Label, Service};
use super::rollout::is_kept;
use super::service::{Stacks, known_service};
use super::swarm::{Asked, Member};
use crate::base::limits::{DOCKER_LOG_LINES_DEFAULT, STACK_LOG_LINES_MAX};
use crate::base::{Fault, Timestamp};
use crate::model::grants::Access;
use crate::primitives::docker::{
    self, Container, ExecOutcome, ListOptions, LogRecord, PullPolicy, StopOptions, Stream,
};
use crate::primitives::option::{Argv, Pairs, Span, Texts};
use crate::primitives::permit::StackPermit;

/// Which services.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServicesOptions {
    /// All if there are none.
    pub services: Texts,
    pub dry_run: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestartOptions {
    pub services: Texts,
    /// From SIGTERM to SIGKILL; the container's own unless said otherwise.
    pub timeout: Option<Span>,
    pub dry_run: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogOptions {
    pub services: Texts,
    /// The last so many of each container. Default: 1000.
    pub tail: u32,
    /// From this moment on: RFC 3339, or a duration such as `10m` back from now.
    pub since: Option<String>,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { services: Texts::default(), tail: DOCKER_LOG_LINES_DEFAULT, since: None }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExecOptions {
    pub command: Argv,
    /// Which of the service's containers. Default: the first.
    pub number: Option<u32>,
    pub environment: Pairs,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    pub timeout: Option<Span>,
    pub dry_run: bool,
}

/// An image that was fetched, or built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pulled {
    pub service: String,
    pub image: String,
    /// Whether another image is there now than before.
    pub changed: bool,
}

/// A line of one of the stack's containers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    pub container: String,
    pub service: String,
    pub at: Option<Timestamp>,
    pub stream: Stream,
    pub text: String,
}

impl Stacks {
    /// The stack as its files say, complete. Without `admin`, values of environments are hidden.
    pub async fn config(&self, permit: &StackPermit) -> Result<Value, Fault> {
        let loaded = self.load(permit.name()).await?;
        let mut shown = loaded
            .project
            .to_json()
            .map_err(|problem| Fault::new("stack.shape", format!("the stack cannot be shown: {problem}")))?;
        if !permit.docker().covers_everything(Access::Admin) {
            hide(&mut shown);
        }
        Ok(shown)
    }

    /// Its containers, those that were started by hand for one command too; of a swarm's the tasks.
    pub async fn ps(&self, permit: &StackPermit) -> Result<Vec<Member>, Fault> {
        match self.swarm(permit)? {
            Some(way) => Box::pin(way.ps()).await,
            None => Ok(self.containers(permit).await?.into_iter().map(Member::from).collect()),
        }
    }

    async fn containers(&self, permit: &StackPermit) -> Result<Vec<Container>, Fault> {
        let of_stack = ListOptions { stack: Some(permit.name().to_owned()), ..ListOptions::default() };
        Ok(self.docker.list(permit.docker(), of_stack).await?)
    }

    /// What its containers printed, by time.
    pub async fn logs(&self, permit: &StackPermit, options: &LogOptions) -> Result<Vec<Line>, Fault> {
        if let Some(way) = self.swarm(permit)? {
            return Box::pin(way.logs(options)).await;
        }
        let mut lines = Vec::new();
        for found in self.chosen(permit, &options.services).await? {
            let asked = docker::LogOptions {
                tail: options.tail,
                since: options.since.clone(),
                ..docker::LogOptions::default()
            };
            let logs = self.docker.logs(permit.docker(), &found.id, asked).await?;
            let service = Label::Service.of(&found.labels).unwrap_or_default().to_owned();
            let line = |LogRecord { at, stream, text }| Line {
                container: found.name.clone(),
                service: service.clone(),
                at,
                stream,
                text,
            };
            lines.extend(logs.lines.into_iter().map(line));
        }
        lines.sort_by_key(|line| line.at);
        let too_many = lines.len().saturating_sub(STACK_LOG_LINES_MAX);
        lines.drain(..too_many);
        Ok(lines)
    }

    /// Fetches the images of its services; those that are built here are left out.
    pub async fn pull(
        &self,
        permit: &StackPermit,
        options: &ServicesOptions,
        told: Told<'_>,
    ) -> Result<Vec<Pulled>, Fault> {
        self.of_containers(permit, Asked::Pull)?;
        let desired = self.desired(permit.name()).await?;
        let mut pulled = Vec::new();
        for service in services(&desired, &options.services)?.into_iter().filter(|service| service.build.is_none()) {
            let is_new = !options.dry_run && self.pull_image(permit, service, PullPolicy::Always, told).await?;
            pulled.push(Pulled { service: service.name.clone(), image: service.image.clone(), changed: is_new });
        }
        Ok(pulled)
    }

    /// Builds the images of its services that say how.
    pub async fn build(
        &self,
        permit: &StackPermit,
        options: &ServicesOptions,
        told: Told<'_>,
    ) -> Result<Vec<Pulled>, Fault> {
        self.of_containers(permit, Asked::Build)?;
        let desired = self.desired(permit.name()).await?;
        let before = self.observe(permit, &desired).await?.images;
        let mut built = Vec::new();
        for service in services(&desired, &options.services)?.into_iter().filter(|service| service.build.is_some()) {
            let mut changed = false;
            if !options.dry_run {
                let id = self.build_image(permit, service, told).await?;
                changed = before.get(&service.image) != id.as_ref();
            }
            built.push(Pulled { service: service.name.clone(), image: service.image.clone(), changed });
        }
        Ok(built)
    }

    /// Stops its containers and starts them again. Gives their names.
    pub async fn restart(
        &self,
        permit: &StackPermit,
        options: &RestartOptions,
        told: Told<'_>,
    ) -> Result<Vec<String>, Fault> {
        if let Some(way) = self.swarm(permit)? {
            return Box::pin(way.restart(options, told)).await;
        }
        let _hold = self.hold(permit.name())?;
        let mut names = Vec::new();
        for found in self.chosen(permit, &options.services).await? {
            let what = format!("restart container {}", found.name);
            told.tell(Stage::Begun, what.clone(), None);
            let asked = StopOptions { timeout: options.timeout, dry_run: options.dry_run };
            self.docker.restart(permit.docker(), &found.id, asked).await?;
            told.tell(Stage::Done, what, None);
            names.push(found.name);
        }
        Ok(names)
    }

    /// Runs a command in a container of a service. An exit other than 0 is an outcome, not an error.
    pub async fn exec(&self, permit: &StackPermit, service: &str, options: ExecOptions) -> Result<ExecOutcome, Fault> {
        let number = options.number.unwrap_or(1);
        let container = match self.swarm(permit)? {
            Some(way) => Box::pin(way.container(service, number)).await?,
            None => self.numbered(permit, service, number).await?,
        };
        let asked = docker::ExecOptions {
            command: options.command,
            environment: options.environment,
            user: options.user,
            working_dir: options.working_dir,
            privileged: false,
            timeout: options.timeout,
            dry_run: options.dry_run,
        };
        Ok(self.docker.exec(permit.docker(), &container, asked).await?)
    }

    /// The id of one of a service's containers.
    async fn numbered(&self, permit: &StackPermit, service: &str, number: u32) -> Result<String, Fault> {
        let found = self.chosen(permit, &Texts(vec![service.to_owned()])).await?;
        let is_asked =
            |one: &Container| Label::Number.of(&one.labels).and_then(|text| text.parse::<u32>().ok()) == Some(number);
        found.into_iter().find(is_asked).map(|one| one.id).ok_or_else(|| {
            let message = format!("the service {service:?} has no container number {number}");
            Fault::new("stack.missing", message).hint("look with `aegis stack ps`")
        })
    }

    /// Containers of these services, or of all; a service that neither runs nor stands in the files is an error.
    async fn chosen(&self, permit: &StackPermit, services: &Texts) -> Result<Vec<Container>, Fault> {
        let mut found = self.containers(permit).await?;
        found.retain(|one| !is_kept(&one.name));
        let service = |one: &Container| Label::Service.of(&one.labels).unwrap_or_default().to_owned();
        for name in &services.0 {
            if !found.iter().any(|one| service(one) == *name) {
                known_service(&self.desired(permit.name()).await?, name)?;
            }
        }
        found.retain(|one| services.0.is_empty() || services.0.contains(&service(one)));
        Ok(found)
    }
}

fn services<'a>(desired: &'a Desired, asked: &Texts) -> Result<Vec<&'a Service>, Fault> {
    asked.0.iter().try_for_each(|name| known_service(desired, name))?;
    Ok(desired.services.values().filter(|service| asked.0.is_empty() || asked.0.contains(&service.name)).collect())
}

/// Takes the values of variables and the content of configs out of what is shown.
fn hide(shown: &mut Value) {
    let hidden = || Value::String("<hidden>".to_owned());
    let services = shown.get_mut("services").and_then(Value::as_object_mut);
    for service in services.into_iter().flat_map(serde_json::Map::values_mut) {
        for pointer in ["/environment", "/build/args"] {
            let values = service.pointer_mut(pointer).and_then(Value::as_object_mut);
            values.into_iter().flat_map(serde_json::Map::values_mut).for_each(|value| *value = hidden());
        }
    }
    let configs = shown.get_mut("configs").and_then(Value::as_object_mut);
    for config in configs.into_iter().flat_map(serde_json::Map::values_mut) {
        if let Some(content) = config.get_mut("content") {
            *content = hidden();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_hidden_and_names_are_not() {
        let mut shown = json!({
            "services": { "web": { "environment": { "TOKEN": "s3cret" }, "build": { "args": { "KEY": "s3cret" } } } },
            "configs": { "site": { "content": "s3cret" } },
        });
        hide(&mut shown);
        let text = shown.to_string();
        assert!(!text.contains("s3cret") && text.contains("TOKEN") && text.contains("KEY"), "{text}");
    }
}
