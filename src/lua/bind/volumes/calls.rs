//! What the functions of `aegis.volumes` do.

use crate::base::quantity::{show_duration, show_size};
use crate::base::{Fault, Timestamp, limits};
use crate::lua::bind::{Args, CallContext, Datum};
use crate::model::grants::Access;
use crate::primitives::nfs::{FileEntry, WriteOptions};
use crate::primitives::permit::{self, VolumesPermit};
use crate::primitives::volumes::{
    Changes, CloneFrom, DeletedVolume, NewVolume, Snapshot, Squash, Volume, VolumeName, check_snapshot,
};

fn name(args: &Args, argument: &str) -> Result<VolumeName, Fault> {
    args.need(argument)?.parse()
}

/// The permit, and the volume that the call names.
fn named(context: &CallContext, args: &Args, access: Access) -> Result<(VolumesPermit, VolumeName), Fault> {
    let permit = permit::volumes(&context.run()?.grants);
    let name = name(args, "name")?;
    permit.check(access, name.as_str())?;
    Ok((permit, name))
}

fn whole(context: &CallContext, options: &Args, option: &str) -> Result<Option<u64>, Fault> {
    let Some(number) = options.integer(option) else { return Ok(None) };
    let wrong = || Fault::new("args.value", format!("{}: option {option:?} must not be negative", context.name));
    u64::try_from(number).map(Some).map_err(|_| wrong())
}

fn id(context: &CallContext, options: &Args, option: &str) -> Result<Option<u32>, Fault> {
    let Some(number) = whole(context, options, option)? else { return Ok(None) };
    let wrong = || Fault::new("args.value", format!("{}: option {option:?} is no id", context.name));
    u32::try_from(number).map(Some).map_err(|_| wrong().hint("write a number below 4294967296"))
}

fn wanted(context: &CallContext, options: &Args) -> Result<NewVolume, Fault> {
    let mut clients = Vec::new();
    for text in options.texts("clients").unwrap_or_default() {
        let network = text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from));
        clients.push(network.map_err(|_| {
            let message = format!("{}: {text:?} in option \"clients\" is no network", context.name);
            Fault::new("args.value", message).hint("write it as \"10.0.0.0/8\" or as an address")
        })?);
    }
    let squash = Squash::ALL.into_iter().find(|squash| options.text("squash") == Some(squash.as_str()));
    Ok(NewVolume {
        quota_bytes: whole(context, options, "quota_bytes")?,
        quota_inodes: whole(context, options, "quota_inodes")?,
        uid: id(context, options, "uid")?,
        gid: id(context, options, "gid")?,
        squash: squash.unwrap_or_default(),
        read_only: options.flag("read_only"),
        clients,
        expires_in: options.duration("expires"),
    })
}

pub async fn list(context: CallContext, _args: Args) -> Result<Datum, Fault> {
    let permit = permit::volumes(&context.run()?.grants);
    Ok(Datum::List(context.primitives.volumes.list(&permit)?.into_iter().map(volume).collect()))
}

pub async fn get(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, name) = named(&context, &args, Access::Read)?;
    match context.primitives.volumes.get(&permit, &name) {
        Ok(found) => Ok(volume(found)),
        Err(fault) if fault.code == "volumes.not_found" => Ok(Datum::Null),
        Err(fault) => Err(fault),
    }
}

pub async fn create(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, name) = named(&context, &args, Access::Admin)?;
    let wanted = wanted(&context, &args.record("options"))?;
    let volumes = &context.primitives.volumes;
    if context.dry_run(&args) {
        volumes.check_new(&permit, &name, &wanted)?;
        return Ok(planned(&name, format!("make the volume {name}")));
    }
    Ok(with(&name, "volume", volume(volumes.create(&permit, &name, wanted).await?)))
}

pub async fn clone(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, to) = named(&context, &args, Access::Admin)?;
    let options = args.record("options");
    let wanted = wanted(&context, &options)?;
    let from = CloneFrom { name: name(&args, "from")?, snapshot: options.text("snapshot").map(str::to_owned) };
    let volumes = &context.primitives.volumes;
    if context.dry_run(&args) {
        volumes.get(&permit, &from.name)?;
        volumes.check_new(&permit, &to, &wanted)?;
        return Ok(planned(&to, format!("make the volume {to} as a copy of {}", from.name)));
    }
    Ok(with(&to, "volume", volume(volumes.clone_volume(&permit, &from, &to, wanted).await?)))
}

