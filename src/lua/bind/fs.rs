//! `aegis.fs`: files inside the folders that the job was granted.

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Record, Type};
use crate::base::quantity::show_size;
use crate::base::{Fault, limits};
use crate::model::grants::Access;
use crate::primitives::fs::{Algorithm, Entry, FsPath, Listing, Replace};
use crate::primitives::permit::{self, FsPermit};

const READ: &str = "fs = { ROOT = \"read\" }";
const WRITE: &str = "fs = { ROOT = \"write\" }";
const PATH: Field = Field::required("path", Type::String, "ROOT:relative/path, such as \"backups:daily/db.sql\"");
const FROM: Field = Field::required("from", Type::String, "ROOT:relative/path");
const TO: Field = Field::required("to", Type::String, "ROOT:relative/path");
const CONTENT: Field = Field::required("content", Type::Bytes, "What is written");
const OVERWRITE: Field =
    Field::optional("overwrite", Type::Boolean, "Replace what is there; true unless said otherwise for write");
const NO_OVERWRITE: Field =
    Field::optional("overwrite", Type::Boolean, "Replace what is there; `fs.exists` unless it is set");

const READ_OPTIONS: Record = Record {
    name: "FsRead",
    doc: "How much is read.",
    fields: &[Field::optional(
        "max",
        Type::Size,
        "A larger file is an error; 16MiB unless said otherwise, and at most",
    )],
};

const WRITE_OPTIONS: Record =
    Record { name: "FsWrite", doc: "How a file is written.", fields: &[OVERWRITE, Field::DRY_RUN] };

const APPEND_OPTIONS: Record = Record { name: "FsAppend", doc: "How a file is added to.", fields: &[Field::DRY_RUN] };

const TRANSFER: Record =
    Record { name: "FsTransfer", doc: "How a file is copied or moved.", fields: &[NO_OVERWRITE, Field::DRY_RUN] };

const LIST: Record = Record {
    name: "FsList",
    doc: "What is listed.",
    fields: &[
        Field::optional("glob", Type::String, "Of names; * stands for any run of characters"),
        Field::optional("recursive", Type::Boolean, "Also what lies in folders below; links are not followed"),
        Field::optional("limit", Type::Integer, "More is `fs.too_many`; 1000 unless said otherwise, 10000 at most"),
    ],
};

const MKDIR: Record = Record {
    name: "FsMkdir",
    doc: "How a folder is made.",
    fields: &[
        Field::optional("parents", Type::Boolean, "Make those above it too; one that is there is no error then"),
        Field::DRY_RUN,
    ],
};

const REMOVE: Record = Record {
    name: "FsRemove",
    doc: "What is removed.",
    fields: &[Field::optional("recursive", Type::Boolean, "A folder with everything in it"), Field::DRY_RUN],
};

const ENTRY: Record = Record {
    name: "FsEntry",
    doc: "A file, a folder, or something else.",
    fields: &[
        Field::required("name", Type::String, "The last part of its path"),
        Field::required("path", Type::String, "ROOT:relative/path"),
        Field::required("kind", Type::String, "file, directory, symlink or other"),
        Field::required("bytes", Type::Integer, "Its size"),
        Field::required("modified_at", Type::Time, "When its content was changed"),
        Field::required("mode", Type::String, "Its permission bits, such as \"0640\""),
    ],
};

const SPACE: Record = Record {
    name: "FsSpace",
    doc: "Of the file system on which a folder lies.",
    fields: &[
        Field::required("total_bytes", Type::Integer, "How large it is"),
        Field::required("free_bytes", Type::Integer, "What is not used"),
        Field::required("available_bytes", Type::Integer, "What users other than root can have of it"),
        Field::required("inodes", Type::Integer, "How many files it can hold"),
        Field::required("inodes_free", Type::Integer, "How many more"),
    ],
};

const DONE: Record = Record {
    name: "FsDone",
    doc: "What was done, or would be.",
    fields: &[
        Field::required("path", Type::String, "Where"),
        Field::optional("bytes", Type::Integer, "How many were written"),
        Field::optional("entries", Type::Integer, "How many were removed"),
        Field::optional("plan", Type::String, "In a dry run: what would have been done"),
    ],
};

const READING: Function = Function { permission: Some(READ), ..Function::DEFAULT };
const CHANGING: Function = Function { permission: Some(WRITE), returns: Type::Record(&DONE), ..Function::DEFAULT };

