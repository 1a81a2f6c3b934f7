//! Bytes from one side to the other.

use std::io;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::meter::Metered;
use crate::base::limits;

/// A tunnel that begins when the client has been told so.
pub struct Tunnel {
    pub upgrade: OnUpgrade,
    pub far: Metered,
}

impl Tunnel {
    /// Until both sides have ended, or one broke off, or the execution may move no more bytes.
    pub async fn run(self) {
        let Self { upgrade, far } = self;
        let Ok(near) = upgrade.await else { return };
        let (mut near_reader, mut near_writer) = tokio::io::split(TokioIo::new(near));
        let (mut far_reader, mut far_writer) = tokio::io::split(far);
        let out = copy(&mut near_reader, &mut far_writer);
        let back = copy(&mut far_reader, &mut near_writer);
        if let Err(failure) = tokio::try_join!(out, back) {
            tracing::debug!(%failure, "a tunnel of an execution broke off");
        }
    }
}

async fn copy(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let mut buffer = vec![0; limits::EGRESS_COPY_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}
