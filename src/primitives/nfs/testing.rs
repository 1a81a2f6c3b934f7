//! A gateway over temporary directories, and a client that says exactly what it is told to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::wire::xdr::{Decoder, Encoder};
use super::{ClientRule, Directory, DirectoryOptions, ExportOptions, Gateway, Handle, Limits, Options, Squash};

pub const OK: u32 = 0;
pub const NOENT: u32 = 2;
pub const EXIST: u32 = 17;
pub const XDEV: u32 = 18;
pub const NOTDIR: u32 = 20;
pub const INVAL: u32 = 22;
pub const ROFS: u32 = 30;
pub const DQUOT: u32 = 69;
pub const STALE: u32 = 70;
pub const BADHANDLE: u32 = 10_001;
pub const NOT_SYNC: u32 = 10_002;
pub const JUKEBOX: u32 = 10_008;

/// A running gateway. Volumes are `volumes/<name>` in its folder and exported as `/acme/<name>`.
pub struct Lab {
    pub folder: TempDir,
    pub handle: Handle,
    stop: CancellationToken,
    running: JoinSet<Result<(), super::Error>>,
}

impl Lab {
    pub async fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder")).await
    }

    pub async fn start_in(folder: TempDir) -> Self {
        let options = Options::new(SocketAddr::from(([127, 0, 0, 1], 0)), folder.path().join("nfs.key"));
        Self::start_with(folder, options).await
    }

    pub async fn start_with(folder: TempDir, options: Options) -> Self {
        let gateway = Gateway::bind(options).await.expect("bound");
        let (handle, stop) = (gateway.handle(), CancellationToken::new());
        let mut running = JoinSet::new();
        running.spawn(gateway.run(stop.clone()));
        Self { folder, handle, stop, running }
    }

    /// Stops the gateway and gives the folder back, for another to go on with.
    pub async fn stop(mut self) -> TempDir {
        self.stop.cancel();
        self.running.join_next().await.expect("running").expect("no panic").expect("stopped well");
        self.folder
    }

    pub fn path(&self, volume: &str) -> std::path::PathBuf {
        self.folder.path().join("volumes").join(volume)
    }

    pub fn add(&self, volume: &str, limits: Limits) -> Arc<Directory> {
        self.add_with(volume, limits, |_| {})
    }

    pub fn add_with(&self, volume: &str, limits: Limits, change: impl FnOnce(&mut ExportOptions)) -> Arc<Directory> {
        let path = self.path(volume);
        std::fs::create_dir_all(&path).expect("a directory");
        let backend = Arc::new(Directory::open(DirectoryOptions { path, limits, sync_names: false }).expect("opened"));
        let mut options = ExportOptions {
            tenant: "acme".into(),
            volume: volume.into(),
            squash: Squash::All { uid: 1000, gid: 100 },
            read_only: false,
            clients: vec![ClientRule { addresses: "127.0.0.0/8".parse().expect("a network"), read_only: false }],
        };
        change(&mut options);
        self.handle.add_export(options, backend.clone()).expect("exported");
        backend
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.handle.address()).await
    }

    /// A client and the handle of a volume's root.
    pub async fn mounted(&self, volume: &str) -> (Client, Vec<u8>) {
        let mut client = self.client().await;
        let root = client.mount(&format!("/acme/{volume}")).await.expect("mounted");
        (client, root)
    }
}

pub struct Client {
    pub stream: TcpStream,
    pub xid: u32,
}

/// The results of a call, from the status on.
pub struct Results(pub Vec<u8>);

