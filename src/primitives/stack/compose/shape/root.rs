//! A whole file.

use super::Shape::{self, Either, Items, Named};
use super::common::{TEXT, TEXT_OR_TEXTS};
use super::resources::{CONFIGS, NETWORKS, SECRETS, VOLUMES};
use super::service::SERVICE;
use super::{Fields, Names};

const INCLUDE_LONG: Shape = Shape::Fields(&Fields {
    what: "inclusion",
    known: &[("path", &TEXT_OR_TEXTS), ("env_file", &TEXT_OR_TEXTS), ("project_directory", &TEXT)],
    kept: &[],
    required: &[],
});
const INCLUDE: Shape = Either(&[&TEXT, &INCLUDE_LONG]);
const INCLUDES: Shape = Items(&INCLUDE);

const SERVICES: Shape = Named(Names::Plain, &SERVICE);

pub(super) const ROOT: Shape = Shape::Fields(&Fields {
    what: "Compose file",
    known: &[
        ("version", &TEXT),
        ("name", &TEXT),
        ("include", &INCLUDES),
        ("services", &SERVICES),
        ("networks", &NETWORKS),
        ("volumes", &VOLUMES),
        ("secrets", &SECRETS),
        ("configs", &CONFIGS),
    ],
    kept: &["models"],
    required: &[],
});
