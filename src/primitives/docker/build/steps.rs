//! What the builder and registries report: JSON, one object after the other.

use bytes::BytesMut;
use http_body_util::BodyExt;
use serde_json::Value;

use crate::base::limits;
use crate::primitives::docker::error::DockerError;

/// One line of a build, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildStep {
    pub line: String,
    /// Instructions begun, and how many there are; 0 before the first.
    pub step: u64,
    pub steps: u64,
}

/// The objects of an answer, as they come and within bounds.
pub(in crate::primitives::docker) struct Objects {
    body: hyper::body::Incoming,
    buffer: BytesMut,
    ended: bool,
}

impl Objects {
    pub(in crate::primitives::docker) fn new(body: hyper::body::Incoming) -> Self {
        Self { body, buffer: BytesMut::new(), ended: false }
    }

    /// None at the end. What is no JSON is passed over: engines end a stream with such a piece at times.
    pub(in crate::primitives::docker) async fn next(&mut self, action: &str) -> Result<Option<Value>, DockerError> {
        loop {
            while let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                let line = self.buffer.split_to(end + 1);
                if let Ok(value) = serde_json::from_slice(&line) {
                    return Ok(Some(value));
                }
            }
            if self.ended {
                let rest = std::mem::take(&mut self.buffer);
                return Ok(serde_json::from_slice(&rest).ok());
            }
            if self.buffer.len() > limits::DOCKER_EVENT_BYTES_MAX {
                self.buffer.clear();
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => {
                    return Err(DockerError::Lost { action: action.to_owned(), message: error.to_string() });
                }
                None => self.ended = true,
            }
        }
    }
}

/// What a build has said so far.
pub(super) struct Reading<'a> {
    action: &'a str,
    step: u64,
    pub(super) steps: u64,
    pub(super) id: Option<String>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(action: &'a str) -> Self {
        Self { action, step: 0, steps: 0, id: None, warnings: Vec::new() }
    }

    pub(super) async fn follow(
        &mut self,
        body: hyper::body::Incoming,
        progress: &mut (impl FnMut(BuildStep) + Send),
    ) -> Result<(), DockerError> {
        let mut objects = Objects::new(body);
        while let Some(object) = objects.next(self.action).await? {
            self.take(&object, progress)?;
        }
        Ok(())
    }

    fn take(&mut self, object: &Value, progress: &mut impl FnMut(BuildStep)) -> Result<(), DockerError> {
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        if let Some(message) = text("error") {
            let step = match self.step {
                0 => String::new(),
                step => format!("step {step} of {}: ", self.steps),
            };
            let message = format!("{step}{}", message.trim());
            return Err(DockerError::Build { action: self.action.to_owned(), message });
        }
        if let Some(id) = object.pointer("/aux/ID").and_then(Value::as_str) {
            self.id = Some(id.to_owned());
        }
        for line in text("stream").or_else(|| text("status")).unwrap_or_default().lines() {
            let line = line.trim_end();
            if line.is_empty() {
                continue;
            }
            if let Some((step, steps)) = numbers(line) {
                (self.step, self.steps) = (step, steps);
            }
            if line.starts_with("[Warning]") && self.warnings.len() < limits::DOCKER_OPTION_ITEMS_MAX {
                self.warnings.push(line.trim_start_matches("[Warning]").trim().to_owned());
            }
            progress(BuildStep { line: line.to_owned(), step: self.step, steps: self.steps });
        }
        Ok(())
    }
}

/// Of `Step 2/5 : RUN make`.
fn numbers(line: &str) -> Option<(u64, u64)> {
    let (step, steps) = line.strip_prefix("Step ")?.split_once(' ')?.0.split_once('/')?;
    Some((step.parse().ok()?, steps.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_build_is_read_step_by_step() {
        let mut reading = Reading::new("building");
        let mut seen = Vec::new();
        let mut take = |object: Value| reading.take(&object, &mut |step: BuildStep| seen.push((step.line, step.step)));
        take(json!({"stream": "Step 1/2 : FROM x\n"})).expect("read");
        take(json!({"stream": " ---> 0a\n"})).expect("read");
        take(json!({"stream": "\n"})).expect("read");
        take(json!({"stream": "Step 2/2 : RUN false\n"})).expect("read");
        take(json!({"stream": "[Warning] One or more build-args [X] were not consumed\n"})).expect("read");
        take(json!({"aux": {"ID": "sha256:1"}})).expect("read");
        let failed = take(json!({"error": "The command '/bin/sh -c false' returned a non-zero code: 1"}));
        assert!(failed.is_err_and(|error| error.to_string().contains("step 2 of 2: The command")));
        assert_eq!(seen.len(), 4);
        assert_eq!(seen[2], ("Step 2/2 : RUN false".to_owned(), 2));
        assert_eq!((reading.steps, reading.id.as_deref()), (2, Some("sha256:1")));
        assert_eq!(reading.warnings, ["One or more build-args [X] were not consumed"]);
    }
}
