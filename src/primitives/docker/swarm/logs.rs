//! What the tasks of a service printed, on whichever nodes they ran.

use http_body_util::BodyExt;
use serde_json::Value;

use super::SwarmService;
use crate::base::limits;
use crate::model::grants::Access;
use crate::primitives::docker::engine::Docker;
use crate::primitives::docker::error::DockerError;
use crate::primitives::docker::frames::{Frames, Lines};
use crate::primitives::docker::logs::{LogRecord, engine_time, lost, moment, record};
use crate::primitives::docker::names::check_name;
use crate::primitives::permit::DockerPermit;

/// A line of one of a service's tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceLine {
    /// Empty when the engine does not say whose it is.
    pub task_id: String,
    pub record: LogRecord,
}

impl Docker {
    /// The last `tail` lines of each task, from `since` on; as many as fit the bound of a log.
    pub async fn service_logs(
        &self,
        permit: &DockerPermit,
        service: &SwarmService,
        tail: u32,
        since: Option<&str>,
    ) -> Result<Vec<ServiceLine>, DockerError> {
        permit.check(Access::Read, &service.name)?;
        let action = format!("reading the log of {:?}", service.name);
        let mut query: Vec<(&str, String)> =
            ["stdout", "stderr", "timestamps", "details"].map(|key| (key, "true".to_owned())).to_vec();
        query.push(("tail", tail.to_string()));
        if let Some(since) = since {
            query.push(("since", engine_time(moment("since", since, self.clock().now())?)));
        }
        let path = format!("/services/{}/logs", check_name("service", &service.id)?);
        let mut body = self.open(&action, &path, &query).await?;
        let terminal = service.spec.pointer("/TaskTemplate/ContainerSpec/TTY").and_then(Value::as_bool);
        let (mut frames, mut lines) = (Frames::new(terminal.unwrap_or_default()), Lines::default());
        let (mut found, mut bytes) = (Vec::new(), 0);
        let read = async {
            while let Some(frame) = body.frame().await {
                let Ok(data) = frame.map_err(|error| lost(&action, &error))?.into_data() else { continue };
                bytes += data.len();
                frames.feed(data, |stream, part| {
                    lines.feed(stream, part, |line| found.push(told(record(line))));
                });
                if bytes > limits::DOCKER_LOG_BYTES_MAX {
                    break;
                }
            }
            Ok(())
        };
        self.within(limits::DOCKER_CALL_TIMEOUT, &action, read).await?;
        lines.finish(|line| found.push(told(record(line))));
        Ok(found)
    }
}

/// Takes what the engine says of the task off the front of a line: `key=value` with commas between.
fn told(mut record: LogRecord) -> ServiceLine {
    const TASK: &str = "com.docker.swarm.task.id=";
    let Some((head, rest)) = record.text.split_once(' ').filter(|(head, _)| head.contains(TASK)) else {
        return ServiceLine { task_id: String::new(), record };
    };
    let task = head.split(',').find_map(|pair| pair.strip_prefix(TASK)).unwrap_or_default().to_owned();
    record.text = rest.to_owned();
    ServiceLine { task_id: task, record }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::docker::frames::Stream;

    #[test]
    fn lines_are_told_apart_by_their_tasks() {
        let of = |text: &str| told(LogRecord { at: None, stream: Stream::Stdout, text: text.to_owned() });
        let line = of("com.docker.swarm.node.id=n,com.docker.swarm.service.id=s,com.docker.swarm.task.id=t hello you");
        assert_eq!((line.task_id.as_str(), line.record.text.as_str()), ("t", "hello you"));
        let plain = of("hello you");
        assert_eq!((plain.task_id.as_str(), plain.record.text.as_str()), ("", "hello you"));
    }
}
