//! Versions and what is remembered of jobs.

use super::support::*;
use crate::base::VersionHash;
use crate::model::JobSpec;
use crate::store::*;

pub fn version(name: &str, source: &str, created: i64) -> ScriptVersion {
    ScriptVersion {
        hash: VersionHash::of([(name, source.as_bytes())]),
        job: job(name),
        spec: JobSpec::named(job(name)),
        files: vec![(format!("{name}.lua"), source.into()), ("lib/x.lua".into(), "return {}".into())],
        created_at: at(created),
    }
}

on_both! {
    a_job_points_to_its_current_version,
    the_last_of_several_versions_in_one_batch_is_current,
    settings_of_a_job_survive_new_versions,
}

async fn a_job_points_to_its_current_version(db: &mut Db) {
    let (one, two) = (version("web", "one", 10), version("web", "two", 20));
    db.store.put_version(one.clone(), vec![event("job.loaded")]).await.expect("written");
    db.store.put_version(two.clone(), vec![]).await.expect("written");
    db.store.put_version(version("api", "x", 15), vec![]).await.expect("written");
    assert_eq!(db.store.version(one.hash).await, Ok(Some(one.clone())));
    assert_eq!(db.store.versions(&job("web"), 10).await, Ok(vec![two.clone(), one.clone()]));
    let current = |jobs: Vec<JobRow>| jobs.into_iter().map(|row| (row.name, row.version)).collect::<Vec<_>>();
    let jobs = db.store.jobs().await.expect("readable");
    assert_eq!(jobs[1].first_seen, at(10));
    assert_eq!(current(jobs), [(job("api"), version("api", "x", 15).hash), (job("web"), two.hash)]);
    // Back to the first text: the same version becomes current again.
    db.store.put_version(ScriptVersion { created_at: at(30), ..one.clone() }, vec![]).await.expect("written");
    assert_eq!(db.store.jobs().await.map(|jobs| jobs[1].version), Ok(one.hash));
    assert_eq!(db.store.version(one.hash).await.map(|found| found.map(|found| found.created_at)), Ok(Some(at(10))));
}

async fn the_last_of_several_versions_in_one_batch_is_current(db: &mut Db) {
    let texts: Vec<ScriptVersion> = (0..20).map(|i| version("web", &format!("text {}", i % 7), i)).collect();
    let puts = texts.iter().map(|version| db.store.put_version(version.clone(), vec![]));
    for outcome in futures_util::future::join_all(puts).await {
        outcome.expect("written");
    }
    assert_eq!(db.store.jobs().await.map(|jobs| jobs[0].version), Ok(texts[19].hash));
    assert_eq!(db.store.versions(&job("web"), 100).await.map(|all| all.len()), Ok(7));
}

async fn settings_of_a_job_survive_new_versions(db: &mut Db) {
    let unknown = db.store.set_enabled(&job("web"), Some(false), vec![event("job.disabled")]).await;
    assert!(matches!(unknown, Err(StoreError::Refused { reason }) if reason.contains("web")));
    db.store.put_version(version("web", "one", 10), vec![]).await.expect("written");
    db.store.put_version(version("api", "one", 10), vec![]).await.expect("written");
    db.store.set_enabled(&job("web"), Some(false), vec![event("job.disabled")]).await.expect("written");
    db.store.set_scheduled_until(vec![job("web"), job("gone")], at(500)).await.expect("written");
    db.store.put_version(version("web", "two", 20), vec![]).await.expect("written");
    let jobs = db.store.jobs().await.expect("readable");
    assert_eq!((jobs[1].enabled, jobs[1].scheduled_until), (Some(false), Some(at(500))));
    assert_eq!((jobs[0].enabled, jobs[0].scheduled_until), (None, None));
    db.store.set_enabled(&job("web"), None, vec![]).await.expect("written");
    assert_eq!(db.store.jobs().await.map(|jobs| jobs[1].enabled), Ok(None));
    assert_eq!(db.store.events(0, 10).await.map(|events| events.len()), Ok(1));
}
