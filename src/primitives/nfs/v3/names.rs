//! Names of files (RFC 1813 section 3.2): one component, never a path.

use nfsserve::nfs::nfsstat3;

use crate::base::limits;

/// For names that are made, removed or renamed.
pub fn check(name: &[u8]) -> Result<(), nfsstat3> {
    check_lookup(name)?;
    if name == b"." || name == b".." { Err(nfsstat3::NFS3ERR_INVAL) } else { Ok(()) }
}

/// For names that are only looked up: there `.` and `..` mean something.
pub fn check_lookup(name: &[u8]) -> Result<(), nfsstat3> {
    if name.len() > limits::NFS_NAME_BYTES_MAX {
        return Err(nfsstat3::NFS3ERR_NAMETOOLONG);
    }
    if name.is_empty() || name.iter().any(|byte| matches!(byte, b'/' | 0)) {
        return Err(nfsstat3::NFS3ERR_INVAL);
    }
    Ok(())
}

/// What a symbolic link holds: anything that a path may be. Nobody here follows it.
pub fn check_target(target: &[u8]) -> Result<(), nfsstat3> {
    if target.len() > limits::NFS_LINK_TARGET_BYTES_MAX {
        return Err(nfsstat3::NFS3ERR_NAMETOOLONG);
    }
    if target.is_empty() || target.contains(&0) { Err(nfsstat3::NFS3ERR_INVAL) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_specials_are_no_names() {
        for name in [&b""[..], b".", b"..", b"a/b", b"/etc/passwd", b"../x", b"a\0b"] {
            assert!(matches!(check(name), Err(nfsstat3::NFS3ERR_INVAL)), "{name:?}");
        }
        assert!(matches!(check(&[b'a'; 256]), Err(nfsstat3::NFS3ERR_NAMETOOLONG)));
        for name in [&b"a"[..], b"...", b".git", b"\xff\xfe", &[b'a'; 255]] {
            assert!(check(name).is_ok(), "{name:?}");
        }
        assert!(check_lookup(b"..").is_ok());
    }

    #[test]
    fn a_link_may_hold_any_path_that_linux_would_take() {
        assert!(check_target(b"../../etc/passwd").is_ok());
        assert!(check_target(b"").is_err());
        assert!(check_target(&[b'a'; 4096]).is_err());
    }
}
