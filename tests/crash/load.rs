//! Callers that start runs all the while, and remember what they were promised.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::dice::Dice;
use crate::jobs::KINDS;
use crate::record::Acknowledged;
use crate::support::api::Api;

/// A daemon that was killed answers nothing; one that hangs must not hold a caller for ever.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub struct Load {
    promises: Arc<Mutex<Vec<Acknowledged>>>,
    stop: CancellationToken,
    callers: JoinSet<()>,
}

impl Load {
    /// Each caller goes to one of the daemons.
    pub fn start(apis: &[Api], callers: u64, dice: &Dice) -> Self {
        let mut load = Self { promises: Arc::default(), stop: CancellationToken::new(), callers: JoinSet::new() };
        for (number, api) in (0..callers).zip(apis.iter().cycle()) {
            let caller = Caller {
                number,
                api: api.clone(),
                dice: dice.for_number(number),
                promises: load.promises.clone(),
                stop: load.stop.clone(),
            };
            load.callers.spawn(caller.call());
        }
        load
    }

    pub fn promises(&self) -> Vec<Acknowledged> {
        self.promises.lock().expect("not poisoned").clone()
    }

    /// Ends the callers, each with an answer to its last request, and gives all promises.
    pub async fn stop(&mut self) -> Vec<Acknowledged> {
        self.stop.cancel();
        while let Some(ended) = self.callers.join_next().await {
            ended.expect("a caller asks for nothing that is refused");
        }
        std::mem::take(&mut *self.promises.lock().expect("not poisoned"))
    }
}

struct Caller {
    number: u64,
    api: Api,
    dice: Dice,
    promises: Arc<Mutex<Vec<Acknowledged>>>,
    stop: CancellationToken,
}

impl Caller {
    async fn call(mut self) {
        let mut count = 0_u32;
        while !self.stop.is_cancelled() {
            count += 1;
            let job = KINDS[self.dice.below(KINDS.len() as u64) as usize].name;
            let key = (self.dice.below(2) == 0).then(|| format!("caller-{}-{count}", self.number));
            let again = key.is_some() && self.dice.below(3) == 0;
            self.submit(job, key.clone()).await;
            if again {
                self.submit(job, key).await;
            }
            tokio::time::sleep(self.dice.millis(10, 120)).await;
        }
    }

    /// With a key, until it is promised; without one, once: nobody knows what became of a request without an answer.
    async fn submit(&self, job: &'static str, key: Option<String>) {
        loop {
            let mut request = self.api.request(Method::POST, &format!("/api/v1/jobs/{job}/runs")).json(&json!({}));
            if let Some(key) = &key {
                request = request.header("Idempotency-Key", key);
            }
            if let Ok(answer) = request.timeout(ANSWER_TIMEOUT).send().await {
                let status = answer.status();
                let body: Value = answer.json().await.unwrap_or_default();
                if let (StatusCode::ACCEPTED, Some(run)) = (status, body["run_id"].as_str()) {
                    let promise = Acknowledged { run: run.to_owned(), job, key };
                    self.promises.lock().expect("not poisoned").push(promise);
                    return;
                }
                // While it starts, jobs are not loaded yet; while much waits, it says so.
                let may_pass = status.is_server_error() || status == StatusCode::NOT_FOUND;
                assert!(may_pass || status == StatusCode::ACCEPTED, "{job}: {status} {body}");
            }
            tokio::time::sleep(RETRY_PAUSE).await;
            if key.is_none() || self.stop.is_cancelled() {
                return;
            }
        }
    }
}
