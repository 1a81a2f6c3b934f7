//! Promises about time, with bounds that a debug build on a busy machine keeps; `benches/` has the real numbers.

use std::time::{Duration, Instant};

use crate::support::scripts::{doing, returning};
use crate::support::{TestApp, eventually, json};

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_among_a_thousand_scripts_is_live_soon() {
    let mut builder = TestApp::builder();
    for number in 0..1_000 {
        builder = builder.script(&format!("job_{number:04}.lua"), returning("1"));
    }
    let app = builder.start().await;
    app.api.job_appears("job_0999").await;
    let mut samples = Vec::new();
    for edit in 0..10 {
        app.write_script("job_0500.lua", &returning(&format!("'edit {edit}'")));
        let began = Instant::now();
        eventually("the edit runs", || async {
            (app.api.run_to_end("job_0500", json!({})).await["result"] == format!("edit {edit}")).then_some(())
        })
        .await;
        samples.push(began.elapsed());
    }
    samples.sort();
    assert!(samples[5] < Duration::from_secs(1), "{samples:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_stay_on_time_beside_scripts_that_compute() {
    let app = TestApp::builder()
        .script("burner.lua", doing("local n = 0 while true do n += 1 end"))
        .script("tick.lua", "return aegis.job { schedule = { every = '1s' }, run = function() return 1 end }")
        .start()
        .await;
    app.api.job_appears("burner").await;
    let burners = [app.api.trigger("burner", json!({})).await, app.api.trigger("burner", json!({})).await];
    for burner in &burners {
        app.api.reaches(burner, &["running"]).await;
    }
    let from = app.api.runs_of("tick").await.len();
    let runs = eventually("five more runs have ended", || async {
        let runs = app.api.runs_of("tick").await;
        (runs.iter().filter(|run| run["state"] == "succeeded").count() >= from + 5).then_some(runs)
    })
    .await;
    let time = |run: &serde_json::Value, key: &str| {
        run[key].as_str().and_then(|text| text.parse::<aegis::base::Timestamp>().ok())
    };
    for run in runs.iter().take(5) {
        let (due, began) =
            (time(&run["trigger"], "scheduled_for").expect("a due time"), time(run, "started_at").expect("it began"));
        let late = Duration::try_from(began.duration_since(due)).expect("it began when it was due");
        assert!(late < Duration::from_millis(500), "it began {late:?} late: {run}");
    }
    for burner in &burners {
        app.cli.ok(&["cancel", burner]).await;
        assert_eq!(app.api.ended(burner).await["state"], "cancelled");
    }
}
