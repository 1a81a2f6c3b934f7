//! Compose files on this machine's disk.

use std::io::Read;
use std::path::Path;

use super::compose::{Entry, FileProblem, Files};

/// Reads whatever the process may read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, FileProblem> {
        if Path::new(path).is_dir() {
            return Err(FileProblem::Folder);
        }
        let file = std::fs::File::open(path).map_err(problem)?;
        let mut bytes = Vec::new();
        // One byte more than is allowed tells that there is more, whatever the file's length claims.
        file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(problem)?;
        if bytes.len() > bytes_max { Err(FileProblem::TooLarge) } else { Ok(bytes) }
    }

    fn entry(&self, path: &str) -> Option<Entry> {
        let found = std::fs::metadata(path).ok()?;
        Some(if found.is_dir() { Entry::Folder } else { Entry::File })
    }
}

fn problem(error: std::io::Error) -> FileProblem {
    match error.kind() {
        std::io::ErrorKind::NotFound => FileProblem::Missing,
        _ => FileProblem::Other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_their_bound() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("compose.yaml");
        std::fs::write(&path, "services").expect("written");
        let (file, folder) = (path.to_string_lossy(), folder.path().to_string_lossy());
        assert_eq!(Disk.read(&file, 8), Ok(b"services".to_vec()));
        assert_eq!(Disk.read(&file, 7), Err(FileProblem::TooLarge));
        assert_eq!(Disk.read(&folder, 8), Err(FileProblem::Folder));
        assert_eq!(Disk.read(&format!("{file}.not"), 8), Err(FileProblem::Missing));
        assert_eq!((Disk.entry(&file), Disk.entry(&folder)), (Some(Entry::File), Some(Entry::Folder)));
        assert_eq!(Disk.entry("/nonexistent"), None);
    }
}
