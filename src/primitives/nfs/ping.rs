//! Asks an NFS server whether it is there: procedure 0 of NFS version 3 (RFC 1813 section 3.3.0).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::v3;
use super::wire::auth::AUTH_NONE;
use super::wire::xdr::Encoder;

/// Any number will do: the connection has one call.
const XID: u32 = 0x0a_e9_15;
/// Mark, number, direction, acceptance, verifier, success.
const REPLY_BYTES: usize = 28;

/// Gives an error when no NFS server answers at the address in time.
pub async fn ping(address: SocketAddr, wait: Duration) -> io::Result<()> {
    timeout(wait, ask(address)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn ask(address: SocketAddr) -> io::Result<()> {
    let mut call = Encoder::default();
    for word in [XID, 0, 2, v3::PROGRAM, v3::VERSION, 0, AUTH_NONE, 0, AUTH_NONE, 0] {
        call.u32(word);
    }
    let call = call.into_bytes();
    let mark = (1_u32 << 31) | call.len() as u32;
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&[&mark.to_be_bytes()[..], &call].concat()).await?;
    let mut reply = [0; REPLY_BYTES];
    stream.read_exact(&mut reply).await?;
    let word = |at: usize| reply[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
    let is_success = word(4) == XID && word(8) == 1 && word(12) == 0 && word(24) == 0;
    if is_success { Ok(()) } else { Err(io::Error::other("what answers is no NFS server")) }
}
