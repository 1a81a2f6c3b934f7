//! What older engines do not know. They would take such a field and drop it without a word.

use super::mounts::VolumeEntry;
use super::options::CreateOptions;
use crate::primitives::docker::engine::ApiVersion;

/// A warning for each field in use that came after `api`.
pub(super) fn warnings(options: &CreateOptions, api: ApiVersion) -> Vec<String> {
    let health = options.healthcheck.as_ref();
    let subpath = |entry: &VolumeEntry| match entry {
        VolumeEntry::Table(table) => table.volume.as_ref().is_some_and(|of| of.subpath.is_some()),
        VolumeEntry::Short(_) => false,
    };
    let table = [
        ("platform", ApiVersion(1, 41), options.platform.is_some(), "the engine's own platform is used"),
        ("annotations", ApiVersion(1, 43), !options.annotations.0.is_empty(), "the container has none"),
        (
            "healthcheck.start_interval",
            ApiVersion(1, 44),
            health.is_some_and(|health| health.start_interval.is_some()),
            "checks during the start come at the ordinary interval",
        ),
        ("networks.mac_address", ApiVersion(1, 44), options.networks.have_mac_addresses(), "the engine makes one up"),
        (
            "volumes.volume.subpath",
            ApiVersion(1, 45),
            options.volumes.iter().any(subpath),
            "the whole volume is mounted",
        ),
    ];
    let unknown = table.into_iter().filter(|(_, since, used, _)| *used && api < *since);
    unknown
        .map(|(field, since, _, instead)| {
            format!("{field} needs Docker API {since}, this engine has {api} and ignores it: {instead}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_beyond_the_engine_are_named() {
        let options: CreateOptions = serde_json::from_value(json!({
            "image": "web", "healthcheck": {"test": "true", "start_interval": "1s"}, "annotations": {"a": "b"},
            "networks": {"front": {"mac_address": "02:42:ac:11:00:02"}},
            "volumes": [{"type": "volume", "source": "d", "target": "/d", "volume": {"subpath": "x"}}]
        }))
        .expect("options");
        let old = warnings(&options, ApiVersion(1, 41));
        assert_eq!(old.len(), 4);
        assert!(old.iter().any(|text| text.starts_with("healthcheck.start_interval needs Docker API 1.44")));
        assert!(warnings(&options, ApiVersion(1, 45)).is_empty());
    }
}
