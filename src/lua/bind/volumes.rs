//! `aegis.volumes`: folders with a quota, snapshots and an end, which the daemon serves over NFS.

mod calls;

use super::{Call, Field, Function, Module, Record, Type};

const READ: &str = "volumes = { [\"TENANT/VOLUME\"] = \"read\" }";
const WRITE: &str = "volumes = { [\"TENANT/VOLUME\"] = \"write\" }";
const ADMIN: &str = "volumes = { [\"TENANT/VOLUME\"] = \"admin\" }";

const NAME: Field = Field::required("name", Type::String, "TENANT/VOLUME, such as \"agents/run-17\"");
const SNAPSHOT: Field = Field::required("snapshot", Type::String, "Its name, such as \"before-upgrade\"");
const PATH: Field = Field::required("path", Type::String, "Relative to the volume, with / between names");
const TARGET: &[Field] = &[Field::DRY_RUN];

const QUOTA_BYTES: Field = Field::optional("quota_bytes", Type::Size, "What its files may take on disk");
const QUOTA_INODES: Field = Field::optional("quota_inodes", Type::Integer, "How many files and folders it may have");
const UID: Field = Field::optional("uid", Type::Integer, "Whose its files are for clients");
const GID: Field = Field::optional("gid", Type::Integer, "Which group's they are");
const SQUASH: Field = Field::optional(
    "squash",
    Type::Choice(&["all", "root", "none"]),
    "Who clients are: its owner whoever they say they are (all), themselves but for root (root), themselves (none)",
);
const READ_ONLY: Field = Field::optional("read_only", Type::Boolean, "Nobody changes anything");
const CLIENTS: Field =
    Field::optional("clients", Type::List(&Type::String), "Networks that may mount it; those of nfs.clients otherwise");
const EXPIRES: Field = Field::optional("expires", Type::Duration, "It is deleted by itself after so long");

const NEW: Record = Record {
    name: "VolumeNew",
    doc: "What a new volume is to be; what is left out is as the configuration says under `nfs`.",
    fields: &[QUOTA_BYTES, QUOTA_INODES, UID, GID, SQUASH, READ_ONLY, CLIENTS, EXPIRES, Field::DRY_RUN],
};

const CLONE: Record = Record {
    name: "VolumeClone",
    doc: "What a clone is to be; quota and owner that are left out are the original's.",
    fields: &[
        Field::optional("snapshot", Type::String, "A snapshot of the original; as it is now otherwise"),
        QUOTA_BYTES,
        QUOTA_INODES,
        UID,
        GID,
        SQUASH,
        READ_ONLY,
        CLIENTS,
        EXPIRES,
        Field::DRY_RUN,
    ],
};

const RESIZE: Record = Record {
    name: "VolumeResize",
    doc: "What a volume may hold from now on. What is over it stays; nothing is added to it.",
    fields: &[QUOTA_BYTES, QUOTA_INODES, Field::DRY_RUN],
};

const ACT: Record = Record { name: "VolumeAct", doc: "How it is done.", fields: TARGET };

const DELETE: Record = Record {
    name: "VolumeDelete",
    doc: "How a volume is deleted.",
    fields: &[
        Field::optional("now", Type::Boolean, "Remove it for good, without the grace of `nfs.delete_grace`"),
        Field::DRY_RUN,
    ],
};

const READ_OPTIONS: Record = Record {
    name: "VolumeRead",
    doc: "How much is read.",
    fields: &[Field::optional(
        "max",
        Type::Size,
        "A larger file is an error; 16MiB unless said otherwise, and at most",
    )],
};

const WRITE_OPTIONS: Record = Record {
    name: "VolumeWrite",
    doc: "How a file is written.",
    fields: &[
        Field::optional("overwrite", Type::Boolean, "Replace what is there; true unless said otherwise"),
        Field::optional("parents", Type::Boolean, "Make the folders above that are not there"),
        Field::optional("mode", Type::String, "Of a new file, in octal; \"644\" unless said otherwise"),
        Field::DRY_RUN,
    ],
};

const SNAPSHOT_RECORD: Record = Record {
    name: "VolumeSnapshot",
    doc: "What a volume was at one moment.",
    fields: &[
        Field::required("name", Type::String, "What it is called"),
        Field::required("created_at", Type::Time, "When"),
        Field::required("bytes", Type::Integer, "What was copied; 0 when blocks are shared with the volume"),
        Field::required("entries", Type::Integer, "Files and folders"),
        Field::required("shared", Type::Boolean, "The file system shares its blocks with the volume"),
    ],
};

