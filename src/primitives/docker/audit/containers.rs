//! Section 5: how containers run, and credentials in their environments.

use serde_json::Value;

use super::daemon::has_option;
use super::facts::{ContainerFacts, Facts};
use super::rule::{AuditObject, Rule, Verdict, credentials, each, flag, items, number, text, texts};
use crate::base::clock::since;
use crate::primitives::docker::containers::instant;

/// What the engine gives to every container.
const CAPABILITIES_USUAL: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
const FOLDERS_SENSITIVE: [&str; 9] = ["/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr", "/var/lib/docker"];
/// Restarts after which a failing container is left alone.
const RESTARTS_MAX: i64 = 5;
/// The least port that needs no rights.
const PORT_FREE_MIN: u16 = 1_024;
const IMAGE_AGE_DAYS_MAX: u64 = 90;

const RUNTIME: Rule = Rule {
    id: "",
    section: "Container runtime",
    title: "",
    level: 1,
    fires: Verdict::Warn,
    find: |_| Vec::new(),
    remedy: "",
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "5.2",
        title: "Ensure that, if applicable, an AppArmor profile is enabled",
        find: |facts| {
            each(facts, |container| {
                let profile = text(&container.raw, "/AppArmorProfile");
                let bare = has_option(facts, "apparmor") && matches!(profile, "" | "unconfined");
                bare.then(|| "no AppArmor profile holds it".to_owned())
            })
        },
        remedy: "take out security_opt apparmor=unconfined, or name a profile there",
        ..RUNTIME
    },
    Rule {
        id: "5.3",
        title: "Ensure that, if applicable, SELinux security options are set",
        level: 2,
        find: |facts| {
            each(facts, |container| {
                let bare = has_option(facts, "selinux") && text(&container.raw, "/ProcessLabel").is_empty();
                bare.then(|| "it has no SELinux label".to_owned())
            })
        },
        remedy: "take out security_opt label=disable",
        ..RUNTIME
    },
    Rule {
        id: "5.4",
        title: "Ensure that Linux kernel capabilities are restricted within containers",
        find: |facts| {
            each(facts, |container| {
                let more = texts(&container.raw, "/HostConfig/CapAdd")
                    .filter(|name| !CAPABILITIES_USUAL.contains(&name.trim_start_matches("CAP_")));
                said("it has besides the usual ones", more.collect())
            })
        },
        remedy: "drop all (cap_drop = { \"ALL\" }) and add only what the program needs",
        ..RUNTIME
    },
    Rule {
        id: "5.5",
        title: "Ensure that privileged containers are not used",
        find: |facts| on(facts, "/HostConfig/Privileged", "it has all rights of the host"),
        remedy: "make it anew without privileged; give single capabilities or devices instead",
        ..RUNTIME
    },
    Rule {
        id: "5.6",
        title: "Ensure sensitive host system directories are not mounted on containers",
        find: |facts| {
            each(facts, |container| {
                let folders = mounts(container).filter(|mount| FOLDERS_SENSITIVE.contains(&text(mount, "/Source")));
                said("it mounts", folders.map(source).collect())
            })
        },
        remedy: "mount the one file or folder that is needed, read-only",
        ..RUNTIME
    },
    Rule {
        id: "5.7",
        title: "Ensure sshd is not run within containers",
        find: |facts| {
            each(facts, |container| {
                let has = container.processes.iter().any(|process| process == "sshd");
                has.then(|| "an SSH server runs in it".to_owned())
            })
        },
        remedy: "take it out of the image; aegis.docker.exec runs commands in a container",
        ..RUNTIME
    },
    Rule {
        id: "5.8",
        title: "Ensure privileged ports are not mapped within containers",
        find: |facts| published(facts, "it has the ports", |_, port| port < PORT_FREE_MIN),
        remedy: "publish a port from 1024 up, or let a proxy hold the low one",
        ..RUNTIME
    },
    Rule {
        id: "5.9",
        title: "Ensure that only needed ports are open on the container",
        fires: Verdict::Info,
        find: |facts| published(facts, "it has the ports", |_, _| true),
        remedy: "publish only what is reached from outside; containers on one network need no published port",
        ..RUNTIME
    },
    Rule {
        id: "5.10",
        title: "Ensure that the host's network namespace is not shared",
        find: |facts| host_mode(facts, "/HostConfig/NetworkMode", "it is on the host's own network"),
        remedy: "put it on a network of its own and publish its ports",
        ..RUNTIME
    },
    Rule {
        id: "5.11",
        title: "Ensure that the memory usage for containers is limited",
        find: |facts| each(facts, |container| unset(container, &["/HostConfig/Memory"], "it has no memory limit")),
        remedy: "set mem_limit",
        ..RUNTIME
    },
    Rule {
        id: "5.12",
        title: "Ensure that CPU priority is set appropriately on containers",
        find: |facts| {
            let settings = ["/HostConfig/NanoCpus", "/HostConfig/CpuQuota", "/HostConfig/CpuShares"];
            each(facts, |container| unset(container, &settings, "it has neither a CPU limit nor a share"))
        },
        remedy: "set cpus or cpu_reservation",
        ..RUNTIME
    },
    Rule {
        id: "5.13",
        title: "Ensure that the container's root filesystem is mounted as read only",
        find: |facts| {
            each(facts, |container| {
                let writable = !flag(&container.raw, "/HostConfig/ReadonlyRootfs");
                writable.then(|| "its root can be written".to_owned())
            })
        },
        remedy: "set read_only = true, and tmpfs or volumes where it writes",
        ..RUNTIME
    },
    Rule {
        id: "5.14",
        title: "Ensure that incoming container traffic is bound to a specific host interface",
        find: |facts| {
            published(facts, "on every address of the host are", |address, _| matches!(address, "" | "0.0.0.0" | "::"))
        },
        remedy: "publish with an address: 127.0.0.1:8080:80",
        ..RUNTIME
    },
    Rule {
        id: "5.15",
        title: "Ensure that the 'on-failure' container restart policy is set to '5'",
        find: |facts| {
            each(facts, |container| {
                let policy = text(&container.raw, "/HostConfig/RestartPolicy/Name");
                let retries = number(&container.raw, "/HostConfig/RestartPolicy/MaximumRetryCount");
                let bounded = policy == "on-failure" && (1..=RESTARTS_MAX).contains(&retries);
                let endless = !bounded && !matches!(policy, "" | "no");
                endless.then(|| format!("its policy is {policy:?}, without an end"))
            })
        },
        remedy: "set restart = \"on-failure:5\"",
        ..RUNTIME
    },
    Rule {
        id: "5.16",
        title: "Ensure that the host's process namespace is not shared",
        find: |facts| host_mode(facts, "/HostConfig/PidMode", "it sees the host's processes"),
        remedy: "make it anew without pid = \"host\"",
        ..RUNTIME
    },
    Rule {
        id: "5.17",
        title: "Ensure that the host's IPC namespace is not shared",
        find: |facts| host_mode(facts, "/HostConfig/IpcMode", "it shares memory and semaphores with the host"),
        remedy: "make it anew without ipc = \"host\"",
        ..RUNTIME
    },
    Rule {
        id: "5.18",
        title: "Ensure that host devices are not directly exposed to containers",
        find: |facts| {
            each(facts, |container| {
                let devices = items(&container.raw, "/HostConfig/Devices").map(|device| text(device, "/PathOnHost"));
                said("it has the devices", devices.collect())
            })
        },
        remedy: "take out devices that it does not need; leave out m where it makes none",
        ..RUNTIME
    },
    Rule {
        id: "5.19",
        title: "Ensure that the default ulimit is overwritten at runtime if needed",
        fires: Verdict::Info,
        find: |facts| {
            each(facts, |container| {
                let limits = items(&container.raw, "/HostConfig/Ulimits").map(|limit| text(limit, "/Name"));
                said("it overrides", limits.collect())
            })
        },
        remedy: "see that each is meant so",
        ..RUNTIME
    },
    Rule {
        id: "5.20",
        title: "Ensure mount propagation mode is not set to shared",
        find: |facts| {
            each(facts, |container| {
                let shared =
                    mounts(container).filter(|mount| matches!(text(mount, "/Propagation"), "shared" | "rshared"));
                said("what is mounted there shows on the host", shared.map(source).collect())
            })
        },
        remedy: "leave the propagation at rprivate",
        ..RUNTIME
    },
    Rule {
        id: "5.21",
        title: "Ensure that the host's UTS namespace is not shared",
        find: |facts| host_mode(facts, "/HostConfig/UTSMode", "it can change the host's name"),
        remedy: "make it anew without uts = \"host\"",
        ..RUNTIME
    },
    Rule {
        id: "5.22",
        title: "Ensure the default seccomp profile is not disabled",
        find: |facts| {
            each(facts, |container| {
                let off = texts(&container.raw, "/HostConfig/SecurityOpt")
                    .any(|option| matches!(option, "seccomp=unconfined" | "seccomp:unconfined"));
                off.then(|| "every system call is open to it".to_owned())
            })
        },
        remedy: "take out security_opt seccomp=unconfined",
        ..RUNTIME
    },
    Rule {
        id: "5.23",
        title: "Ensure that docker exec commands are not used with the privileged option",
        level: 2,
        find: |facts| executed(facts, |execution| flag(execution, "/ProcessConfig/privileged")),
        remedy: "run it without privileged",
        ..RUNTIME
    },
    Rule {
        id: "5.24",
        title: "Ensure that docker exec commands are not used with the user=root option",
        level: 2,
        find: |facts| {
            executed(facts, |execution| {
                let user = text(execution, "/ProcessConfig/user");
                matches!(user.split(':').next(), Some("root" | "0"))
            })
        },
        remedy: "run it as the container's own user",
        ..RUNTIME
    },
    Rule {
        id: "5.25",
        title: "Ensure that cgroup usage is confirmed",
        find: |facts| {
            each(facts, |container| {
                let parent = text(&container.raw, "/HostConfig/CgroupParent");
                let odd = !matches!(parent, "" | "docker" | "/docker" | "system.slice");
                odd.then(|| format!("its limits are those of {parent:?}"))
            })
        },
        remedy: "make it anew without cgroup_parent, unless that group is meant",
        ..RUNTIME
    },
    Rule {
        id: "5.26",
        title: "Ensure that the container is restricted from acquiring additional privileges",
        find: |facts| {
            each(facts, |container| {
                let kept = texts(&container.raw, "/HostConfig/SecurityOpt").any(|option| {
                    matches!(option, "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true")
                });
                (!kept).then(|| "a program in it may gain rights (setuid)".to_owned())
            })
        },
        remedy: "set security_opt = { \"no-new-privileges:true\" }",
        ..RUNTIME
    },
    Rule {
        id: "5.27",
        title: "Ensure that container health is checked at runtime",
        find: |facts| {
            each(facts, |container| {
                let test = texts(&container.raw, "/Config/Healthcheck/Test").next();
                matches!(test, None | Some("NONE")).then(|| "nobody checks whether it works".to_owned())
            })
        },
        remedy: "give the image or the container a healthcheck",
        ..RUNTIME
    },
    Rule {
        id: "5.28",
        title: "Ensure that Docker commands always make use of the latest version of their image",
        fires: Verdict::Info,
        find: |facts| {
            each(facts, |container| {
                let of = |image: &&super::facts::ImageFacts| text(&image.raw, "/Id") == text(&container.raw, "/Image");
                let image = facts.images.iter().find(of)?;
                let days = since(facts.now, instant(image.raw.pointer("/Created"))?).as_secs() / 86_400;
                (days > IMAGE_AGE_DAYS_MAX).then(|| format!("its image is {days} days old"))
            })
        },
        remedy: "pull or build the image again, and make the container anew",
        ..RUNTIME
    },
    Rule {
        id: "5.29",
        title: "Ensure that the PIDs cgroup limit is used",
        find: |facts| {
            each(facts, |container| {
                let most = number(&container.raw, "/HostConfig/PidsLimit");
                (most <= 0).then(|| "it may start processes without end".to_owned())
            })
        },
        remedy: "set pids_limit",
        ..RUNTIME
    },
    Rule {
        id: "5.30",
        title: "Ensure that Docker's default bridge 'docker0' is not used",
        find: |facts| {
            each(facts, |container| {
                let bridged = container.raw.pointer("/NetworkSettings/Networks/bridge").is_some();
                bridged.then(|| "it is on the default bridge, with all others there".to_owned())
            })
        },
        remedy: "make a network for those that belong together",
        ..RUNTIME
    },
    Rule {
        id: "5.31",
        title: "Ensure that the host's user namespaces are not shared",
        find: |facts| host_mode(facts, "/HostConfig/UsernsMode", "its users are the host's"),
        remedy: "make it anew without userns_mode = \"host\"",
        ..RUNTIME
    },
    Rule {
        id: "5.32",
        title: "Ensure that the Docker socket is not mounted inside any containers",
        find: |facts| {
            each(facts, |container| {
                let sockets = mounts(container).filter(|mount| text(mount, "/Source").ends_with("docker.sock"));
                said("it is the host's master through", sockets.map(source).collect())
            })
        },
        remedy: "take it out: mounting it read-only does not limit what is asked through it",
        ..RUNTIME
    },
    Rule {
        id: "aegis.1",
        title: "Ensure that credentials are not visible in the environment of containers",
        find: |facts| {
            each(facts, |container| credentials(&container.raw).map(|names| format!("its environment holds {names}")))
        },
        remedy: "hand it over as a file (NAME_FILE and a read-only mount): an environment is seen by inspect and by children",
        ..RUNTIME
    },
];