pub const MODULE: Module = Module {
    name: "fs",
    doc: "Files inside the folders that the operator has named under `fs.roots` and the job was granted. No path, link \
          or exchange of one leads out of its root; pipes, devices and files with several names are not opened.",
    functions: &[
        Function {
            name: "read",
            doc: "The content of a file.",
            params: &[PATH, Field::optional("options", Type::Record(&READ_OPTIONS), "How much")],
            returns: Type::Bytes,
            call: Call::Async(|context, args| Box::pin(read(context, args))),
            ..READING
        },
        Function {
            name: "write",
            doc: "Writes a file whole: it has the old content or the new at any moment, also after a crash.",
            params: &[PATH, CONTENT, Field::optional("options", Type::Record(&WRITE_OPTIONS), "How")],
            call: Call::Async(|context, args| Box::pin(write(context, args))),
            ..CHANGING
        },
        Function {
            name: "append",
            doc: "Adds to the end of a file, which is made when it is not there.",
            params: &[PATH, CONTENT, Field::optional("options", Type::Record(&APPEND_OPTIONS), "How")],
            call: Call::Async(|context, args| Box::pin(append(context, args))),
            ..CHANGING
        },
        Function {
            name: "list",
            doc: "What lies in a folder, in order of the paths.",
            params: &[PATH, Field::optional("options", Type::Record(&LIST), "What")],
            returns: Type::List(&Type::Record(&ENTRY)),
            call: Call::Async(|context, args| Box::pin(list(context, args))),
            ..READING
        },
        Function {
            name: "stat",
            doc: "What a path leads to, or nil.",
            params: &[PATH],
            returns: Type::Optional(&Type::Record(&ENTRY)),
            call: Call::Async(|context, args| Box::pin(stat(context, args))),
            ..READING
        },
        Function {
            name: "hash",
            doc: "The fingerprint of a file's content as hex, without reading it into memory.",
            params: &[
                PATH,
                Field::optional("algorithm", Type::Choice(&["blake3", "sha256"]), "\"sha256\" unless said otherwise"),
            ],
            returns: Type::String,
            call: Call::Async(|context, args| Box::pin(hash(context, args))),
            ..READING
        },
        Function {
            name: "space",
            doc: "How much room there is where a folder lies.",
            params: &[PATH],
            returns: Type::Record(&SPACE),
            call: Call::Async(|context, args| Box::pin(space(context, args))),
            ..READING
        },
        Function {
            name: "mkdir",
            doc: "Makes a folder.",
            params: &[PATH, Field::optional("options", Type::Record(&MKDIR), "How")],
            call: Call::Async(|context, args| Box::pin(mkdir(context, args))),
            ..CHANGING
        },
        Function {
            name: "remove",
            doc: "Removes a file, a link or an empty folder; a folder with what is in it only with `recursive`.",
            params: &[PATH, Field::optional("options", Type::Record(&REMOVE), "What")],
            call: Call::Async(|context, args| Box::pin(remove(context, args))),
            ..CHANGING
        },
        Function {
            name: "copy",
            doc: "Copies a file, also from one root to another.",
            params: &[FROM, TO, Field::optional("options", Type::Record(&TRANSFER), "How")],
            call: Call::Async(|context, args| Box::pin(copy(context, args))),
            ..CHANGING
        },
        Function {
            name: "move",
            doc: "Moves a file or a folder; needs write access on both sides.",
            params: &[FROM, TO, Field::optional("options", Type::Record(&TRANSFER), "How")],
            call: Call::Async(|context, args| Box::pin(rename(context, args))),
            ..CHANGING
        },
    ],
    ..Module::DEFAULT
};

/// The path that an argument or an option names, and the permit for it.
pub(super) fn path(context: &CallContext, text: &str, access: Access) -> Result<(FsPermit, FsPath), Fault> {
    let path: FsPath = text.parse().map_err(|error| prefixed(context, error))?;
    Ok((permit::fs(&context.run()?.grants, path.root(), access)?, path))
}

fn prefixed(context: &CallContext, error: impl Into<Fault>) -> Fault {
    let fault = error.into();
    Fault { message: format!("{}: {}", context.name, fault.message), ..fault }
}

fn done(path: &FsPath) -> Datum {
    Datum::record([("path", path.to_string().into())])
}

fn planned(path: &FsPath, plan: String) -> Datum {
    Datum::record([("path", path.to_string().into()), ("plan", plan.into())])
}

fn replace(options: &Args, default: bool) -> Replace {
    if options.boolean("overwrite").unwrap_or(default) { Replace::Yes } else { Replace::No }
}

async fn read(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, path) = path(&context, args.need("path")?, Access::Read)?;
    let max = args.record("options").integer("max").and_then(|max| u64::try_from(max).ok());
    let max = max.unwrap_or(limits::FS_READ_BYTES_MAX);
    Ok(Datum::Bytes(context.primitives.fs.read(&permit, path, max).await?))
}

async fn write(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, path) = path(&context, args.need("path")?, Access::Write)?;
    let content = content(&context, &args)?;
    let bytes = content.len() as u64;
    if context.dry_run(&args) {
        return Ok(planned(&path, format!("write {} to {path}", show_size(bytes))));
    }
    let replace = replace(&args.record("options"), true);
    context.primitives.fs.write(&permit, path.clone(), content, replace).await?;
    Ok(written(&path, bytes))
}

