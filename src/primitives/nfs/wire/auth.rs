//! Who calls, as the call says it (RFC 5531 section 8.2 and appendix A).

use super::xdr::{Decoder, Encoder, Malformed};
use crate::base::limits;

pub const AUTH_NONE: u32 = 0;
/// Called AUTH_UNIX by most, AUTH_SYS by the RFC.
pub const AUTH_UNIX: u32 = 1;

/// Nobody vouches for what it says: an export's squash decides what it is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    None,
    Unix { uid: u32, gid: u32, gids: Vec<u32> },
}

/// Why a credential is not taken (`auth_stat`, RFC 5531 section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthProblem {
    BadCredential = 1,
    RejectedCredential = 2,
}

/// Reads the credential and the verifier of a call.
pub fn decode(decoder: &mut Decoder<'_>) -> Result<Result<Credential, AuthProblem>, Malformed> {
    let flavor = decoder.u32()?;
    let body = decoder.opaque(limits::NFS_AUTH_BYTES_MAX)?;
    let _verifier_flavor = decoder.u32()?;
    let _verifier = decoder.opaque(limits::NFS_AUTH_BYTES_MAX)?;
    Ok(match flavor {
        AUTH_NONE => Ok(Credential::None),
        AUTH_UNIX => unix(&mut Decoder::new(body)).map_err(|_| AuthProblem::BadCredential),
        _ => Err(AuthProblem::RejectedCredential),
    })
}

fn unix(body: &mut Decoder<'_>) -> Result<Credential, Malformed> {
    let _stamp = body.u32()?;
    let _machine = body.opaque(limits::NFS_MACHINE_NAME_BYTES_MAX)?;
    let (uid, gid) = (body.u32()?, body.u32()?);
    let count = body.u32()? as usize;
    if count > limits::NFS_AUTH_GIDS_MAX {
        return Err(Malformed::TooLong);
    }
    let gids = (0..count).map(|_| body.u32()).collect::<Result<_, _>>()?;
    body.end()?;
    Ok(Credential::Unix { uid, gid, gids })
}

/// The verifier of every answer: none.
pub fn encode_verifier(encoder: &mut Encoder) {
    encoder.u32(AUTH_NONE);
    encoder.opaque(b"");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(flavor: u32, body: &[u8]) -> Vec<u8> {
        let mut encoder = Encoder::default();
        encoder.u32(flavor);
        encoder.opaque(body);
        encode_verifier(&mut encoder);
        encoder.into_bytes()
    }

    fn unix_body(count: u32, gids: &[u32]) -> Vec<u8> {
        let mut body = Encoder::default();
        body.u32(7);
        body.opaque(b"client");
        body.u32(1000);
        body.u32(100);
        body.u32(count);
        gids.iter().for_each(|gid| body.u32(*gid));
        body.into_bytes()
    }

    #[test]
    fn unix_credentials_carry_their_groups() {
        let bytes = credential(AUTH_UNIX, &unix_body(2, &[4, 27]));
        let read = decode(&mut Decoder::new(&bytes)).expect("well-formed");
        assert_eq!(read, Ok(Credential::Unix { uid: 1000, gid: 100, gids: vec![4, 27] }));
    }

    #[test]
    fn a_count_of_groups_is_believed_only_within_its_bound() {
        for (count, gids) in [(u32::MAX, &[][..]), (17, &[0; 17]), (2, &[1]), (1, &[1, 2])] {
            let bytes = credential(AUTH_UNIX, &unix_body(count, gids));
            let read = decode(&mut Decoder::new(&bytes)).expect("the frame is well-formed");
            assert_eq!(read, Err(AuthProblem::BadCredential), "{count} {gids:?}");
        }
    }

    #[test]
    fn other_flavors_are_rejected_and_long_bodies_malformed() {
        let bytes = credential(6, b"kerberos");
        assert_eq!(decode(&mut Decoder::new(&bytes)), Ok(Err(AuthProblem::RejectedCredential)));
        let bytes = credential(AUTH_UNIX, &[0; 404]);
        assert_eq!(decode(&mut Decoder::new(&bytes)), Err(Malformed::TooLong));
    }
}