fn said(what: &str, names: Vec<impl AsRef<str>>) -> Option<String> {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
}

fn on(facts: &Facts, pointer: &str, detail: &str) -> Vec<AuditObject> {
    each(facts, |container| flag(&container.raw, pointer).then(|| detail.to_owned()))
}

fn host_mode(facts: &Facts, pointer: &str, detail: &str) -> Vec<AuditObject> {
    each(facts, |container| (text(&container.raw, pointer) == "host").then(|| detail.to_owned()))
}

fn unset(container: &ContainerFacts, pointers: &[&str], detail: &str) -> Option<String> {
    pointers.iter().all(|pointer| number(&container.raw, pointer) <= 0).then(|| detail.to_owned())
}

fn mounts(container: &ContainerFacts) -> impl Iterator<Item = &Value> {
    items(&container.raw, "/Mounts").filter(|mount| text(mount, "/Type") == "bind")
}

fn source(mount: &Value) -> String {
    let access = if flag(mount, "/RW") { "writable" } else { "read-only" };
    format!("{} ({access})", text(mount, "/Source"))
}

fn published(facts: &Facts, what: &str, wanted: impl Fn(&str, u16) -> bool) -> Vec<AuditObject> {
    each(facts, |container| {
        let ports = container.raw.pointer("/NetworkSettings/Ports").and_then(Value::as_object);
        let bindings = ports.into_iter().flatten().flat_map(|(_, bindings)| bindings.as_array().into_iter().flatten());
        let shown = bindings.filter_map(|binding| {
            let (address, port) = (text(binding, "/HostIp"), text(binding, "/HostPort"));
            wanted(address, port.parse().ok()?).then(|| format!("{address}:{port}"))
        });
        said(what, shown.collect())
    })
}

fn executed(facts: &Facts, is_odd: impl Fn(&Value) -> bool) -> Vec<AuditObject> {
    each(facts, |container| {
        let odd = container.executions.iter().filter(|execution| is_odd(execution));
        said("it was done with", odd.map(|execution| text(execution, "/ProcessConfig/entrypoint")).collect())
    })
}
