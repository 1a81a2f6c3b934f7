//! Images, and removing what is unused.

use super::changes::OPTIONS;
use super::create::{AUTH, POLICY};
use super::{ADMIN, CHANGE, Call, Field, Function, LOOK, Type, calls, transfers};
use crate::lua::bind::Record;

const TEXTS: Type = Type::List(&Type::String);
const IMAGE: Field = Field::required("image", Type::String, "`nginx:1.27`");

const PULL_OPTIONS: Record = Record {
    name: "DockerPullOptions",
    doc: "Whether and how to fetch.",
    fields: &[
        Field::optional("policy", POLICY, "always unless said otherwise"),
        Field::optional("platform", Type::String, "`linux/arm64`"),
        Field::optional("auth", Type::Record(&AUTH), "For the registry"),
        Field::optional("timeout", Type::Duration, "For all of it; 30m unless said otherwise"),
        Field::DRY_RUN,
    ],
};

const PULLED: Record = Record {
    name: "DockerPulled",
    doc: "An image after a pull.",
    fields: &[
        Field::required("image", Type::String, "Its name"),
        Field::optional("id", Type::String, "Its id; nil on a dry run that would fetch it"),
        Field::optional("digest", Type::String, "`repository@sha256:…`"),
        Field::required("pulled", Type::Boolean, "The registry was asked, or would be"),
        Field::required("changed", Type::Boolean, "Another image is there now than before"),
        Field::required("dry_run", Type::Boolean, "Nothing was changed"),
    ],
};

pub const PULL: Function = Function {
    name: "pull",
    doc: "Fetches an image; how far it is shows as the run's progress.",
    params: &[IMAGE, Field::optional("options", Type::Record(&PULL_OPTIONS), "Whether and how")],
    returns: Type::Record(&PULLED),
    call: Call::Async(|context, args| Box::pin(transfers::pull(context, args))),
    ..CHANGE
};

const PUSH_OPTIONS: Record = Record {
    name: "DockerPushOptions",
    doc: "Where to, and as whom.",
    fields: &[
        Field::optional("auth", Type::Record(&AUTH), "For the registry"),
        Field::optional("timeout", Type::Duration, "For all of it; 30m unless said otherwise"),
        Field::DRY_RUN,
    ],
};

pub const PUSH: Function = Function {
    name: "push",
    doc: "Sends an image to the registry that its name begins with; how far it is shows as the run's progress. \
          `details.digest` is what the registry calls it.",
    params: &[IMAGE, Field::optional("options", Type::Record(&PUSH_OPTIONS), "As whom")],
    call: Call::Async(|context, args| Box::pin(transfers::push(context, args))),
    ..CHANGE
};

const SCALARS: Type = Type::Map(&Type::OneOf(&[Type::String, Type::Number, Type::Boolean]));

const BUILD_OPTIONS: Record = Record {
    name: "DockerBuildOptions",
    doc: "What is built of what.",
    fields: &[
        Field::optional("context", Type::String, "A folder, as `root:path`; needs fs = { root = \"read\" }"),
        Field::optional("files", Type::Map(&Type::Bytes), "Contents by path; they win over those of the folder"),
        Field::optional("dockerfile", Type::String, "Its path in the context; Dockerfile unless said otherwise"),
        Field::optional("tag", TEXTS, "Names for the image"),
        Field::optional("args", SCALARS, "Values of its ARG instructions"),
        Field::optional("target", Type::String, "The stage to end with; the last unless said otherwise"),
        Field::optional("labels", SCALARS, "Labels for the image"),
        Field::optional("platform", Type::String, "`linux/arm64`; the engine's own unless said otherwise"),
        Field::optional("pull", Type::Boolean, "Fetch newer versions of base images"),
        Field::optional("no_cache", Type::Boolean, "Carry every instruction out again"),
        Field::optional("network", Type::String, "`none` or a network's name; `host` needs admin"),
        Field::optional("timeout", Type::Duration, "For all of it; 30m unless said otherwise"),
        Field::DRY_RUN,
    ],
};

const BUILT: Record = Record {
    name: "DockerBuilt",
    doc: "An image that was built.",
    fields: &[
        Field::optional("id", Type::String, "Its id; nil on a dry run"),
        Field::required("tags", TEXTS, "Its names"),
        Field::required("steps", Type::Integer, "Instructions of the Dockerfile"),
        Field::required("files", Type::Integer, "Files that were sent"),
        Field::required("bytes", Type::Integer, "And how large they are together"),
        Field::required("dry_run", Type::Boolean, "Nothing was built"),
        Field::required("warnings", TEXTS, "What was left out, and what the builder warns of"),
    ],
};