impl Results {
    pub fn status(&self) -> u32 {
        Decoder::new(&self.0).u32().expect("a status")
    }
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.expect("connected"), xid: 1 }
    }

    pub async fn send(&mut self, message: &[u8]) -> std::io::Result<()> {
        let mark = 1 << 31 | u32::try_from(message.len()).expect("short");
        self.stream.write_all(&mark.to_be_bytes()).await?;
        self.stream.write_all(message).await
    }

    pub async fn receive(&mut self) -> std::io::Result<Vec<u8>> {
        let mark = self.stream.read_u32().await?;
        let mut message = vec![0; (mark & !(1 << 31)) as usize];
        self.stream.read_exact(&mut message).await?;
        Ok(message)
    }

    /// Calls under the next number.
    pub async fn call(&mut self, program: u32, procedure: u32, arguments: &Encoder) -> Results {
        self.xid += 1;
        let message = message(self.xid, program, procedure, arguments);
        self.send(&message).await.expect("sent");
        let reply = self.receive().await.expect("answered");
        let head: [u8; 24] = *reply.first_chunk().expect("a header");
        let expected: Vec<u8> = [self.xid, 1, 0, 0, 0, 0].iter().flat_map(|word| word.to_be_bytes()).collect();
        assert_eq!(head, *expected, "not a success");
        Results(reply[24..].to_vec())
    }

    pub async fn nfs(&mut self, procedure: u32, arguments: &Encoder) -> Results {
        self.call(100_003, procedure, arguments).await
    }

    pub async fn mount(&mut self, path: &str) -> Result<Vec<u8>, u32> {
        let mut arguments = Encoder::default();
        arguments.opaque(path.as_bytes());
        let results = self.call(100_005, 1, &arguments).await;
        let mut decoder = Decoder::new(&results.0);
        match decoder.u32().expect("a status") {
            OK => Ok(decoder.opaque(64).expect("a handle").to_vec()),
            status => Err(status),
        }
    }

    pub async fn lookup(&mut self, directory: &[u8], name: &[u8]) -> Result<Vec<u8>, u32> {
        let results = self.nfs(3, &entry(directory, name)).await;
        let mut decoder = Decoder::new(&results.0);
        match decoder.u32().expect("a status") {
            OK => Ok(decoder.opaque(64).expect("a handle").to_vec()),
            status => Err(status),
        }
    }

    /// CREATE (8) or MKDIR (9) and the like, with arguments after the entry.
    pub async fn make(&mut self, procedure: u32, entry: &Encoder) -> Result<Vec<u8>, u32> {
        let results = self.nfs(procedure, entry).await;
        let mut decoder = Decoder::new(&results.0);
        match decoder.u32().expect("a status") {
            OK => {
                assert!(decoder.bool().expect("handle follows"));
                Ok(decoder.opaque(64).expect("a handle").to_vec())
            }
            status => Err(status),
        }
    }

    pub async fn create(&mut self, directory: &[u8], name: &[u8]) -> Result<Vec<u8>, u32> {
        let mut arguments = entry(directory, name);
        arguments.u32(1);
        no_changes(&mut arguments);
        self.make(8, &arguments).await
    }

    pub async fn mkdir(&mut self, directory: &[u8], name: &[u8]) -> Result<Vec<u8>, u32> {
        let mut arguments = entry(directory, name);
        no_changes(&mut arguments);
        self.make(9, &arguments).await
    }

    pub async fn symlink(&mut self, directory: &[u8], name: &[u8], target: &[u8]) -> Result<Vec<u8>, u32> {
        let mut arguments = entry(directory, name);
        no_changes(&mut arguments);
        arguments.opaque(target);
        self.make(10, &arguments).await
    }

    /// How much was written, and the write verifier.
    pub async fn write(&mut self, file: &[u8], offset: u64, data: &[u8]) -> Result<(u32, [u8; 8]), u32> {
        let mut arguments = handle(file);
        arguments.u64(offset);
        arguments.u32(data.len() as u32);
        arguments.u32(0);
        arguments.opaque(data);
        let results = self.nfs(7, &arguments).await;
        let mut decoder = Decoder::new(&results.0);
        let status = decoder.u32().expect("a status");
        around(&mut decoder);
        if status != OK {
            return Err(status);
        }
        let count = decoder.u32().expect("a count");
        assert_eq!(decoder.u32(), Ok(0), "unstable was asked for");
        Ok((count, decoder.fixed().expect("a verifier")))
    }

    pub async fn read(&mut self, file: &[u8], offset: u64, count: u32) -> Result<(Vec<u8>, bool), u32> {
        let mut arguments = handle(file);
        arguments.u64(offset);
        arguments.u32(count);
        let results = self.nfs(6, &arguments).await;
        let mut decoder = Decoder::new(&results.0);
        let status = decoder.u32().expect("a status");
        attributes(&mut decoder);
        if status != OK {
            return Err(status);
        }
        decoder.u32().expect("a count");
        let end = decoder.bool().expect("whether it ends");
        let data = decoder.opaque(1 << 20).expect("data").to_vec();
        decoder.end().expect("nothing more");
        Ok((data, end))
    }

    pub async fn remove(&mut self, directory: &[u8], name: &[u8]) -> u32 {
        self.nfs(12, &entry(directory, name)).await.status()
    }

    pub async fn rename(&mut self, from: (&[u8], &[u8]), to: (&[u8], &[u8])) -> u32 {
        let mut arguments = entry(from.0, from.1);
        arguments.opaque(to.0);
        arguments.opaque(to.1);
        self.nfs(14, &arguments).await.status()
    }

    pub async fn link(&mut self, file: &[u8], directory: &[u8], name: &[u8]) -> u32 {
        let mut arguments = handle(file);
        arguments.opaque(directory);
        arguments.opaque(name);
        self.nfs(15, &arguments).await.status()
    }

    /// One READDIR: names with their cookies, and whether that is the end.
    pub async fn readdir(&mut self, directory: &[u8], cookie: u64, count: u32) -> (Vec<(Vec<u8>, u64)>, bool) {
        let mut arguments = handle(directory);
        arguments.u64(cookie);
        arguments.fixed(&[0; 8]);
        arguments.u32(count);
        let results = self.nfs(16, &arguments).await;
        assert!(results.0.len() <= count as usize, "{} bytes of {count}", results.0.len());
        let mut decoder = Decoder::new(&results.0);
        assert_eq!(decoder.u32(), Ok(OK));
        attributes(&mut decoder);
        decoder.u64().expect("a verifier");
        let mut entries = Vec::new();
        while decoder.bool().expect("whether an entry follows") {
            decoder.u64().expect("a number");
            let name = decoder.opaque(255).expect("a name").to_vec();
            entries.push((name, decoder.u64().expect("a cookie")));
        }
        (entries, decoder.bool().expect("whether it ends"))
    }
}

