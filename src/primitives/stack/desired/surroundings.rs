//! Networks and volumes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::labels::MAKER;
use super::{Label, Surrounding, long_hash};
use crate::primitives::stack::compose::Project;
use crate::primitives::stack::compose::model::{Network, Pool, Volume};

pub(super) fn networks(project: &Project) -> BTreeMap<String, Surrounding> {
    let made = project.networks.iter().map(|(key, network)| {
        let options = if network.external { Map::new() } else { network_options(network) };
        (network.name.clone(), surrounding(project, key, Label::Network, network.external, &network.labels, options))
    });
    made.collect()
}

pub(super) fn volumes(project: &Project) -> BTreeMap<String, Surrounding> {
    let made = project.volumes.iter().map(|(key, volume)| {
        let options = if volume.external { Map::new() } else { volume_options(volume) };
        (volume.name.clone(), surrounding(project, key, Label::Volume, volume.external, &volume.labels, options))
    });
    made.collect()
}

fn surrounding(
    project: &Project,
    key: &str,
    kind: Label,
    external: bool,
    own_labels: &BTreeMap<String, String>,
    mut options: Map<String, Value>,
) -> Surrounding {
    let mut labels = own_labels.clone();
    options.insert("labels".to_owned(), json!(labels));
    let hash = long_hash(&Value::Object(options.clone()));
    labels.insert(kind.key().to_owned(), key.to_owned());
    labels.insert(Label::Project.key().to_owned(), project.name.clone());
    labels.insert(Label::Version.key().to_owned(), MAKER.to_owned());
    labels.insert(Label::OwnHash.key().to_owned(), hash.clone());
    options.insert("labels".to_owned(), json!(labels));
    Surrounding { key: key.to_owned(), external, options, hash }
}

pub(in crate::primitives::stack) fn network_options(network: &Network) -> Map<String, Value> {
    let mut options = Map::new();
    let mut put = |key: &str, value: Value, is_said: bool| {
        if is_said {
            options.insert(key.to_owned(), value);
        }
    };
    put("driver", json!(network.driver), !network.driver.is_empty());
    put("driver_opts", json!(network.driver_opts), !network.driver_opts.is_empty());
    put("internal", json!(true), network.internal);
    put("attachable", json!(true), network.attachable);
    put("enable_ipv6", json!(true), network.enable_ipv6 == Some(true));
    put("ipam_driver", json!(network.ipam.driver), !network.ipam.driver.is_empty());
    let pools: Vec<Value> = network.ipam.config.iter().map(pool).collect();
    put("pools", json!(pools), !pools.is_empty());
    options
}

fn pool(pool: &Pool) -> Value {
    let text = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
    json!({
        "subnet": text(&pool.subnet),
        "gateway": text(&pool.gateway),
        "ip_range": text(&pool.ip_range),
        "aux_addresses": pool.aux_addresses,
    })
}

fn volume_options(volume: &Volume) -> Map<String, Value> {
    let mut options = Map::new();
    if !volume.driver.is_empty() {
        options.insert("driver".to_owned(), json!(volume.driver));
    }
    if !volume.driver_opts.is_empty() {
        options.insert("driver_opts".to_owned(), json!(volume.driver_opts));
    }
    options
}
