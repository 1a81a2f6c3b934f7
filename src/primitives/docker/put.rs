//! Files that are put into a container from here.

use std::io;

use bollard::query_parameters::UploadToContainerOptions;

use super::done::Done;
use super::engine::Docker;
use super::error::DockerError;
use crate::base::limits::DOCKER_PUT_BYTES_MAX;
use crate::model::grants::Access;
use crate::primitives::permit::DockerPermit;

/// A file as it is to be in a container.
#[derive(Clone, PartialEq, Eq)]
pub struct PutFile {
    /// Absolute. Folders above it that are missing are made.
    pub path: String,
    pub content: Vec<u8>,
    /// As in `chmod`.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
}

/// Nothing prints what is in it.
impl std::fmt::Debug for PutFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PutFile").field("path", &self.path).field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Docker {
    /// Writes files into a container, running or not, over what is there. They are in its own layer and go with it.
    pub async fn put_files(
        &self,
        permit: &DockerPermit,
        container: &str,
        files: &[PutFile],
    ) -> Result<Done, DockerError> {
        let found = self.find(permit, Access::Write, container).await?;
        let action = format!("writing files into {:?}", found.name);
        let archive = archive(files)?;
        let done = Done::new("put_files", &found.name, false).id(&found.id).changed(!files.is_empty());
        let options = UploadToContainerOptions { path: "/".into(), ..UploadToContainerOptions::default() };
        self.call(&action, |client| async move {
            client.upload_to_container(&found.id, Some(options), bollard::body_full(archive.into())).await
        })
        .await?;
        Ok(done)
    }
}

fn archive(files: &[PutFile]) -> Result<Vec<u8>, DockerError> {
    let bytes: usize = files.iter().map(|file| file.content.len()).sum();
    if bytes > DOCKER_PUT_BYTES_MAX {
        return Err(DockerError::invalid("files", format!("they are over {DOCKER_PUT_BYTES_MAX} bytes together")));
    }
    let unusable = |file: &PutFile, problem: io::Error| {
        DockerError::invalid("files", format!("{:?} cannot be written: {problem}", file.path))
    };
    let mut builder = tar::Builder::new(Vec::new());
    for file in files {
        let inside =
            file.path.strip_prefix('/').filter(|path| !path.is_empty() && !path.split('/').any(|part| part == ".."));
        let Some(inside) = inside else {
            return Err(DockerError::invalid("files", format!("{:?} is not the absolute path of a file", file.path)));
        };
        let mut header = tar::Header::new_gnu();
        header.set_mode(file.mode);
        header.set_uid(file.uid);
        header.set_gid(file.gid);
        header.set_size(file.content.len() as u64);
        builder.append_data(&mut header, inside, file.content.as_slice()).map_err(|problem| unusable(file, problem))?;
    }
    builder.into_inner().map_err(|problem| DockerError::invalid("files", problem.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> PutFile {
        PutFile { path: path.into(), content: b"s3cret".to_vec(), mode: 0o400, uid: 7, gid: 8 }
    }

    #[test]
    fn paths_are_absolute_and_stay_below_the_root() {
        for bad in ["", "/", "etc/x", "/a/../../x", ".."] {
            assert!(archive(&[file(bad)]).is_err(), "{bad}");
        }
        let packed = archive(&[file("/run/secrets/key")]).expect("an archive");
        let mut read = tar::Archive::new(packed.as_slice());
        let entry = read.entries().expect("entries").next().expect("one").expect("sound");
        let header = entry.header();
        assert_eq!(entry.path().expect("a path").to_string_lossy(), "run/secrets/key");
        assert_eq!((header.mode().ok(), header.uid().ok(), header.gid().ok()), (Some(0o400), Some(7), Some(8)));
        assert!(!format!("{:?}", file("/x")).contains("s3cret"));
        let large = PutFile { content: vec![0; DOCKER_PUT_BYTES_MAX + 1], ..file("/x") };
        assert!(archive(&[large]).is_err());
    }
}
