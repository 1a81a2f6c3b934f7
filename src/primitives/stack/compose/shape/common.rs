//! Shapes that several keys share.

use super::Shape::{
    Any, Bool, Bytes, Either, Items, Named, Null, Number, Scalar, Switch, Text, TextOrNumber, Unique, Whole,
};
use super::{Fields, Names, Shape};

pub(super) const ANY: Shape = Any;
pub(super) const TEXT: Shape = Text;
pub(super) const SWITCH: Shape = Switch;
pub(super) const BOOL: Shape = Bool;
pub(super) const WHOLE: Shape = Whole;
pub(super) const NUMBER: Shape = Number;
pub(super) const BYTES: Shape = Bytes;
pub(super) const TEXT_OR_NUMBER: Shape = TextOrNumber;
pub(super) const NULL: Shape = Null;

pub(super) const TEXTS: Shape = Items(&TEXT);
pub(super) const UNIQUE_TEXTS: Shape = Unique(&TEXT);
pub(super) const TEXT_OR_TEXTS: Shape = Either(&[&TEXT, &UNIQUE_TEXTS]);

const SCALAR: Shape = Scalar;
const SCALARS_BY_NAME: Shape = Named(Names::Any, &SCALAR);
/// `environment`, `labels` and the like: a mapping, or a list of `key=value`.
pub(super) const PAIRS: Shape = Either(&[&SCALARS_BY_NAME, &UNIQUE_TEXTS]);

pub(super) const TEXTS_OR_NUMBERS: Shape = Unique(&TEXT_OR_NUMBER);
/// `driver_opts`.
pub(super) const OPTIONS: Shape = Named(Names::Any, &TEXT_OR_NUMBER);
pub(super) const ANYTHING_BY_NAME: Shape = Named(Names::Any, &ANY);

pub(super) const COMMAND: Shape = Either(&[&NULL, &TEXT, &TEXTS]);

const HOST_ADDRESSES: Shape = Either(&[&TEXT, &TEXTS]);
const HOSTS_BY_NAME: Shape = Named(Names::Any, &HOST_ADDRESSES);
pub(super) const HOSTS: Shape = Either(&[&HOSTS_BY_NAME, &UNIQUE_TEXTS]);

const ULIMIT_PAIR: Shape = Shape::Fields(&Fields {
    what: "limit",
    known: &[("hard", &WHOLE), ("soft", &WHOLE)],
    kept: &[],
    required: &["soft", "hard"],
});
const ULIMIT: Shape = Either(&[&WHOLE, &ULIMIT_PAIR]);
pub(super) const ULIMITS: Shape = Named(Names::SmallOrAny, &ULIMIT);

const FILE_MOUNT_LONG: Shape = Shape::Fields(&Fields {
    what: "mounted file",
    known: &[("source", &TEXT), ("target", &TEXT), ("uid", &TEXT), ("gid", &TEXT), ("mode", &NUMBER)],
    kept: &[],
    required: &[],
});
const FILE_MOUNT: Shape = Either(&[&TEXT, &FILE_MOUNT_LONG]);
/// `configs` and `secrets` of a service or of its build.
pub(super) const FILE_MOUNTS: Shape = Items(&FILE_MOUNT);

pub(super) const HOOK: Shape = Shape::Fields(&Fields {
    what: "hook",
    known: &[
        ("command", &COMMAND),
        ("user", &TEXT),
        ("privileged", &SWITCH),
        ("working_dir", &TEXT),
        ("environment", &PAIRS),
    ],
    kept: &[],
    required: &[],
});
pub(super) const HOOKS: Shape = Items(&HOOK);