const VOLUME: Record = Record {
    name: "Volume",
    doc: "A volume.",
    fields: &[
        Field::required("name", Type::String, "TENANT/VOLUME"),
        Field::required("id", Type::String, "Not used again"),
        Field::required("created_at", Type::Time, "When it was made"),
        Field::optional("expires_at", Type::Time, "When it is deleted by itself"),
        Field::required("quota_bytes", Type::Integer, "What its files may take on disk"),
        Field::required("quota_inodes", Type::Integer, "How many files and folders it may have"),
        Field::required("used_bytes", Type::Integer, "What its files take, without snapshots"),
        Field::required("used_inodes", Type::Integer, "How many files and folders it has"),
        Field::required("uid", Type::Integer, "Whose its files are for clients"),
        Field::required("gid", Type::Integer, "Which group's they are"),
        Field::required("squash", Type::String, "all, root or none"),
        Field::required("read_only", Type::Boolean, "Nobody changes anything"),
        Field::required("snapshots", Type::List(&Type::Record(&SNAPSHOT_RECORD)), "The oldest first"),
        Field::required("folder", Type::String, "Where its files are on the daemon's machine"),
        Field::required(
            "device",
            Type::String,
            "For mount, and for Docker's volume driver `local`: \":/TENANT/VOLUME\"",
        ),
        Field::required("mount_options", Type::String, "What a kernel of the daemon's machine mounts it with"),
    ],
};

const DELETED: Record = Record {
    name: "VolumeDeleted",
    doc: "A volume that was deleted and can come back.",
    fields: &[
        Field::required("id", Type::String, "For recover"),
        Field::required("name", Type::String, "What it was called"),
        Field::required("deleted_at", Type::Time, "When"),
        Field::required("purge_at", Type::Time, "Until then it can come back"),
    ],
};

const FILE: Record = Record {
    name: "VolumeFile",
    doc: "A file, a folder, or something else in a volume.",
    fields: &[
        Field::required("path", Type::String, "Relative to the volume"),
        Field::required("kind", Type::String, "file, directory, symlink or other"),
        Field::required("bytes", Type::Integer, "Its size"),
        Field::required("modified_at", Type::Time, "When its content was changed"),
        Field::required("mode", Type::String, "Its permission bits, such as \"0640\""),
    ],
};

const DONE: Record = Record {
    name: "VolumeDone",
    doc: "What was done, or would be.",
    fields: &[
        Field::required("name", Type::String, "TENANT/VOLUME"),
        Field::optional("volume", Type::Record(&VOLUME), "As it is now"),
        Field::optional("snapshot", Type::Record(&SNAPSHOT_RECORD), "The one that was made"),
        Field::optional("deleted", Type::Record(&DELETED), "How it can come back"),
        Field::optional("path", Type::String, "Which file"),
        Field::optional("plan", Type::String, "In a dry run: what would have been done"),
    ],
};

const READING: Function = Function { permission: Some(READ), ..Function::DEFAULT };
const WRITING: Function = Function { permission: Some(WRITE), returns: Type::Record(&DONE), ..Function::DEFAULT };
const RULING: Function = Function { permission: Some(ADMIN), returns: Type::Record(&DONE), ..Function::DEFAULT };
const HOW: Field = Field::optional("options", Type::Record(&ACT), "How");

