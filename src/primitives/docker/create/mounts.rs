//! Volumes, bind mounts and memory file systems, in Compose's two spellings.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    Mount, MountBindOptions, MountBindOptionsPropagationEnum, MountTmpfsOptions, MountType, MountVolumeOptions,
    MountVolumeOptionsDriverConfig,
};
use serde::Deserialize;

use crate::base::limits;
use crate::primitives::docker::error::DockerError;
use crate::primitives::docker::names::check_name;
use crate::primitives::docker::ports::table_or_short;
use crate::primitives::docker::volumes::{driver_name, needs_admin};
use crate::primitives::option::{Pairs, Size, Texts};

/// `"data:/var/lib/data:ro"`, `"/etc/app:/etc/app"`, `"/scratch"`; or a table.
#[derive(Debug, Clone)]
pub(in crate::primitives::docker) enum VolumeEntry {
    Short(String),
    Table(Box<VolumeTable>),
}

impl<'de> Deserialize<'de> for VolumeEntry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        table_or_short(deserializer, |table: VolumeTable| Self::Table(Box::new(table)), Self::Short)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::primitives::docker) struct VolumeTable {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    source: Option<String>,
    target: String,
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    pub(super) volume: Option<OfVolume>,
    #[serde(default)]
    tmpfs: Option<OfTmpfs>,
    #[serde(default)]
    bind: Option<OfBind>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OfBind {
    /// `rprivate`, `shared`, …
    propagation: Option<String>,
    /// Leaves out what is mounted below it on the host.
    non_recursive: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Volume,
    Bind,
    Tmpfs,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OfVolume {
    nocopy: bool,
    pub(super) subpath: Option<String>,
    driver: Option<String>,
    driver_opts: Pairs,
    labels: Pairs,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OfTmpfs {
    size: Option<Size>,
    /// As in `chmod`, read in octal: `1777`.
    mode: Option<u32>,
}

/// The mounts of a container in the engine's terms.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct MountPlan {
    pub(super) binds: Vec<String>,
    pub(super) mounts: Vec<Mount>,
    pub(super) tmpfs: HashMap<String, String>,
    pub(super) named: Vec<NamedVolume>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedVolume {
    pub(super) name: String,
    /// With its options, when the table says one.
    pub(super) driver: Option<(String, BTreeMap<String, String>)>,
}

pub(super) fn plan(volumes: &[VolumeEntry], tmpfs: &Texts) -> Result<MountPlan, DockerError> {
    if volumes.len() > limits::DOCKER_OPTION_ITEMS_MAX {
        return Err(DockerError::invalid(
            "volumes",
            format!("at most {} are possible", limits::DOCKER_OPTION_ITEMS_MAX),
        ));
    }
    let mut plan = MountPlan::default();
    for entry in volumes {
        match entry {
            VolumeEntry::Short(text) => plan.add_short(text)?,
            VolumeEntry::Table(table) => plan.add_table(table)?,
        }
    }
    for text in &tmpfs.0 {
        let (target, options) = text.split_once(':').unwrap_or((text, ""));
        plan.tmpfs.insert(absolute("tmpfs", target)?, options.to_owned());
    }
    Ok(plan)
}

impl MountPlan {
    fn add_short(&mut self, text: &str) -> Result<(), DockerError> {
        let bad = |why: String| DockerError::invalid("volumes", format!("{text:?}: {why}"));
        let parts: Vec<_> = text.split(':').collect();
        let (source, target, mode) = match parts.as_slice() {
            [target] => (None, *target, None),
            [source, target] => (Some(*source), *target, None),
            [source, target, mode] => (Some(*source), *target, Some(*mode)),
            _ => return Err(bad("write source:target or source:target:ro".into())),
        };
        let target = absolute("volumes", target)?;
        for flag in mode.into_iter().flat_map(|mode| mode.split(',')) {
            if !matches!(
                flag,
                "ro" | "rw" | "z" | "Z" | "nocopy" | "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave"
            ) {
                return Err(bad(format!("{flag:?} is not a mode such as \"ro\"")));
            }
        }
        let Some(source) = source else {
            self.mounts.push(Mount { typ: Some(MountType::VOLUME), target: Some(target), ..Mount::default() });
            return Ok(());
        };
        if !source.starts_with('/') {
            if source.starts_with(['.', '~']) {
                return Err(bad("a path on the host must be absolute".into()));
            }
            self.named.push(NamedVolume { name: check_name("volumes", source)?.to_owned(), driver: None });
        }
        self.binds.push(match mode {
            Some(mode) => format!("{source}:{target}:{mode}"),
            None => format!("{source}:{target}"),
        });
        Ok(())
    }

    fn add_table(&mut self, table: &VolumeTable) -> Result<(), DockerError> {
        let target = absolute("volumes.target", &table.target)?;
        let mut mount = Mount { target: Some(target.clone()), read_only: Some(table.read_only), ..Mount::default() };
        let stray =
            |field: &str, kind: &str| Err(DockerError::invalid(field, format!("it belongs to the type {kind:?}")));
        match table.kind {
            Kind::Volume if table.tmpfs.is_some() => return stray("volumes.tmpfs", "tmpfs"),
            Kind::Bind | Kind::Tmpfs if table.volume.is_some() => return stray("volumes.volume", "volume"),
            Kind::Bind if table.tmpfs.is_some() => return stray("volumes.tmpfs", "tmpfs"),
            Kind::Volume | Kind::Tmpfs if table.bind.is_some() => return stray("volumes.bind", "bind"),
            Kind::Volume => {
                mount.typ = Some(MountType::VOLUME);
                mount.source = table.source.clone();
                let of = table.volume.clone().unwrap_or_default();
                if let Some(name) = &table.source {
                    let has_driver = of.driver.is_some() || !of.driver_opts.0.is_empty();
                    let driver = has_driver.then(|| (driver_name(of.driver.as_deref()), of.driver_opts.0.clone()));
                    self.named.push(NamedVolume { name: check_name("volumes.source", name)?.to_owned(), driver });
                }
                mount.volume_options = table.volume.is_some().then(|| volume_options(of));
            }
            Kind::Bind => {
                let source = table.source.as_deref().unwrap_or_default();
                mount.typ = Some(MountType::BIND);
                mount.source = Some(absolute("volumes.source", source)?);
                mount.bind_options = table.bind.as_ref().map(bind_options).transpose()?;
            }
            Kind::Tmpfs => {
                mount.typ = Some(MountType::TMPFS);
                let of = table.tmpfs.clone().unwrap_or_default();
                let mode = of.mode.map(|mode| i64::from_str_radix(&mode.to_string(), 8)).transpose();
                mount.tmpfs_options = Some(MountTmpfsOptions {
                    size_bytes: of.size.and_then(|size| i64::try_from(size.0).ok()),
                    mode: mode.map_err(|_| DockerError::invalid("volumes.tmpfs.mode", "write it as in chmod: 1777"))?,
                    options: None,
                });
            }
        }
        self.mounts.push(mount);
        Ok(())
    }

    /// Whether a path of the host is mounted, by whatever means.
    pub(super) fn reaches_host(&self) -> bool {
        let is_bind = |mount: &Mount| mount.typ == Some(MountType::BIND);
        let by_driver = |volume: &NamedVolume| {
            let driver = volume.driver.as_ref();
            driver.is_some_and(|(driver, options)| needs_admin(driver, options))
        };
        self.binds.iter().any(|bind| bind.starts_with('/'))
            || self.mounts.iter().any(|mount| is_bind(mount) || anonymous_on_host(mount))
            || self.named.iter().any(by_driver)
    }
}

/// An anonymous volume has no name to be listed under, yet may carry driver options.
fn anonymous_on_host(mount: &Mount) -> bool {
    let driver = mount.volume_options.as_ref().and_then(|options| options.driver_config.as_ref());
    driver.is_some_and(|config| {
        let options = config.options.clone().unwrap_or_default().into_iter().collect();
        needs_admin(config.name.as_deref().unwrap_or_default(), &options)
    })
}

fn bind_options(of: &OfBind) -> Result<MountBindOptions, DockerError> {
    use MountBindOptionsPropagationEnum as P;
    let propagation = match of.propagation.as_deref() {
        None => None,
        Some("private") => Some(P::PRIVATE),
        Some("rprivate") => Some(P::RPRIVATE),
        Some("shared") => Some(P::SHARED),
        Some("rshared") => Some(P::RSHARED),
        Some("slave") => Some(P::SLAVE),
        Some("rslave") => Some(P::RSLAVE),
        Some(other) => {
            let known = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];
            let near = crate::base::suggest::did_you_mean(other, known);
            let problem = format!("{other:?} is no way to propagate mounts{near}");
            return Err(DockerError::invalid("volumes.bind.propagation", problem));
        }
    };
    let non_recursive = of.non_recursive.then_some(true);
    Ok(MountBindOptions { propagation, non_recursive, ..MountBindOptions::default() })
}

fn volume_options(of: OfVolume) -> MountVolumeOptions {
    let map = |pairs: Pairs| Some(pairs.0.into_iter().collect::<HashMap<_, _>>()).filter(|map| !map.is_empty());
    let has_driver = of.driver.is_some() || !of.driver_opts.0.is_empty();
    MountVolumeOptions {
        no_copy: of.nocopy.then_some(true),
        labels: map(of.labels),
        driver_config: has_driver.then(|| MountVolumeOptionsDriverConfig {
            name: Some(driver_name(of.driver.as_deref())),
            options: map(of.driver_opts),
        }),
        subpath: of.subpath,
    }
}

fn absolute(field: &str, path: &str) -> Result<String, DockerError> {
    if path.starts_with('/') && !path.contains('\0') {
        return Ok(path.to_owned());
    }
    Err(DockerError::invalid(field, format!("{path:?} is not an absolute path")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn planned(volumes: Value) -> Result<MountPlan, String> {
        let entries: Vec<VolumeEntry> = serde_json::from_value(volumes).map_err(|error| error.to_string())?;
        plan(&entries, &Texts::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn short_spellings_are_sorted_into_kinds() {
        let plan = planned(json!(["data:/var/lib:ro", "/etc/app:/etc/app", "/scratch"])).expect("a plan");
        assert_eq!(plan.binds, ["data:/var/lib:ro", "/etc/app:/etc/app"]);
        assert_eq!(plan.mounts.len(), 1);
        assert_eq!(plan.named, [NamedVolume { name: "data".into(), driver: None }]);
        assert!(plan.reaches_host());
        assert!(!planned(json!(["data:/var/lib", "/scratch"])).expect("a plan").reaches_host());
        for bad in ["./x:/y", "~/x:/y", "a:b", "a:/b:rx", "a:/b:ro:z", "../x:/y", ""] {
            assert!(planned(json!([bad])).is_err(), "{bad}");
        }
    }

    #[test]
    fn tables_carry_driver_options() {
        let nfs = json!({"type": "volume", "source": "ws", "target": "/ws", "volume": {"driver_opts":
            {"type": "nfs", "o": "addr=10.0.0.5,nfsvers=3", "device": ":/t/v"}}});
        let plan = planned(json!([nfs])).expect("a plan");
        assert_eq!(plan.named[0].driver.as_ref().map(|(driver, _)| driver.as_str()), Some("local"));
        assert!(!plan.reaches_host());
        let host = json!({"type": "volume", "target": "/ws", "volume": {"driver_opts": {"type": "none", "o": "bind", "device": "/"}}});
        assert!(planned(json!([host])).expect("a plan").reaches_host(), "an anonymous volume over the host's root");
        for source in [json!("web-x"), Value::Null] {
            let empty = json!({"type": "volume", "source": source, "target": "/ws", "volume": {"driver": "",
                "driver_opts": {"type": "none", "o": "bind", "device": "/"}}});
            let plan = planned(json!([empty])).expect("a plan");
            assert!(plan.reaches_host(), "an empty driver is the local one");
            assert!(plan.mounts[0].volume_options.as_ref().is_some_and(|options| {
                options.driver_config.as_ref().is_some_and(|config| config.name.as_deref() == Some("local"))
            }));
        }
        assert!(planned(json!([{"type": "bind", "source": "/x", "target": "/y"}])).expect("a plan").reaches_host());
    }

    #[test]
    fn tables_refuse_what_does_not_fit() {
        assert!(planned(json!([{"type": "bind", "source": "x", "target": "/y"}])).is_err());
        assert!(planned(json!([{"type": "tmpfs", "target": "/y", "volume": {}}])).is_err());
        assert!(planned(json!([{"type": "tmpfs", "target": "/y", "size": 5}])).is_err());
        assert!(planned(json!([{"type": "volume", "target": "/y", "bind": {}}])).is_err());
        let bind = |propagation| json!([{"type": "bind", "source": "/x", "target": "/y", "bind": {"propagation": propagation}}]);
        assert!(planned(bind("rsharde")).is_err_and(|problem| problem.contains("rshared")));
        assert!(planned(bind("rslave")).expect("a plan").mounts[0].bind_options.is_some());
        let sized =
            planned(json!([{"type": "tmpfs", "target": "/y", "tmpfs": {"size": "1m", "mode": 1777}}])).expect("a plan");
        let options = sized.mounts[0].tmpfs_options.clone().expect("options");
        assert_eq!((options.size_bytes, options.mode), (Some(1 << 20), Some(0o1777)));
    }
}
