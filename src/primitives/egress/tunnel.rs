//! Bytes from one side to the other, counted.

use std::io;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::ledger::{Flow, Way};
use super::pulse::Pulse;
use crate::base::limits;

/// A tunnel that begins when the client has been told so.
pub struct Tunnel {
    pub upgrade: OnUpgrade,
    pub stream: TcpStream,
    pub flow: Flow,
    pub pulse: Pulse,
}

impl Tunnel {
    /// Until both sides have ended, or one broke off, or the execution may move no more bytes.
    pub async fn run(self) {
        let Self { upgrade, stream, flow, pulse } = self;
        let Ok(near) = upgrade.await else { return };
        let (mut near_reader, mut near_writer) = tokio::io::split(TokioIo::new(near));
        let (mut far_reader, mut far_writer) = stream.into_split();
        let moved = |way| {
            let (flow, pulse) = (&flow, &pulse);
            move |bytes| {
                pulse.beat();
                flow.moved(way, bytes)
            }
        };
        let out = copy(&mut near_reader, &mut far_writer, moved(Way::Out));
        let back = copy(&mut far_reader, &mut near_writer, moved(Way::In));
        if let Err(failure) = tokio::try_join!(out, back) {
            tracing::debug!(%failure, "a tunnel of an execution broke off");
        }
    }
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    may_go_on: impl Fn(usize) -> bool,
) -> io::Result<()> {
    let mut buffer = vec![0; limits::EGRESS_COPY_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        if !may_go_on(read) {
            return Err(io::Error::other("the execution has used up its bytes"));
        }
        to.write_all(&buffer[..read]).await?;
    }
}