pub fn message(xid: u32, program: u32, procedure: u32, arguments: &Encoder) -> Vec<u8> {
    let mut message = Encoder::default();
    for word in [xid, 0, 2, program, 3, procedure, 1] {
        message.u32(word);
    }
    let mut credential = Encoder::default();
    for word in [0, 0, 0, 0, 0] {
        credential.u32(word);
    }
    message.opaque(&credential.into_bytes());
    message.u64(0);
    let mut message = message.into_bytes();
    message.extend_from_slice(arguments.bytes());
    message
}

pub fn handle(handle: &[u8]) -> Encoder {
    let mut arguments = Encoder::default();
    arguments.opaque(handle);
    arguments
}

pub fn entry(directory: &[u8], name: &[u8]) -> Encoder {
    let mut arguments = handle(directory);
    arguments.opaque(name);
    arguments
}

/// A `sattr3` that leaves everything.
pub fn no_changes(arguments: &mut Encoder) {
    (0..6).for_each(|_| arguments.u32(0));
}

/// Skips a `post_op_attr`.
pub fn attributes(decoder: &mut Decoder<'_>) {
    if decoder.bool().expect("whether attributes follow") {
        decoder.fixed::<84>().expect("attributes");
    }
}

/// Skips a `wcc_data`.
pub fn around(decoder: &mut Decoder<'_>) {
    if decoder.bool().expect("whether attributes follow") {
        decoder.fixed::<24>().expect("attributes");
    }
    attributes(decoder);
}

/// Every file below a directory of the host with what is in it, to compare before and after.
pub fn snapshot(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        for entry in std::fs::read_dir(path).expect("readable") {
            let entry = entry.expect("readable");
            if entry.file_type().expect("known").is_dir() {
                waiting.push(entry.path());
            } else {
                found.push((entry.path(), std::fs::read(entry.path()).unwrap_or_default()));
            }
        }
    }
    found.sort();
    found
}
