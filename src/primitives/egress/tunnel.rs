//! Bytes from one side to the other.

use std::io;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::hello::{ALERT, Opening, opening};
use super::ledger::{Ledger, Reason, Wish};
use super::meter::Metered;
use crate::base::limits;
use crate::primitives::net::Target;
use crate::primitives::net::policy::Destination;

/// A tunnel that begins when the client has been told so.
pub struct Tunnel {
    pub upgrade: OnUpgrade,
    pub far: Metered,
    /// To what it was opened.
    pub target: Target,
    pub ledger: Ledger,
}

/// Why a tunnel ends before both sides have.
enum Broken {
    Off(io::Error),
    /// The client asks for what the tunnel does not lead to.
    Refused,
}

impl From<io::Error> for Broken {
    fn from(failure: io::Error) -> Self {
        Self::Off(failure)
    }
}

impl Tunnel {
    /// Until both sides have ended, or one broke off, or the execution may move no more bytes.
    pub async fn run(self) {
        let Self { upgrade, far, target, ledger } = self;
        let Ok(near) = upgrade.await else { return };
        let (mut near_reader, mut near_writer) = tokio::io::split(TokioIo::new(near));
        let (mut far_reader, mut far_writer) = tokio::io::split(far);
        let out = async {
            far_writer.write_all(&first(&mut near_reader, &target, &ledger).await?).await?;
            copy(&mut near_reader, &mut far_writer).await
        };
        let ended = tokio::try_join!(out, copy(&mut far_reader, &mut near_writer));
        match ended {
            Ok(_) => {}
            Err(Broken::Off(failure)) => tracing::debug!(%failure, "a tunnel of an execution broke off"),
            // So that the client knows why; it may have gone.
            Err(Broken::Refused) => drop(near_writer.write_all(&ALERT).await),
        }
    }
}

/// The client's first bytes, once it is known that they do not ask for another host: nothing was sent before.
async fn first(near: &mut (impl AsyncRead + Unpin), target: &Target, ledger: &Ledger) -> Result<Vec<u8>, Broken> {
    // An address has no name to compare with.
    let Destination::Name(name) = &target.host else { return Ok(Vec::new()) };
    let (mut bytes, mut read) = (vec![0; limits::EGRESS_HELLO_BYTES_MAX], 0);
    loop {
        let (host, reason) = match opening(&bytes[..read]) {
            Opening::Unfinished(needed) => {
                while read < needed {
                    match near.read(&mut bytes[read..]).await? {
                        // Of a client that changed its mind nothing is passed on.
                        0 => return Ok(Vec::new()),
                        more => read += more,
                    }
                }
                continue;
            }
            Opening::Hello(Some(asked)) if asked != *name => (asked, Reason::ServerName),
            Opening::Malformed => (name.clone(), Reason::Hello),
            Opening::Other | Opening::Hello(_) => {
                bytes.truncate(read);
                return Ok(bytes);
            }
        };
        ledger.refuse(Wish::Connect, &host, Some(target.port), reason);
        return Err(Broken::Refused);
    }
}

async fn copy(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> Result<(), Broken> {
    let mut buffer = vec![0; limits::EGRESS_COPY_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(to.shutdown().await?);
        }
        to.write_all(&buffer[..read]).await?;
    }
}