pub const BUILD: Function = Function {
    name: "build",
    doc: "Builds an image, leaving out what the context's .dockerignore names. What the builder prints is in the run's \
          log, and how far it is shows as the run's progress. Needs write on everything.",
    params: &[Field::required("options", Type::Record(&BUILD_OPTIONS), "What is built of what")],
    returns: Type::Record(&BUILT),
    call: Call::Async(|context, args| Box::pin(transfers::build(context, args))),
    ..CHANGE
};

const IMAGE_LIST_OPTIONS: Record = Record {
    name: "DockerImageListOptions",
    doc: "Which images.",
    fields: &[
        Field::optional("names", TEXTS, "Names or patterns of names, such as `nginx:*`"),
        Field::optional("dangling", Type::Boolean, "Only those without a name, or only those with one"),
    ],
};

const IMAGE_RECORD: Record = Record {
    name: "DockerImage",
    doc: "An image on the host.",
    fields: &[
        Field::required("id", Type::String, "Its id"),
        Field::required("tags", TEXTS, "`repository:tag`; none for a dangling image"),
        Field::required("digests", TEXTS, "`repository@sha256:…`"),
        Field::optional("created_at", Type::Time, "When it was built"),
        Field::required("size_bytes", Type::Integer, "With layers that it shares with others"),
        Field::required("dangling", Type::Boolean, "It has no name"),
        Field::required("labels", Type::Map(&Type::String), "By key"),
    ],
};

pub const IMAGES: Function = Function {
    name: "images",
    doc: "The images on the host, by name.",
    params: &[Field::optional("options", Type::Record(&IMAGE_LIST_OPTIONS), "Which; all unless said otherwise")],
    returns: Type::List(&Type::Record(&IMAGE_RECORD)),
    call: Call::Async(|context, args| Box::pin(calls::images(context, args))),
    ..LOOK
};

pub const TAG: Function = Function {
    name: "tag",
    doc: "Gives an image a further name, such as a backup tag before an update.",
    params: &[IMAGE, Field::required("name", Type::String, "`web:backup`"), OPTIONS],
    call: Call::Async(|context, args| Box::pin(calls::tag(context, args))),
    ..CHANGE
};

const REMOVE_IMAGE_OPTIONS: Record = Record {
    name: "DockerRemoveImageOptions",
    doc: "How far to go.",
    fields: &[
        Field::optional("force", Type::Boolean, "Take every name off it, and from under stopped containers"),
        Field::DRY_RUN,
    ],
};

pub const REMOVE_IMAGE: Function = Function {
    name: "remove_image",
    doc: "Takes a name off an image, and removes it with its last one.",
    params: &[IMAGE, Field::optional("options", Type::Record(&REMOVE_IMAGE_OPTIONS), "How far to go")],
    call: Call::Async(|context, args| Box::pin(calls::remove_image(context, args))),
    ..CHANGE
};

const PRUNE_OPTIONS: Record = Record {
    name: "DockerPruneOptions",
    doc: "What goes and what stays.",
    fields: &[
        Field::optional("all", Type::Boolean, "Images with a name, or volumes with one, too"),
        Field::optional("older_than", Type::Duration, "Only what was created (for containers: ended) longer ago"),
        Field::optional("labels", TEXTS, "`key` or `key=value`; all must fit"),
        Field::optional("keep", TEXTS, "Names or patterns that stay whatever happens"),
        Field::DRY_RUN,
    ],
};

const REMOVED: Record = Record {
    name: "DockerRemoved",
    doc: "Something that was removed, or would be.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        Field::required("id", Type::String, "Its id"),
        Field::required("size_bytes", Type::Integer, "What it took"),
    ],
};

const NOT_REMOVED: Record = Record {
    name: "DockerNotRemoved",
    doc: "Something that should have gone but did not.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        Field::required("problem", Type::String, "Why it stays"),
    ],
};

const PRUNED: Record = Record {
    name: "DockerPruned",
    doc: "What was removed, or on a dry run would be.",
    fields: &[
        Field::required("target", Type::String, "containers, images, volumes or networks"),
        Field::required("dry_run", Type::Boolean, "Nothing was changed"),
        Field::required("removed", Type::List(&Type::Record(&REMOVED)), "What went"),
        Field::required("failed", Type::List(&Type::Record(&NOT_REMOVED)), "What stays all the same"),
        Field::required("space_bytes", Type::Integer, "At most so much: layers that images share count with each"),
    ],
};

pub const PRUNE: Function = Function {
    name: "prune",
    doc: "Removes what no container uses, and containers that do not run.",
    params: &[
        Field::required("target", Type::Choice(&["containers", "images", "volumes", "networks"]), "Which kind"),
        Field::optional("options", Type::Record(&PRUNE_OPTIONS), "What goes and what stays"),
    ],
    returns: Type::Record(&PRUNED),
    permission: Some(ADMIN),
    call: Call::Async(|context, args| Box::pin(calls::prune(context, args))),
    ..CHANGE
};
