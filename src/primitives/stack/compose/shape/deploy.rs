//! `deploy` and `develop` of a service.

use super::Fields;
use super::Shape::{self, Either, Items, Word};
use super::common::{HOOK, NULL, NUMBER, PAIRS, SWITCH, TEXT, TEXT_OR_NUMBER, TEXTS, UNIQUE_TEXTS, WHOLE};

const ORDER: Shape = Word(&["start-first", "stop-first"]);

const UPDATE: Shape = Shape::Fields(&Fields {
    what: "update policy",
    known: &[
        ("parallelism", &WHOLE),
        ("delay", &TEXT),
        ("failure_action", &TEXT),
        ("monitor", &TEXT),
        ("max_failure_ratio", &NUMBER),
        ("order", &ORDER),
    ],
    kept: &[],
    required: &[],
});

const LIMITS: Shape = Shape::Fields(&Fields {
    what: "resource limit",
    known: &[("cpus", &NUMBER), ("memory", &TEXT), ("pids", &WHOLE)],
    kept: &[],
    required: &[],
});

const DISCRETE: Shape = Shape::Fields(&Fields {
    what: "discrete resource",
    known: &[("kind", &TEXT), ("value", &NUMBER)],
    kept: &[],
    required: &[],
});

const GENERIC: Shape = Shape::Fields(&Fields {
    what: "generic resource",
    known: &[("discrete_resource_spec", &DISCRETE)],
    kept: &[],
    required: &[],
});
const GENERICS: Shape = Items(&GENERIC);

const DEVICE: Shape =
    Shape::Fields(&Fields { what: "device request", known: DEVICE_KEYS, kept: &[], required: &["capabilities"] });
const DEVICES: Shape = Items(&DEVICE);
const DEVICE_KEYS: &[(&str, &Shape)] = &[
    ("capabilities", &UNIQUE_TEXTS),
    ("count", &TEXT_OR_NUMBER),
    ("device_ids", &UNIQUE_TEXTS),
    ("driver", &TEXT),
    ("options", &PAIRS),
];

const GPU: Shape = Shape::Fields(&Fields { what: "GPU request", known: DEVICE_KEYS, kept: &[], required: &[] });
const GPU_LIST: Shape = Items(&GPU);
const ALL: Shape = Word(&["all"]);
pub(super) const GPUS: Shape = Either(&[&ALL, &GPU_LIST]);

const RESERVATIONS: Shape = Shape::Fields(&Fields {
    what: "resource reservation",
    known: &[("cpus", &NUMBER), ("memory", &TEXT), ("generic_resources", &GENERICS), ("devices", &DEVICES)],
    kept: &["pids"],
    required: &[],
});

const RESOURCES: Shape = Shape::Fields(&Fields {
    what: "resources section",
    known: &[("limits", &LIMITS), ("reservations", &RESERVATIONS)],
    kept: &[],
    required: &[],
});

const RESTART: Shape = Shape::Fields(&Fields {
    what: "restart policy",
    known: &[("condition", &TEXT), ("delay", &TEXT), ("max_attempts", &WHOLE), ("window", &TEXT)],
    kept: &[],
    required: &[],
});

const PREFERENCE: Shape =
    Shape::Fields(&Fields { what: "placement preference", known: &[("spread", &TEXT)], kept: &[], required: &[] });
const PREFERENCES: Shape = Items(&PREFERENCE);

const PLACEMENT: Shape = Shape::Fields(&Fields {
    what: "placement",
    known: &[("constraints", &TEXTS), ("preferences", &PREFERENCES), ("max_replicas_per_node", &WHOLE)],
    kept: &[],
    required: &[],
});

const DEPLOY_FIELDS: Shape = Shape::Fields(&Fields {
    what: "deploy section",
    known: &[
        ("mode", &TEXT),
        ("endpoint_mode", &TEXT),
        ("replicas", &WHOLE),
        ("labels", &PAIRS),
        ("rollback_config", &UPDATE),
        ("update_config", &UPDATE),
        ("resources", &RESOURCES),
        ("restart_policy", &RESTART),
        ("placement", &PLACEMENT),
    ],
    kept: &[],
    required: &[],
});
pub(super) const DEPLOY: Shape = Either(&[&NULL, &DEPLOY_FIELDS]);

const ACTION: Shape = Word(&["rebuild", "sync", "restart", "sync+restart", "sync+exec"]);
const WATCH: Shape = Shape::Fields(&Fields {
    what: "watch rule",
    known: &[("ignore", &TEXTS), ("path", &TEXT), ("action", &ACTION), ("target", &TEXT), ("exec", &HOOK)],
    kept: &["include", "initial_sync"],
    required: &["path", "action"],
});
const WATCHES: Shape = Items(&WATCH);
const DEVELOP_FIELDS: Shape =
    Shape::Fields(&Fields { what: "develop section", known: &[("watch", &WATCHES)], kept: &[], required: &[] });
pub(super) const DEVELOP: Shape = Either(&[&NULL, &DEVELOP_FIELDS]);

const CHECK_TEST: Shape = Either(&[&TEXT, &TEXTS]);
pub(super) const HEALTHCHECK: Shape = Shape::Fields(&Fields {
    what: "healthcheck",
    known: &[
        ("disable", &SWITCH),
        ("interval", &TEXT),
        ("retries", &NUMBER),
        ("test", &CHECK_TEST),
        ("timeout", &TEXT),
        ("start_period", &TEXT),
        ("start_interval", &TEXT),
    ],
    kept: &[],
    required: &[],
});