pub async fn resize(context: CallContext, args: Args) -> Result<Datum, Fault> {
    named(&context, &args, Access::Admin)?;
    let options = args.record("options");
    let changes = Changes {
        quota_bytes: whole(&context, &options, "quota_bytes")?,
        quota_inodes: whole(&context, &options, "quota_inodes")?,
        expires_in: None,
    };
    if changes == Changes::default() {
        let fault = Fault::new("args.value", format!("{}: there is nothing to change", context.name));
        return Err(fault.hint("name quota_bytes or quota_inodes"));
    }
    let size = changes.quota_bytes.map(|bytes| format!(" {} on disk", show_size(bytes)));
    let files = changes.quota_inodes.map(|files| format!(" {files} files and folders"));
    let plan = [size, files].into_iter().flatten().collect::<Vec<_>>().join(",");
    change(context, args, changes, format!("may hold{plan}")).await
}

pub async fn expire(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let after = args.duration("after");
    let plan = after.map_or("never expires".to_owned(), |after| format!("expires in {}", show_duration(after)));
    let changes = Changes { expires_in: Some(after), ..Changes::default() };
    change(context, args, changes, plan).await
}

pub async fn change(context: CallContext, args: Args, changes: Changes, plan: String) -> Result<Datum, Fault> {
    let (permit, name) = named(&context, &args, Access::Admin)?;
    let volumes = &context.primitives.volumes;
    if context.dry_run(&args) {
        volumes.get(&permit, &name)?;
        return Ok(planned(&name, format!("the volume {name} {plan}")));
    }
    Ok(with(&name, "volume", volume(volumes.change(&permit, &name, changes).await?)))
}

pub async fn snapshot(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, name) = named(&context, &args, Access::Write)?;
    let (volumes, made) = (&context.primitives.volumes, args.need("snapshot")?);
    if context.dry_run(&args) {
        check_snapshot(made)?;
        volumes.get(&permit, &name)?;
        return Ok(planned(&name, format!("keep the volume {name} as {made:?}")));
    }
    Ok(with(&name, "snapshot", kept(&volumes.snapshot(&permit, &name, made).await?)))
}

pub async fn remove_snapshot(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, name) = named(&context, &args, Access::Write)?;
    let (volumes, gone) = (&context.primitives.volumes, args.need("snapshot")?);
    if context.dry_run(&args) {
        volumes.get(&permit, &name)?;
        return Ok(planned(&name, format!("remove the snapshot {gone:?} of {name}")));
    }
    volumes.remove_snapshot(&permit, &name, gone).await?;
    Ok(done(&name))
}

pub async fn restore(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, name) = named(&context, &args, Access::Admin)?;
    let (volumes, back) = (&context.primitives.volumes, args.need("snapshot")?);
    if context.dry_run(&args) {
        volumes.get(&permit, &name)?;
        return Ok(planned(&name, format!("bring {name} back to {back:?}")));
    }
    Ok(with(&name, "volume", volume(volumes.restore(&permit, &name, back).await?)))
}

pub async fn delete(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, name) = named(&context, &args, Access::Admin)?;
    let (volumes, now) = (&context.primitives.volumes, args.record("options").flag("now"));
    if context.dry_run(&args) {
        volumes.get(&permit, &name)?;
        let how = if now { " for good" } else { "" };
        return Ok(planned(&name, format!("delete the volume {name}{how}")));
    }
    Ok(with(&name, "deleted", retired(&volumes.delete(&permit, &name, now).await?)))
}

pub async fn deleted(context: CallContext, _args: Args) -> Result<Datum, Fault> {
    let permit = permit::volumes(&context.run()?.grants);
    Ok(Datum::List(context.primitives.volumes.deleted(&permit)?.iter().map(retired).collect()))
}

pub async fn recover(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let permit = permit::volumes(&context.run()?.grants);
    let volumes = &context.primitives.volumes;
    let id = args.need("id")?;
    if context.dry_run(&args) {
        let known = volumes.deleted(&permit)?.into_iter().find(|deleted| deleted.id == id);
        let name = known.map_or_else(|| id.to_owned(), |deleted| deleted.name.to_string());
        return Ok(Datum::record([("name", name.into()), ("plan", "bring it back".into())]));
    }
    let back = volumes.recover(&permit, id).await?;
    let name = back.name.clone();
    Ok(with(&name, "volume", volume(back)))
}

pub async fn read(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, name) = named(&context, &args, Access::Read)?;
    let max = whole(&context, &args.record("options"), "max")?.unwrap_or(limits::VOLUME_FILE_BYTES_MAX);
    let path = args.need("path")?.to_owned();
    Ok(Datum::Bytes(context.primitives.volumes.read(&permit, &name, path, max).await?))
}

