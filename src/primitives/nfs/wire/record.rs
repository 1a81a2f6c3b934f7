//! Records on a stream (RFC 5531 section 11): fragments, each behind a word that has its length and whether it is the
//! last.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::rpc::Reply;
use super::xdr::padding;
use crate::base::limits;

const LAST_FRAGMENT: u32 = 1 << 31;

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("a message is longer than {} bytes", limits::NFS_RECORD_BYTES_MAX)]
    TooLong,
    #[error("a message is in more than {} fragments", limits::NFS_RECORD_FRAGMENTS_MAX)]
    TooManyFragments,
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
}

/// Waits for the first fragment of the next record and gives its header; `None` when the client has closed.
pub async fn read_header<R: AsyncRead + Unpin>(stream: &mut R) -> Result<Option<u32>, RecordError> {
    let mut header = [0; 4];
    let mut filled = 0;
    while filled < header.len() {
        match stream.read(&mut header[filled..]).await? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            read => filled += read,
        }
    }
    Ok(Some(u32::from_be_bytes(header)))
}

/// Reads the record whose first header is `header`. Memory grows with what has arrived, not with what was announced.
pub async fn read_body<R: AsyncRead + Unpin>(stream: &mut R, mut header: u32) -> Result<Bytes, RecordError> {
    let mut record = BytesMut::new();
    for _ in 0..limits::NFS_RECORD_FRAGMENTS_MAX {
        let length = (header & !LAST_FRAGMENT) as usize;
        if length > limits::NFS_RECORD_BYTES_MAX - record.len() {
            return Err(RecordError::TooLong);
        }
        read_fragment(stream, &mut record, length).await?;
        if header & LAST_FRAGMENT != 0 {
            return Ok(record.freeze());
        }
        header = stream.read_u32().await?;
    }
    Err(RecordError::TooManyFragments)
}

async fn read_fragment<R: AsyncRead + Unpin>(
    stream: &mut R,
    record: &mut BytesMut,
    length: usize,
) -> Result<(), RecordError> {
    let end = record.len() + length;
    record.reserve(length.min(limits::NFS_RECORD_EARLY_BYTES));
    let mut fragment = stream.take(length as u64);
    while record.len() < end {
        if record.len() == record.capacity() {
            // The client has shown that it means it.
            record.reserve(end - record.len());
        }
        if fragment.read_buf(record).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
    Ok(())
}

/// Sends an answer as one fragment.
pub async fn write<W: AsyncWrite + Unpin>(stream: &mut W, reply: &Reply) -> io::Result<()> {
    let length = u32::try_from(reply.bytes()).map_err(|_| io::ErrorKind::InvalidData)?;
    stream.write_all(&(length | LAST_FRAGMENT).to_be_bytes()).await?;
    stream.write_all(&reply.head).await?;
    if !reply.data.is_empty() {
        stream.write_all(&reply.data).await?;
        stream.write_all(&[0; 3][..padding(reply.data.len())]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(mut bytes: &[u8]) -> Result<Option<Bytes>, RecordError> {
        match read_header(&mut bytes).await? {
            Some(header) => read_body(&mut bytes, header).await.map(Some),
            None => Ok(None),
        }
    }

    #[tokio::test]
    async fn fragments_make_one_record() {
        let record = read(b"\0\0\0\x03abc\0\0\0\0\x80\0\0\x02de").await.expect("well-formed");
        assert_eq!(record.as_deref(), Some(&b"abcde"[..]));
        assert!(read(b"").await.expect("closed between records").is_none());
    }

    #[tokio::test]
    async fn lengths_over_the_bound_are_refused_before_anything_is_read() {
        assert!(matches!(read(b"\xff\xff\xff\xff").await, Err(RecordError::TooLong)));
        assert!(matches!(read(b"\x7f\xff\xff\xff").await, Err(RecordError::TooLong)));
        let two = [&b"\0\x10\0\0"[..], &vec![0; 1 << 20], b"\x80\0\x10\x01"].concat();
        assert!(matches!(read(&two).await, Err(RecordError::TooLong)));
    }

    #[tokio::test]
    async fn empty_fragments_do_not_go_on_for_ever() {
        let endless = vec![0; 4 * (limits::NFS_RECORD_FRAGMENTS_MAX + 2)];
        assert!(matches!(read(&endless).await, Err(RecordError::TooManyFragments)));
    }

    #[tokio::test]
    async fn a_record_that_ends_early_is_an_error() {
        for bytes in [&b"\x80\0"[..], b"\x80\0\0\x09abc", b"\0\0\0\x01a"] {
            assert!(matches!(read(bytes).await, Err(RecordError::Io(_))), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn answers_are_padded() {
        let mut out = Vec::new();
        let reply = Reply { head: vec![1, 2, 3, 4], data: vec![5] };
        write(&mut out, &reply).await.expect("written");
        assert_eq!(out, [0x80, 0, 0, 8, 1, 2, 3, 4, 5, 0, 0, 0]);
    }
}
