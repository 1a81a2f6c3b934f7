//! `aegis volume …`: folders with a quota, snapshots and an end, which the daemon serves over NFS.

use std::io::Read;
use std::path::PathBuf;

use comfy_table::Cell;
use hyper::Method;
use serde_json::{Value, json};

use crate::base::{Timestamp, limits, quantity};
use crate::cli::api::{self, DeletedVolumeList, Volume, VolumeFileList, VolumeList};
use crate::cli::client::escape;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::{save, show, terminal};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List volumes with what they hold
    List,
    /// Show one volume, its snapshots and what a kernel mounts it with
    Show {
        /// TENANT/VOLUME
        name: String,
    },
    /// Make an empty volume
    Create {
        /// TENANT/VOLUME
        name: String,
        #[command(flatten)]
        wanted: Wanted,
    },
    /// Make a volume with what another one has, or had
    Clone {
        /// The other one: TENANT/VOLUME
        from: String,
        /// TENANT/VOLUME
        name: String,
        /// A snapshot of the other one [default: as it is now]
        #[arg(long)]
        snapshot: Option<String>,
        #[command(flatten)]
        wanted: Wanted,
    },
    /// Give a volume another quota
    Resize {
        /// TENANT/VOLUME
        name: String,
        /// What its files may take on disk, such as 10GiB
        #[arg(long, value_name = "SIZE", required_unless_present = "files")]
        size: Option<String>,
        /// How many files and folders it may have
        #[arg(long, value_name = "COUNT")]
        files: Option<u64>,
    },
    /// Have a volume deleted by itself after a time, or never
    Expire {
        /// TENANT/VOLUME
        name: String,
        /// From now, such as 7d; or never
        after: String,
    },
    /// Keep a volume as it is now
    Snapshot {
        /// TENANT/VOLUME
        name: String,
        snapshot: String,
        /// Remove the snapshot of that name instead
        #[arg(long)]
        remove: bool,
    },
    /// Bring a snapshot back in place of what the volume has, which is lost
    Restore {
        /// TENANT/VOLUME
        name: String,
        snapshot: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Take a volume away from its clients; it can come back until its grace is over
    Delete {
        /// TENANT/VOLUME
        name: String,
        /// Remove it for good, without a grace
        #[arg(long)]
        now: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// List deleted volumes that can come back
    Deleted,
    /// Bring a deleted volume back
    Recover {
        /// As `aegis volume deleted` has it
        id: String,
    },
    /// List what lies in a folder of a volume
    Ls {
        /// TENANT/VOLUME
        name: String,
        /// Relative to the volume
        #[arg(default_value = "")]
        path: String,
    },
    /// Give the content of a file
    Cat {
        /// TENANT/VOLUME
        name: String,
        /// Relative to the volume
        path: String,
        /// Write it to this file instead of standard output
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Write standard input, or a file of at most 1 MiB, into a volume
    Put {
        /// TENANT/VOLUME
        name: String,
        /// Relative to the volume; folders above it are made
        path: String,
        /// What is written [default: standard input]
        #[arg(long, short, value_name = "FILE")]
        input: Option<PathBuf>,
    },
    /// Remove a file, a link or an empty folder
    Rm {
        /// TENANT/VOLUME
        name: String,
        /// Relative to the volume
        path: String,
    },
}

/// What a new volume is to be.
#[derive(Debug, clap::Args)]
pub struct Wanted {
    /// What its files may take on disk, such as 10GiB
    #[arg(long, value_name = "SIZE")]
    size: Option<String>,
    /// How many files and folders it may have
    #[arg(long, value_name = "COUNT")]
    files: Option<u64>,
    /// Whose its files are for clients
    #[arg(long)]
    uid: Option<u32>,
    /// Which group's they are
    #[arg(long)]
    gid: Option<u32>,
    /// Who clients are: its owner (all), themselves but for root (root), themselves (none)
    #[arg(long, value_parser = ["all", "root", "none"], default_value = "all")]
    squash: String,
    /// Nobody changes anything
    #[arg(long)]
    read_only: bool,
    /// A network that may mount it; may be repeated [default: nfs.clients of the configuration]
    #[arg(long = "client", value_name = "NETWORK")]
    clients: Vec<String>,
    /// It is deleted by itself after so long, such as 7d
    #[arg(long, value_name = "DURATION")]
    expires: Option<String>,
}

impl Wanted {
    fn body(&self, name: &str) -> Value {
        json!({
            "name": name,
            "quota_bytes": self.size,
            "quota_inodes": self.files,
            "uid": self.uid,
            "gid": self.gid,
            "squash": self.squash,
            "read_only": self.read_only,
            "clients": self.clients,
            "expires": self.expires,
        })
    }
}

pub(super) async fn run(command: Command, ctx: &Context) -> Result<(), Failure> {
    let client = ctx.client()?;
    match command {
        Command::List => list(ctx).await,
        Command::Show { name } => {
            let answer: Value = client.get(&at(&name, "")?).await?;
            told(answer, ctx)
        }
        Command::Create { name, wanted } => told(client.post("/api/v1/volumes", wanted.body(&name)).await?, ctx),
        Command::Clone { from, name, snapshot, wanted } => {
            let mut body = wanted.body(&name);
            body["snapshot"] = json!(snapshot);
            told(client.post(&at(&from, "/clone")?, body).await?, ctx)
        }
        Command::Resize { name, size, files } => {
            change(&name, json!({ "quota_bytes": size, "quota_inodes": files }), ctx).await
        }
        Command::Expire { name, after } => change(&name, json!({ "expires": after }), ctx).await,
        Command::Snapshot { name, snapshot, remove: true } => {
            client.delete(&at(&name, &format!("/snapshots/{}", escape(&snapshot)))?).await?;
            ctx.out.note(format_args!("The snapshot {snapshot} of {name} is gone."));
            Ok(())
        }
        Command::Snapshot { name, snapshot, remove: false } => {
            let answer: Value = client.post(&at(&name, "/snapshots")?, json!({ "snapshot": snapshot })).await?;
            if ctx.out.json {
                return ctx.out.document(&answer);
            }
            ctx.out.note(format_args!("{name} is kept as {snapshot}: {} entries.", show::inline(&answer["entries"])));
            Ok(())
        }
        Command::Restore { name, snapshot, yes } => {
            terminal::confirm(&format!("Lose what {name} has, and bring {snapshot:?} back"), yes)?;
            told(client.post(&at(&name, "/restore")?, json!({ "snapshot": snapshot })).await?, ctx)
        }
        Command::Delete { name, now, yes } => {
            let how = if now { " for good" } else { "" };
            terminal::confirm(&format!("Delete the volume {name}{how}"), yes)?;
            let answer = client.delete(&at(&name, if now { "?now=true" } else { "" })?).await?;
            if ctx.out.json {
                return ctx.out.document(&answer);
            }
            match now {
                true => ctx.out.note(format_args!("{name} is gone.")),
                false => ctx.out.note(format_args!(
                    "{name} is deleted; until {} it comes back with `aegis volume recover {}`.",
                    show::inline(&answer["purge_at"]),
                    show::inline(&answer["id"])
                )),
            }
            Ok(())
        }
        Command::Deleted => deleted(ctx).await,
        Command::Recover { id } => {
            told(client.post(&format!("/api/v1/deleted-volumes/{}/recover", escape(&id)), json!({})).await?, ctx)
        }
        files => inside(files, ctx).await,
    }
}

/// What is about the files of a volume.
async fn inside(command: Command, ctx: &Context) -> Result<(), Failure> {
    let client = ctx.client()?;
    match command {
        Command::Ls { name, path } => {
            let answer: Value = client.get(&at(&name, &format!("/files?path={}", escape(&path)))?).await?;
            if ctx.out.json {
                return ctx.out.document(&answer["files"]);
            }
            let list: VolumeFileList = api::read(answer)?;
            let rows = list.files.iter().map(|file| {
                let changed = show::relative(file.modified_at, ctx.clock.now());
                vec![
                    Cell::new(show::plain(&file.path)),
                    Cell::new(&file.kind),
                    Cell::new(&file.mode),
                    Cell::new(quantity::show_size(file.bytes)),
                    Cell::new(changed),
                ]
            });
            ctx.out.table(&["PATH", "KIND", "MODE", "SIZE", "CHANGED"], rows.collect(), "There is nothing in it.")
        }
        Command::Cat { name, path, output } => {
            let mut content = client.download(&at(&name, &format!("/content?path={}", escape(&path)))?).await?;
            if let Some(file) = output {
                let bytes = save::to(&mut content, &file, save::Existing::Replace).await?;
                ctx.out.note(format_args!("{} written to {}.", quantity::show_size(bytes), file.display()));
                return Ok(());
            }
            while let Some(bytes) = content.next().await? {
                ctx.out.raw(&bytes)?;
            }
            Ok(())
        }
        Command::Put { name, path, input } => {
            let content = match input {
                Some(file) => content(std::fs::File::open(&file)?)?,
                None => content(std::io::stdin().lock())?,
            };
            let bytes = content.len() as u64;
            client.upload(&at(&name, &format!("/content?path={}", escape(&path)))?, content).await?;
            ctx.out.note(format_args!("{} written to {path} in {name}.", quantity::show_size(bytes)));
            Ok(())
        }
        Command::Rm { name, path } => {
            client.delete(&at(&name, &format!("/content?path={}", escape(&path)))?).await?;
            ctx.out.note(format_args!("{path} is gone from {name}."));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// All of it, or one byte more than the API takes.
fn content(from: impl Read) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    from.take(limits::API_BODY_BYTES_MAX as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

fn at(name: &str, rest: &str) -> Result<String, Failure> {
    let (tenant, volume) = name
        .split_once('/')
        .ok_or_else(|| Failure::usage(format!("{name:?} is not the name of a volume")).hint("write TENANT/VOLUME"))?;
    Ok(format!("/api/v1/volumes/{}/{}{rest}", escape(tenant), escape(volume)))
}

async fn change(name: &str, body: Value, ctx: &Context) -> Result<(), Failure> {
    told(ctx.client()?.json(Method::PATCH, &at(name, "")?, Some(body), &[]).await?, ctx)
}

async fn list(ctx: &Context) -> Result<(), Failure> {
    let answer: Value = ctx.client()?.get("/api/v1/volumes").await?;
    if ctx.out.json {
        return ctx.out.document(&answer["volumes"]);
    }
    let list: VolumeList = api::read(answer)?;
    let rows = list.volumes.iter().map(|volume| row(volume, ctx.clock.now())).collect();
    let header = ["NAME", "USED", "QUOTA", "FILES", "SNAPSHOTS", "EXPIRES"];
    ctx.out.table(&header, rows, "There are no volumes. `aegis volume create TENANT/VOLUME` makes one.")
}

fn row(volume: &Volume, now: Timestamp) -> Vec<Cell> {
    vec![
        Cell::new(&volume.name),
        Cell::new(quantity::show_size(volume.used_bytes)),
        Cell::new(quantity::show_size(volume.quota_bytes)),
        Cell::new(format!("{} of {}", volume.used_inodes, volume.quota_inodes)),
        Cell::new(volume.snapshots.len()),
        Cell::new(volume.expires_at.map_or_else(|| "never".to_owned(), |at| show::relative(at, now))),
    ]
}

async fn deleted(ctx: &Context) -> Result<(), Failure> {
    let answer: Value = ctx.client()?.get("/api/v1/deleted-volumes").await?;
    if ctx.out.json {
        return ctx.out.document(&answer["volumes"]);
    }
    let list: DeletedVolumeList = api::read(answer)?;
    let now = ctx.clock.now();
    let rows = list.volumes.iter().map(|volume| {
        let when = |at| Cell::new(show::relative(at, now));
        vec![Cell::new(&volume.id), Cell::new(&volume.name), when(volume.deleted_at), when(volume.purge_at)]
    });
    ctx.out.table(&["ID", "NAME", "DELETED", "REMOVED"], rows.collect(), "Nothing can come back.")
}

/// One volume, in lines.
fn told(answer: Value, ctx: &Context) -> Result<(), Failure> {
    if ctx.out.json {
        return ctx.out.document(&answer);
    }
    let volume: Volume = api::read(answer)?;
    let size = quantity::show_size;
    let mut lines = vec![
        ("name", volume.name.clone()),
        ("used", format!("{} of {}", size(volume.used_bytes), size(volume.quota_bytes))),
        ("files", format!("{} of {}", volume.used_inodes, volume.quota_inodes)),
        ("owner", format!("{}:{}, squash {}", volume.uid, volume.gid, volume.squash)),
        ("expires", volume.expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string())),
        ("folder", volume.folder.clone()),
        ("device", volume.device.clone()),
        ("options", volume.mount_options.clone()),
    ];
    if volume.read_only {
        lines.push(("read-only", "yes".to_owned()));
    }
    for snapshot in &volume.snapshots {
        let when = show::relative(snapshot.created_at, ctx.clock.now());
        lines.push(("snapshot", format!("{}, {} entries, {when}", snapshot.name, snapshot.entries)));
    }
    for (what, text) in lines {
        ctx.out.line(format_args!("{what:<10}{}", show::plain(&text)))?;
    }
    Ok(())
}