async fn append(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, path) = path(&context, args.need("path")?, Access::Write)?;
    let content = content(&context, &args)?;
    let bytes = content.len() as u64;
    if context.dry_run(&args) {
        return Ok(planned(&path, format!("append {} to {path}", show_size(bytes))));
    }
    context.primitives.fs.append(&permit, path.clone(), content).await?;
    Ok(written(&path, bytes))
}

fn content(context: &CallContext, args: &Args) -> Result<Vec<u8>, Fault> {
    let content = args.bytes("content").unwrap_or_default();
    if content.len() as u64 > limits::FS_READ_BYTES_MAX {
        let message = format!("{}: the content has {}", context.name, show_size(content.len() as u64));
        let hint = format!("at most {} are written at once; append the rest", show_size(limits::FS_READ_BYTES_MAX));
        return Err(Fault::new("fs.too_large", message).hint(hint));
    }
    Ok(content.to_vec())
}

fn written(path: &FsPath, bytes: u64) -> Datum {
    Datum::record([("path", path.to_string().into()), ("bytes", count(bytes))])
}

async fn list(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, path) = path(&context, args.need("path")?, Access::Read)?;
    let options = args.record("options");
    let limit = options.integer("limit").and_then(|limit| usize::try_from(limit).ok());
    let listing = Listing {
        glob: options.text("glob").map(str::to_owned),
        recursive: options.flag("recursive"),
        limit: limit.unwrap_or(limits::FS_LIST_DEFAULT).clamp(1, limits::FS_LIST_MAX),
    };
    let found = context.primitives.fs.list(&permit, path, listing).await?;
    Ok(Datum::List(found.into_iter().map(entry).collect()))
}

async fn stat(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, path) = path(&context, args.need("path")?, Access::Read)?;
    Ok(context.primitives.fs.stat(&permit, path).await?.map_or(Datum::Null, entry))
}

async fn hash(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, path) = path(&context, args.need("path")?, Access::Read)?;
    let algorithm = if args.text("algorithm") == Some("blake3") { Algorithm::Blake3 } else { Algorithm::Sha256 };
    Ok(context.primitives.fs.hash(&permit, path, algorithm).await?.into())
}

async fn space(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, path) = path(&context, args.need("path")?, Access::Read)?;
    let space = context.primitives.fs.space(&permit, path).await?;
    Ok(Datum::record([
        ("total_bytes", count(space.total_bytes)),
        ("free_bytes", count(space.free_bytes)),
        ("available_bytes", count(space.available_bytes)),
        ("inodes", count(space.inodes)),
        ("inodes_free", count(space.inodes_free)),
    ]))
}

async fn mkdir(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, path) = path(&context, args.need("path")?, Access::Write)?;
    if context.dry_run(&args) {
        return Ok(planned(&path, format!("make the folder {path}")));
    }
    let parents = args.record("options").flag("parents");
    context.primitives.fs.mkdir(&permit, path.clone(), parents).await?;
    Ok(done(&path))
}

async fn remove(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, path) = path(&context, args.need("path")?, Access::Write)?;
    let recursive = args.record("options").flag("recursive");
    if context.dry_run(&args) {
        let what = if recursive { " with everything in it" } else { "" };
        return Ok(planned(&path, format!("remove {path}{what}")));
    }
    let entries = context.primitives.fs.remove(&permit, path.clone(), recursive).await?;
    Ok(Datum::record([("path", path.to_string().into()), ("entries", count(entries as u64))]))
}

async fn copy(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (from_permit, from) = path(&context, args.need("from")?, Access::Read)?;
    let (to_permit, to) = path(&context, args.need("to")?, Access::Write)?;
    if context.dry_run(&args) {
        return Ok(planned(&to, format!("copy {from} to {to}")));
    }
    let replace = replace(&args.record("options"), false);
    let files = &context.primitives.fs;
    let bytes = files.copy((&from_permit, from), (&to_permit, to.clone()), replace).await?;
    Ok(written(&to, bytes))
}

async fn rename(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (from_permit, from) = path(&context, args.need("from")?, Access::Write)?;
    let (to_permit, to) = path(&context, args.need("to")?, Access::Write)?;
    if context.dry_run(&args) {
        return Ok(planned(&to, format!("move {from} to {to}")));
    }
    let replace = replace(&args.record("options"), false);
    context.primitives.fs.rename((&from_permit, from), (&to_permit, to.clone()), replace).await?;
    Ok(done(&to))
}

fn entry(entry: Entry) -> Datum {
    Datum::record([
        ("name", entry.name.into()),
        ("path", entry.path.into()),
        ("kind", entry.kind.as_str().into()),
        ("bytes", count(entry.bytes)),
        ("modified_at", Datum::Time(entry.modified_at)),
        ("mode", format!("{:04o}", entry.mode).into()),
    ])
}

fn count(number: u64) -> Datum {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}
