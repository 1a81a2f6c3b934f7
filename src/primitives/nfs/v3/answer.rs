//! The results of a procedure, as they are put together (RFC 1813 sections 2.5 and 2.6).

use nfsserve::nfs::{fattr3, nfsstat3, wcc_attr};

use crate::primitives::nfs::wire::rpc::Reply;
use crate::primitives::nfs::wire::xdr::Encoder;

/// Attributes of a file before and after a change (`wcc_data`). The client tells by them whether only it changed it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Around {
    pub before: Option<fattr3>,
    pub after: Option<fattr3>,
}

#[derive(Debug)]
pub struct Answer {
    pub out: Encoder,
    /// The data of a READ: it follows all else.
    pub data: Vec<u8>,
    /// The `nfsstat3` or `mountstat3` that was put.
    pub status: u32,
}

impl Answer {
    /// `out` has the header already.
    pub fn new(out: Encoder) -> Self {
        Self { out, data: Vec::new(), status: 0 }
    }

    pub fn status(&mut self, status: nfsstat3) {
        self.status = status as u32;
        self.out.u32(self.status);
    }

    pub fn ok(&mut self) {
        self.status(nfsstat3::NFS3_OK);
    }

    /// `post_op_attr`.
    pub fn attributes(&mut self, attributes: Option<&fattr3>) {
        self.out.bool(attributes.is_some());
        if let Some(attributes) = attributes {
            self.out.value(attributes);
        }
    }

    /// `post_op_fh3`.
    pub fn handle(&mut self, handle: &[u8]) {
        self.out.bool(true);
        self.out.opaque(handle);
    }

    /// `wcc_data`.
    pub fn around(&mut self, around: &Around) {
        self.out.bool(around.before.is_some());
        if let Some(before) = around.before {
            self.out.value(&wcc_attr { size: before.size, mtime: before.mtime, ctime: before.ctime });
        }
        self.attributes(around.after.as_ref());
    }

    pub fn into_reply(self) -> Reply {
        Reply { head: self.out.into_bytes(), data: self.data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_that_are_not_known_are_one_word_each() {
        let mut answer = Answer::new(Encoder::default());
        answer.status(nfsstat3::NFS3ERR_STALE);
        answer.around(&Around::default());
        assert_eq!(answer.into_reply().head, [0, 0, 0, 70, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_change_shows_size_and_times_before_and_everything_after() {
        let mut answer = Answer::new(Encoder::default());
        answer.around(&Around { before: Some(fattr3::default()), after: Some(fattr3::default()) });
        assert_eq!(answer.out.written(), 4 + 24 + 4 + 84);
    }
}
