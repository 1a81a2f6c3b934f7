//! Taking in a response's body: into memory, into a file, or piece by piece.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::error::{Cause, HttpError, Phase, sort};
use super::hosts::Turn;
use super::room::{Held, Room};
use crate::base::{Clock, Timestamp, limits};
use crate::primitives::fs::{Files, FsError, FsPath, Replace};
use crate::primitives::permit::FsPermit;

/// A response whose head is here and whose body is not.
pub(super) struct Begun {
    pub response: reqwest::Response,
    /// In messages.
    pub target: String,
    pub url: String,
    pub deadline: Timestamp,
    pub timeout: Duration,
    pub idle: Option<Duration>,
    pub clock: Clock,
    /// Held until the body is here.
    pub _slot: tokio::sync::OwnedSemaphorePermit,
    pub _turn: Turn,
}

impl Begun {
    /// The next piece of the body; None at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        let late = |after| HttpError::Timeout { target: self.target.clone(), phase: Phase::Body, after };
        let idle = async {
            match self.idle {
                Some(idle) => self.clock.sleep(idle).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            chunk = self.response.chunk() => chunk.map_err(|error| {
                match sort(&error, self.target.clone(), limits::HTTP_CONNECT_TIMEOUT) {
                    Cause::Failed(failed) => failed,
                    Cause::Blocked(reason) => {
                        HttpError::Protocol { target: self.target.clone(), problem: reason.to_string() }
                    }
                }
            }),
            () = self.clock.sleep_until(self.deadline) => Err(late(self.timeout)),
            () = idle => Err(HttpError::Timeout {
                target: self.target.clone(),
                phase: Phase::Idle,
                after: self.idle.unwrap_or_default(),
            }),
        }
    }

    /// The whole body, in memory.
    pub async fn whole(mut self, max: usize, room: &Room) -> Result<(Bytes, Option<Held>), HttpError> {
        let target = self.target.clone();
        let too_large = || HttpError::BodyTooLarge { target: target.clone(), max: max as u64 };
        let announced = self.response.content_length();
        if announced.is_some_and(|length| length > max as u64) {
            return Err(too_large());
        }
        let expected = announced.and_then(|length| usize::try_from(length).ok()).unwrap_or(max);
        let (mut body, mut held) = (BytesMut::new(), None);
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > max {
                return Err(too_large());
            }
            if held.is_none() && body.len() + chunk.len() > limits::HTTP_BODY_SMALL_BYTES {
                // For all of it at once: two that wait for each other's second half would wait for ever.
                let wanted = expected.max(body.len() + chunk.len());
                held = tokio::select! {
                    held = room.take(wanted) => held,
                    () = self.clock.sleep_until(self.deadline) => {
                        return Err(HttpError::Timeout { target, phase: Phase::Body, after: self.timeout });
                    }
                };
            }
            body.extend_from_slice(&chunk);
        }
        Ok((body.freeze(), held))
    }

    /// The whole body, into a file that is put in its place when all of it is there.
    pub async fn file(mut self, save: &Save<'_>) -> Result<Saved, HttpError> {
        let too_large = |target: &str| HttpError::BodyTooLarge { target: target.to_owned(), max: save.bytes_max };
        let total = self.response.content_length();
        if total.is_some_and(|length| length > save.bytes_max) {
            return Err(too_large(&self.target));
        }
        let (pending, file) = save.files.begin(save.permit, save.path.clone()).await?;
        let failed = |problem: std::io::Error| HttpError::from(FsError::io("write", save.path, &problem));
        let mut file = tokio::fs::File::from_std(file);
        let (mut bytes, mut told, mut hash) = (0_u64, 0_u64, Sha256::new());
        while let Some(chunk) = self.chunk().await? {
            bytes += chunk.len() as u64;
            if bytes > save.bytes_max {
                return Err(too_large(&self.target));
            }
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(failed)?;
            if bytes - told >= limits::HTTP_PROGRESS_BYTES {
                told = bytes;
                (save.progress)(bytes, total);
            }
        }
        file.flush().await.map_err(failed)?;
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        if let Some(expected) = save.sha256.filter(|expected| !expected.eq_ignore_ascii_case(&sha256)) {
            return Err(HttpError::Checksum { target: self.target, expected: expected.to_owned(), found: sha256 });
        }
        save.files.commit(pending, file.into_std().await, save.replace).await?;
        (save.progress)(bytes, Some(bytes));
        Ok(Saved { bytes, sha256 })
    }
}

/// Where a body goes that is not kept in memory.
pub struct Save<'a> {
    pub files: &'a Files,
    pub permit: &'a FsPermit,
    pub path: &'a FsPath,
    pub bytes_max: u64,
    pub replace: Replace,
    /// What its content must be, or nothing is put in place.
    pub sha256: Option<&'a str>,
    /// Told how many bytes are here, and of how many.
    pub progress: &'a (dyn Fn(u64, Option<u64>) + Send + Sync),
}

impl fmt::Debug for Save<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Save").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A file that was put in its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saved {
    pub bytes: u64,
    /// In hexadecimal.
    pub sha256: String,
}
