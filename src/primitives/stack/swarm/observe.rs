//! Looks at what the swarm has of a stack.

use std::collections::BTreeMap;

use super::desired::Contents;
use super::plan::{Observed, SeenNetwork};
use crate::base::Fault;
use crate::primitives::docker::{Docker, NetworkListOptions, ObjectKind, VolumeListOptions};
use crate::primitives::permit::DockerPermit;
use crate::primitives::stack::compose::model::FileObject;
use crate::primitives::stack::compose::{FileProblem, Files, Project};
use crate::primitives::stack::desired::Label;
use crate::primitives::stack::disk::Disk;

pub(super) async fn observe(docker: &Docker, permit: &DockerPermit, project: &str) -> Result<Observed, Fault> {
    let mut observed = Observed::default();
    for one in docker.swarm_services(permit, project).await? {
        observed.services.insert(one.name.clone(), one);
    }
    for kind in [ObjectKind::Secret, ObjectKind::Config] {
        for (name, one) in docker.swarm_objects(permit, kind).await? {
            observed.objects.insert((kind, name), one);
        }
    }
    for one in docker.networks(permit, NetworkListOptions::default()).await? {
        let seen = SeenNetwork { id: one.id, is_swarm: one.scope == "swarm", labels: one.labels };
        let known = observed.networks.get(&one.name).is_some_and(|known| known.is_swarm);
        // An engine may have one of its own beside the swarm's of the same name.
        if !known {
            observed.networks.insert(one.name, seen);
        }
    }
    for one in docker.volumes(permit, VolumeListOptions::default()).await? {
        if Label::Namespace.of(&one.labels) == Some(project) {
            observed.volumes.insert(one.name);
        }
    }
    Ok(observed)
}

/// Reads the files of configs and secrets, which travel to the swarm.
pub(super) async fn contents(project: &Project) -> Result<Contents, Fault> {
    let of = |kind: ObjectKind, list: &BTreeMap<String, FileObject>| {
        let files = list.iter().map(|(key, object)| (kind, key.clone(), object.file.clone()));
        files.filter(|(_, _, file)| !file.is_empty()).collect::<Vec<_>>()
    };
    let files = [of(ObjectKind::Secret, &project.secrets), of(ObjectKind::Config, &project.configs)].concat();
    let read = move || {
        let one = |(kind, key, file): (ObjectKind, String, String)| {
            let content = Disk.read(&file, kind.bytes_max()).map_err(|problem| unread(kind, &key, &file, &problem))?;
            Ok((file, content))
        };
        files.into_iter().map(one).collect::<Result<Contents, Fault>>()
    };
    let stopped = |_| Fault::new("stack.stopped", "reading the stack was given up").retryable();
    tokio::task::spawn_blocking(read).await.map_err(stopped)?
}

fn unread(kind: ObjectKind, key: &str, file: &str, problem: &FileProblem) -> Fault {
    let why = match problem {
        FileProblem::Missing => "it is not there".to_owned(),
        FileProblem::Folder => "it is a folder".to_owned(),
        FileProblem::TooLarge => format!("a swarm takes {} bytes of a {} at most", kind.bytes_max(), kind.as_str()),
        FileProblem::Other(text) => text.clone(),
    };
    let message = format!("the file {file:?} of the {} {key:?} cannot be used: {why}", kind.as_str());
    Fault::new("stack.file", message).hint("correct its place, or what it holds")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::{SWARM_CONFIG_BYTES_MAX, SWARM_SECRET_BYTES_MAX};

    #[tokio::test]
    async fn files_are_read_up_to_what_a_swarm_takes() {
        let folder = tempfile::tempdir().expect("a folder");
        let of = |name: &str, bytes: usize| {
            let path = folder.path().join(name);
            std::fs::write(&path, vec![b'x'; bytes]).expect("written");
            FileObject { file: path.to_string_lossy().into_owned(), ..FileObject::default() }
        };
        let mut project = Project::default();
        project.secrets.insert("s".into(), of("secret", SWARM_SECRET_BYTES_MAX));
        project.configs.insert("c".into(), of("config", SWARM_CONFIG_BYTES_MAX));
        let read = contents(&project).await.expect("both fit");
        let mut sizes: Vec<usize> = read.values().map(Vec::len).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [SWARM_SECRET_BYTES_MAX, SWARM_CONFIG_BYTES_MAX]);
        for (file, word) in [
            (of("secret", SWARM_SECRET_BYTES_MAX + 1), "bytes of a secret"),
            (FileObject { file: "/nonexistent/token".into(), ..FileObject::default() }, "it is not there"),
            (FileObject { file: "/".into(), ..FileObject::default() }, "it is a folder"),
        ] {
            project.secrets.insert("s".into(), file);
            let fault = contents(&project).await.expect_err("it is refused");
            assert!(fault.code == "stack.file" && fault.message.contains(word), "{fault}");
        }
    }
}
