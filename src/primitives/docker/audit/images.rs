//! Sections 4 and 6: images, and how many of everything there are.

use super::facts::{Facts, ImageFacts};
use super::rule::{AuditObject, Rule, Verdict, credentials, each, engine, text};

/// Containers that do not run and are still kept.
const STOPPED_KEPT_MAX: usize = 25;

const IMAGE: Rule = Rule {
    id: "",
    section: "Images and build files",
    title: "",
    level: 1,
    fires: Verdict::Warn,
    find: |_| Vec::new(),
    remedy: "",
};
const SPRAWL: Rule = Rule { section: "Operations", fires: Verdict::Info, ..IMAGE };

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "4.1",
        title: "Ensure that a user for the container has been created",
        find: |facts| {
            each(facts, |container| {
                let user = text(&container.raw, "/Config/User");
                let name = user.split(':').next().unwrap_or_default();
                matches!(name, "" | "root" | "0").then(|| "it runs as root".to_owned())
            })
        },
        remedy: "name a user in the image (USER), or when the container is made (user = \"1000:1000\")",
        ..IMAGE
    },
    Rule {
        id: "4.6",
        title: "Ensure that HEALTHCHECK instructions have been added to container images",
        find: |facts| {
            pictures(facts, |image| {
                let test = image.raw.pointer("/Config/Healthcheck").is_some_and(|check| !check.is_null());
                (!test).then(|| "it has no health check".to_owned())
            })
        },
        remedy: "add HEALTHCHECK to its Dockerfile",
        ..IMAGE
    },
    Rule {
        id: "4.7",
        title: "Ensure update instructions are not used alone in Dockerfiles",
        fires: Verdict::Info,
        find: |facts| {
            pictures(facts, |image| {
                let updates = ["apt-get update", "apk update", "yum update", "dnf update", "apt update"];
                let alone = |layer: &&String| {
                    updates.iter().any(|update| layer.contains(update))
                        && !layer.contains("install")
                        && !layer.contains(" add ")
                };
                image
                    .history
                    .iter()
                    .find(alone)
                    .map(|_| "a layer updates the list of packages and installs none".to_owned())
            })
        },
        remedy: "update and install in one instruction, so that an old list is never used from the cache",
        ..IMAGE
    },
    Rule {
        id: "4.9",
        title: "Ensure that COPY is used instead of ADD in Dockerfiles",
        fires: Verdict::Info,
        find: |facts| {
            pictures(facts, |image| {
                let count = image.history.iter().filter(|layer| is_add(layer)).count();
                (count > 0).then(|| format!("{count} layers were made by ADD"))
            })
        },
        remedy: "use COPY, which neither fetches nor unpacks; a base image's root file system is rightly an ADD",
        ..IMAGE
    },
    Rule {
        id: "4.10",
        title: "Ensure secrets are not stored in Dockerfiles",
        find: |facts| {
            pictures(facts, |image| credentials(&image.raw).map(|names| format!("its environment holds {names}")))
        },
        remedy: "take it out of the Dockerfile, give it when the container runs, and change the credential",
        ..IMAGE
    },
    Rule {
        id: "6.1",
        title: "Ensure that image sprawl is avoided",
        find: |facts| {
            let is_used = |image: &&ImageFacts| facts.images_used.iter().any(|id| id == text(&image.raw, "/Id"));
            let (all, used) = (facts.images.len(), facts.images.iter().filter(is_used).count());
            engine(used * 2 < all, format!("{used} of {all} images are used by a container"))
        },
        remedy: "aegis.docker.prune(\"images\", { all = true }) removes what no container uses",
        ..SPRAWL
    },
    Rule {
        id: "6.2",
        title: "Ensure that container sprawl is avoided",
        find: |facts| {
            let stopped = facts.containers_total.saturating_sub(facts.containers_running);
            engine(stopped > STOPPED_KEPT_MAX, format!("{stopped} containers are kept that do not run"))
        },
        remedy: "aegis.docker.prune(\"containers\") removes them",
        ..SPRAWL
    },
];

fn pictures(facts: &Facts, problem: impl Fn(&ImageFacts) -> Option<String>) -> Vec<AuditObject> {
    let found = |image: &ImageFacts| problem(image).map(|detail| AuditObject { name: image.name.clone(), detail });
    facts.images.iter().filter_map(found).collect()
}

/// Classic builds write `/bin/sh -c #(nop) ADD file:…`, others `ADD …`.
fn is_add(layer: &str) -> bool {
    layer.starts_with("ADD ") || layer.contains("#(nop) ADD ")
}