pub async fn write(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, name) = named(&context, &args, Access::Write)?;
    let (path, options) = (args.need("path")?.to_owned(), args.record("options"));
    let content = args.bytes("content").unwrap_or_default().to_vec();
    let mode = options.text("mode").unwrap_or("644");
    let mode = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o777).ok_or_else(|| {
        let message = format!("{}: option \"mode\" {mode:?} is no mode", context.name);
        Fault::new("args.value", message).hint("write up to three octal digits, such as \"640\"")
    })?;
    let overwrite = options.boolean("overwrite").unwrap_or(true);
    let how = WriteOptions { mode, overwrite, parents: options.flag("parents") };
    let volumes = &context.primitives.volumes;
    if context.dry_run(&args) {
        volumes.get(&permit, &name)?;
        let plan = format!("write {} to {path} in {name}", show_size(content.len() as u64));
        return Ok(planned(&name, plan));
    }
    volumes.write(&permit, &name, (path.clone(), content), how).await?;
    Ok(with(&name, "path", path.into()))
}

pub async fn files(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, name) = named(&context, &args, Access::Read)?;
    let path = args.text("path").unwrap_or_default().to_owned();
    Ok(Datum::List(context.primitives.volumes.files(&permit, &name, path).await?.into_iter().map(file).collect()))
}

pub async fn stat(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, name) = named(&context, &args, Access::Read)?;
    let path = args.need("path")?.to_owned();
    Ok(context.primitives.volumes.stat(&permit, &name, path).await?.map_or(Datum::Null, file))
}

pub async fn remove(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (permit, name) = named(&context, &args, Access::Write)?;
    let path = args.need("path")?.to_owned();
    let volumes = &context.primitives.volumes;
    if context.dry_run(&args) {
        volumes.get(&permit, &name)?;
        return Ok(planned(&name, format!("remove {path} from {name}")));
    }
    volumes.remove(&permit, &name, path.clone()).await?;
    Ok(with(&name, "path", path.into()))
}

fn done(name: &VolumeName) -> Datum {
    Datum::record([("name", name.as_str().into())])
}

fn with(name: &VolumeName, field: &str, value: Datum) -> Datum {
    Datum::record([("name", name.as_str().into()), (field, value)])
}

fn planned(name: &VolumeName, plan: String) -> Datum {
    with(name, "plan", plan.into())
}

fn volume(volume: Volume) -> Datum {
    Datum::record([
        ("name", volume.name.as_str().into()),
        ("id", volume.id.into()),
        ("created_at", Datum::Time(volume.created_at)),
        ("expires_at", volume.expires_at.map_or(Datum::Null, Datum::Time)),
        ("quota_bytes", count(volume.quota_bytes)),
        ("quota_inodes", count(volume.quota_inodes)),
        ("used_bytes", count(volume.used_bytes)),
        ("used_inodes", count(volume.used_inodes)),
        ("uid", count(volume.uid.into())),
        ("gid", count(volume.gid.into())),
        ("squash", volume.squash.as_str().into()),
        ("read_only", volume.read_only.into()),
        ("snapshots", Datum::List(volume.snapshots.iter().map(kept).collect())),
        ("folder", volume.folder.to_string_lossy().into_owned().into()),
        ("device", volume.mount.device.into()),
        ("mount_options", volume.mount.options.into()),
    ])
}

fn kept(snapshot: &Snapshot) -> Datum {
    Datum::record([
        ("name", snapshot.name.clone().into()),
        ("created_at", Datum::Time(snapshot.created_at)),
        ("bytes", count(snapshot.bytes)),
        ("entries", count(snapshot.entries)),
        ("shared", snapshot.shared.into()),
    ])
}

fn retired(deleted: &DeletedVolume) -> Datum {
    let time = |at: Timestamp| Datum::Time(at);
    Datum::record([
        ("id", deleted.id.clone().into()),
        ("name", deleted.name.as_str().into()),
        ("deleted_at", time(deleted.deleted_at)),
        ("purge_at", time(deleted.purge_at)),
    ])
}

fn file(entry: FileEntry) -> Datum {
    Datum::record([
        ("path", entry.path.into()),
        ("kind", entry.kind.into()),
        ("bytes", count(entry.bytes)),
        ("modified_at", Datum::Time(entry.modified_at)),
        ("mode", format!("{:04o}", entry.mode).into()),
    ])
}

fn count(number: u64) -> Datum {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}