pub const MODULE: Module = Module {
    name: "volumes",
    doc: "Folders with a quota, snapshots and an end, which the daemon serves over NFS version 3 when the operator has \
          given it an address under `nfs.listen`. With `read` a job lists volumes and reads their files, with `write` \
          it changes files and snapshots, with `admin` it makes, resizes, restores and deletes volumes. Work that has \
          begun is finished, also when the run ends meanwhile.",
    functions: &[
        Function {
            name: "list",
            doc: "The volumes that the grant covers, by name.",
            returns: Type::List(&Type::Record(&VOLUME)),
            call: Call::Async(|context, args| Box::pin(calls::list(context, args))),
            ..READING
        },
        Function {
            name: "get",
            doc: "One volume, or nil.",
            params: &[NAME],
            returns: Type::Optional(&Type::Record(&VOLUME)),
            call: Call::Async(|context, args| Box::pin(calls::get(context, args))),
            ..READING
        },
        Function {
            name: "create",
            doc: "Makes an empty volume, which is served from then on.",
            params: &[NAME, Field::optional("options", Type::Record(&NEW), "What it is to be")],
            call: Call::Async(|context, args| Box::pin(calls::create(context, args))),
            ..RULING
        },
        Function {
            name: "clone",
            doc: "Makes a volume with what another one has, or had. Needs `read` on the other one.",
            params: &[
                Field::required("from", Type::String, "The other one: TENANT/VOLUME"),
                NAME,
                Field::optional("options", Type::Record(&CLONE), "What it is to be"),
            ],
            call: Call::Async(|context, args| Box::pin(calls::clone(context, args))),
            ..RULING
        },
        Function {
            name: "resize",
            doc: "Gives a volume another quota.",
            params: &[NAME, Field::required("options", Type::Record(&RESIZE), "Which")],
            call: Call::Async(|context, args| Box::pin(calls::resize(context, args))),
            ..RULING
        },
        Function {
            name: "expire",
            doc: "Has a volume deleted by itself after a time from now; without one, never.",
            params: &[NAME, Field::optional("after", Type::Duration, "How long from now"), HOW],
            call: Call::Async(|context, args| Box::pin(calls::expire(context, args))),
            ..RULING
        },
        Function {
            name: "snapshot",
            doc: "Keeps a volume as it is at one moment. While it is copied, what clients change is put off.",
            params: &[NAME, SNAPSHOT, HOW],
            call: Call::Async(|context, args| Box::pin(calls::snapshot(context, args))),
            ..WRITING
        },
        Function {
            name: "remove_snapshot",
            doc: "Removes a snapshot.",
            params: &[NAME, SNAPSHOT, HOW],
            call: Call::Async(|context, args| Box::pin(calls::remove_snapshot(context, args))),
            ..WRITING
        },
        Function {
            name: "restore",
            doc: "Brings a snapshot back in place of what the volume has, which is lost. Files that clients have open \
                  are stale afterwards.",
            params: &[NAME, SNAPSHOT, HOW],
            call: Call::Async(|context, args| Box::pin(calls::restore(context, args))),
            ..RULING
        },
        Function {
            name: "delete",
            doc: "Takes a volume away from its clients. It can come back with recover until its grace is over.",
            params: &[NAME, Field::optional("options", Type::Record(&DELETE), "How")],
            call: Call::Async(|context, args| Box::pin(calls::delete(context, args))),
            ..RULING
        },
        Function {
            name: "deleted",
            doc: "Deleted volumes that the grant covers and that can come back, those that end soonest first.",
            returns: Type::List(&Type::Record(&DELETED)),
            call: Call::Async(|context, args| Box::pin(calls::deleted(context, args))),
            ..READING
        },
        Function {
            name: "recover",
            doc: "Brings a deleted volume back under the name it had.",
            params: &[Field::required("id", Type::String, "As deleted has it"), HOW],
            call: Call::Async(|context, args| Box::pin(calls::recover(context, args))),
            ..RULING
        },
        Function {
            name: "read",
            doc: "The content of a file.",
            params: &[NAME, PATH, Field::optional("options", Type::Record(&READ_OPTIONS), "How much")],
            returns: Type::Bytes,
            call: Call::Async(|context, args| Box::pin(calls::read(context, args))),
            ..READING
        },
        Function {
            name: "write",
            doc: "Writes a file whole: it has the old content or the new at any moment, also after a crash. Within the \
                  quota there must be room for both.",
            params: &[
                NAME,
                PATH,
                Field::required("content", Type::Bytes, "What is written"),
                Field::optional("options", Type::Record(&WRITE_OPTIONS), "How"),
            ],
            call: Call::Async(|context, args| Box::pin(calls::write(context, args))),
            ..WRITING
        },
        Function {
            name: "files",
            doc: "What lies in a folder of a volume, by path; links are not followed.",
            params: &[NAME, Field::optional("path", Type::String, "Which folder; the top otherwise")],
            returns: Type::List(&Type::Record(&FILE)),
            call: Call::Async(|context, args| Box::pin(calls::files(context, args))),
            ..READING
        },
        Function {
            name: "stat",
            doc: "What a path leads to, or nil.",
            params: &[NAME, PATH],
            returns: Type::Optional(&Type::Record(&FILE)),
            call: Call::Async(|context, args| Box::pin(calls::stat(context, args))),
            ..READING
        },
        Function {
            name: "remove",
            doc: "Removes a file, a link or an empty folder.",
            params: &[NAME, PATH, HOW],
            call: Call::Async(|context, args| Box::pin(calls::remove(context, args))),
            ..WRITING
        },
    ],
    ..Module::DEFAULT
};
