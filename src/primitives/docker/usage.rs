//! Disk space that the engine takes.

use serde::Serialize;
use serde_json::Value;

use super::engine::Docker;
use super::error::DockerError;
use crate::base::limits;
use crate::model::grants::Access;
use crate::primitives::permit::DockerPermit;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiskUsage {
    pub images: UsageOfKind,
    pub containers: UsageOfKind,
    pub volumes: UsageOfKind,
    pub build_cache: UsageOfKind,
    pub total_bytes: u64,
    pub reclaimable_bytes: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct UsageOfKind {
    pub count: u64,
    /// In use.
    pub active: u64,
    pub size_bytes: u64,
    pub reclaimable_bytes: u64,
}

impl Docker {
    /// Slow on a busy host: the engine walks its volumes.
    pub async fn disk_usage(&self, permit: &DockerPermit) -> Result<DiskUsage, DockerError> {
        permit.check_any(Access::Read, "reading disk usage")?;
        let patient = self.with_deadline(self.deadline_or(4 * limits::DOCKER_CALL_TIMEOUT));
        Ok(usage(&patient.read("reading disk usage", "/system/df", &[]).await?))
    }
}

fn usage(raw: &Value) -> DiskUsage {
    let kinds = ["Image", "Container", "Volume", "BuildCache"].map(|kind| modern(raw, kind));
    let [images, containers, volumes, build_cache] = match kinds {
        [Some(images), Some(containers), Some(volumes), Some(cache)] => [images, containers, volumes, cache],
        _ => [images(raw), containers(raw), volumes(raw), build_cache(raw)],
    };
    let all = [images, containers, volumes, build_cache];
    DiskUsage {
        images,
        containers,
        volumes,
        build_cache,
        total_bytes: all.iter().map(|kind| kind.size_bytes).sum(),
        reclaimable_bytes: all.iter().map(|kind| kind.reclaimable_bytes).sum(),
    }
}

/// `ImageUsage: {TotalCount, ActiveCount, TotalSize, Reclaimable}`, since API 1.52.
fn modern(raw: &Value, kind: &str) -> Option<UsageOfKind> {
    let of = raw.get(format!("{kind}Usage")).filter(|of| of.is_object())?;
    let number = |key: &str| of.get(key).and_then(Value::as_u64).unwrap_or_default();
    Some(UsageOfKind {
        count: number("TotalCount"),
        active: number("ActiveCount"),
        size_bytes: number("TotalSize"),
        reclaimable_bytes: number("Reclaimable"),
    })
}

fn items<'a>(raw: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    raw.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// Unknown numbers are -1 in this API.
fn number(of: &Value, pointer: &str) -> u64 {
    of.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

fn images(raw: &Value) -> UsageOfKind {
    let size_bytes = number(raw, "/LayersSize");
    let in_use = |image: &&Value| number(image, "/Containers") > 0;
    let used: u64 = items(raw, "Images")
        .filter(in_use)
        .map(|image| number(image, "/Size").saturating_sub(number(image, "/SharedSize")))
        .sum();
    UsageOfKind {
        count: items(raw, "Images").count() as u64,
        active: items(raw, "Images").filter(in_use).count() as u64,
        size_bytes,
        reclaimable_bytes: size_bytes.saturating_sub(used),
    }
}

fn containers(raw: &Value) -> UsageOfKind {
    let runs = |container: &&Value| {
        matches!(container.get("State").and_then(Value::as_str), Some("running" | "paused" | "restarting"))
    };
    let all = || items(raw, "Containers");
    UsageOfKind {
        count: all().count() as u64,
        active: all().filter(runs).count() as u64,
        size_bytes: all().map(|container| number(container, "/SizeRw")).sum(),
        reclaimable_bytes: all().filter(|c| !runs(c)).map(|container| number(container, "/SizeRw")).sum(),
    }
}

fn volumes(raw: &Value) -> UsageOfKind {
    let in_use = |volume: &&Value| number(volume, "/UsageData/RefCount") > 0;
    let all = || items(raw, "Volumes");
    UsageOfKind {
        count: all().count() as u64,
        active: all().filter(in_use).count() as u64,
        size_bytes: all().map(|volume| number(volume, "/UsageData/Size")).sum(),
        reclaimable_bytes: all().filter(|v| !in_use(v)).map(|volume| number(volume, "/UsageData/Size")).sum(),
    }
}

fn build_cache(raw: &Value) -> UsageOfKind {
    let flag = |of: &Value, key: &str| of.get(key).and_then(Value::as_bool).unwrap_or_default();
    let all = || items(raw, "BuildCache").filter(|cache| !flag(cache, "Shared"));
    UsageOfKind {
        count: items(raw, "BuildCache").count() as u64,
        active: items(raw, "BuildCache").filter(|cache| flag(cache, "InUse")).count() as u64,
        size_bytes: all().map(|cache| number(cache, "/Size")).sum(),
        reclaimable_bytes: all().filter(|cache| !flag(cache, "InUse")).map(|cache| number(cache, "/Size")).sum(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_shapes_of_the_answer_are_read() {
        let old = json!({
            "LayersSize": 100,
            "Images": [{"Containers": 1, "Size": 60, "SharedSize": 10}, {"Containers": 0, "Size": 50, "SharedSize": -1}],
            "Containers": [{"State": "running", "SizeRw": 5}, {"State": "exited", "SizeRw": 7}],
            "Volumes": [{"UsageData": {"RefCount": 1, "Size": 11}}, {"UsageData": {"RefCount": 0, "Size": 13}}],
            "BuildCache": null
        });
        let usage_old = usage(&old);
        assert_eq!(usage_old.images, UsageOfKind { count: 2, active: 1, size_bytes: 100, reclaimable_bytes: 50 });
        assert_eq!(usage_old.containers.reclaimable_bytes, 7);
        assert_eq!((usage_old.total_bytes, usage_old.reclaimable_bytes), (136, 70));
        let kind = json!({"TotalCount": 3, "ActiveCount": 1, "TotalSize": 9, "Reclaimable": 4});
        let new = json!({"ImageUsage": kind, "ContainerUsage": kind, "VolumeUsage": kind, "BuildCacheUsage": kind});
        assert_eq!((usage(&new).total_bytes, usage(&new).images.count), (36, 3));
    }
}
