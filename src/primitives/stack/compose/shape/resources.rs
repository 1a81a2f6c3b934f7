//! `networks`, `volumes`, `secrets` and `configs` at the top of a file.

use super::Shape::{self, Either, Items, Named};
use super::common::{ANYTHING_BY_NAME, NULL, OPTIONS, PAIRS, SWITCH, TEXT};
use super::{Fields, Names};

const EXTERNAL_NAME: Shape = Shape::Fields(&Fields {
    what: "reference to what is external",
    known: &[("name", &TEXT)],
    kept: &[],
    required: &[],
});
/// A boolean, or the old form with a name in it.
const EXTERNAL: Shape = Either(&[&SWITCH, &EXTERNAL_NAME]);
const EXTERNAL_ANY: Shape = Either(&[&SWITCH, &ANYTHING_BY_NAME]);

const TEXT_BY_NAME: Shape = Named(Names::Any, &TEXT);

const POOL: Shape = Shape::Fields(&Fields {
    what: "address pool",
    known: &[("subnet", &TEXT), ("ip_range", &TEXT), ("gateway", &TEXT), ("aux_addresses", &TEXT_BY_NAME)],
    kept: &[],
    required: &[],
});
const POOLS: Shape = Items(&POOL);

const IPAM: Shape = Shape::Fields(&Fields {
    what: "address management",
    known: &[("driver", &TEXT), ("config", &POOLS), ("options", &TEXT_BY_NAME)],
    kept: &[],
    required: &[],
});

const NETWORK_FIELDS: Shape = Shape::Fields(&Fields {
    what: "network",
    known: &[
        ("name", &TEXT),
        ("driver", &TEXT),
        ("driver_opts", &OPTIONS),
        ("ipam", &IPAM),
        ("external", &EXTERNAL),
        ("internal", &SWITCH),
        ("enable_ipv4", &SWITCH),
        ("enable_ipv6", &SWITCH),
        ("attachable", &SWITCH),
        ("labels", &PAIRS),
    ],
    kept: &[],
    required: &[],
});
const NETWORK: Shape = Either(&[&NULL, &NETWORK_FIELDS]);
pub(super) const NETWORKS: Shape = Named(Names::PlainOrAny, &NETWORK);

const VOLUME_FIELDS: Shape = Shape::Fields(&Fields {
    what: "volume",
    known: &[
        ("name", &TEXT),
        ("driver", &TEXT),
        ("driver_opts", &OPTIONS),
        ("external", &EXTERNAL),
        ("labels", &PAIRS),
    ],
    kept: &[],
    required: &[],
});
const VOLUME: Shape = Either(&[&NULL, &VOLUME_FIELDS]);
pub(super) const VOLUMES: Shape = Named(Names::Plain, &VOLUME);

const SECRET: Shape = Shape::Fields(&Fields {
    what: "secret",
    known: &[
        ("name", &TEXT),
        ("environment", &TEXT),
        ("file", &TEXT),
        ("external", &EXTERNAL_ANY),
        ("labels", &PAIRS),
        ("driver", &TEXT),
        ("driver_opts", &OPTIONS),
        ("template_driver", &TEXT),
    ],
    kept: &["content"],
    required: &[],
});
pub(super) const SECRETS: Shape = Named(Names::Plain, &SECRET);

const CONFIG: Shape = Shape::Fields(&Fields {
    what: "config",
    known: &[
        ("name", &TEXT),
        ("content", &TEXT),
        ("environment", &TEXT),
        ("file", &TEXT),
        ("external", &EXTERNAL_ANY),
        ("labels", &PAIRS),
        ("template_driver", &TEXT),
    ],
    kept: &[],
    required: &[],
});
pub(super) const CONFIGS: Shape = Named(Names::Plain, &CONFIG);
