//! Secrets are taken out of what is written: the last place that every text passes on its way to disk.

use serde_json::Value;

use super::Command;
use crate::base::Masker;
use crate::model::alerts::Alert;
use crate::model::grants::CALLER;
use crate::model::metrics::Labels;
use crate::model::{Entry, LogLine, NewAudit, NewEvent, Run, TriggerKind};
use crate::store::outbox::{OutboxWrite, ParcelChange};
use crate::store::trust::TrustWrite;
use crate::store::types::{Artifact, Transition, WatchWrite};

impl Command {
    /// Names, keys and ids stay as they are: they are looked for. So does what scripts keep in the key-value store,
    /// which refuses secrets where it is called.
    pub fn mask(&mut self, masker: &Masker) {
        if masker.is_idle() {
            return;
        }
        match self {
            Self::Accept(new) => {
                run(masker, &mut new.run);
                events(masker, &mut new.events);
                text(masker, new.occurrence.as_mut().and_then(|occurrence| occurrence.reason.as_mut()));
            }
            Self::Transition(change) => transition(masker, change),
            Self::Start(start) => events(masker, &mut start.events),
            Self::Journal(write) => write.entries.iter_mut().for_each(|one| entry(masker, one)),
            Self::Signal(signal) => masker.json(&mut signal.payload),
            Self::Decide(decision) => text(masker, decision.comment.as_mut()),
            Self::PutArtifact(_, _, about, content) => artifact(masker, about, content),
            Self::Progress(update) => text(masker, update.progress.text.as_mut()),
            Self::Logs(_, lines) => lines.iter_mut().for_each(|one| line(masker, one)),
            Self::Events(told) | Self::PutVersion(_, told) | Self::SetEnabled(_, _, told) => events(masker, told),
            Self::Settle(occurrence, told) => {
                text(masker, occurrence.reason.as_mut());
                events(masker, told);
            }
            Self::Watch(write) => watch(masker, write),
            Self::Trust(write) => trust(masker, write),
            Self::Outbox(write) => outbox(masker, write),
            Self::WakeDue(..)
            | Self::Node(_)
            | Self::Miss(_)
            | Self::ScheduledUntil(..)
            | Self::Kv(_)
            | Self::PutToken(_)
            | Self::RevokeToken(..)
            | Self::PutSession(_)
            | Self::TakeSession(_)
            | Self::Remove(_)
            | Self::Ping
            | Self::Checkpoint => {}
        }
    }
}

fn text(masker: &Masker, text: Option<&mut String>) {
    if let Some(text) = text {
        masker.string(text);
    }
}

fn run(masker: &Masker, run: &mut Run) {
    masker.json(&mut run.params);
    // The rights of the job that started it bound this run when it is read again: with a part replaced by stars, which
    // are a pattern too, they would reach further than they did.
    let caller = run.trigger.payload.get_mut(CALLER).filter(|_| run.trigger.kind == TriggerKind::Job).map(Value::take);
    masker.json(&mut run.trigger.payload);
    if let (Some(caller), Some(payload)) = (caller, run.trigger.payload.as_object_mut()) {
        payload.insert(CALLER.to_owned(), caller);
    }
    text(masker, run.reason.as_mut());
}

fn transition(masker: &Masker, change: &mut Transition) {
    text(masker, change.reason.as_mut());
    change.result.iter_mut().for_each(|result| masker.json(result));
    change.error.iter_mut().for_each(|error| masker.fault(error));
    change.journal.iter_mut().for_each(|one| entry(masker, one));
    change.logs.iter_mut().for_each(|one| line(masker, one));
    events(masker, &mut change.events);
}

fn entry(masker: &Masker, entry: &mut Entry) {
    entry.result.iter_mut().for_each(|result| masker.json(result));
    entry.error.iter_mut().for_each(|error| masker.fault(error));
    entry.show.iter_mut().for_each(|show| masker.json(show));
}

/// Before the record is hashed.
fn audit(masker: &Masker, record: &mut NewAudit) {
    masker.string(&mut record.object);
    text(masker, record.permission.as_mut());
    masker.json(&mut record.data);
}

fn trust(masker: &Masker, write: &mut TrustWrite) {
    match write {
        TrustWrite::Audit(records) => records.iter_mut().for_each(|record| audit(masker, record)),
        TrustWrite::Approve(approval) => {
            let (_, record, event) = approval.as_mut();
            audit(masker, record);
            events(masker, std::slice::from_mut(event));
        }
        TrustWrite::Prune { .. } => {}
    }
}

fn outbox(masker: &Masker, write: &mut OutboxWrite) {
    write.add.iter_mut().for_each(|parcel| masker.json(&mut parcel.body));
    for (_, change) in &mut write.changes {
        match change {
            ParcelChange::Later { error: Some(error), .. } | ParcelChange::Dead { error, .. } => masker.fault(error),
            ParcelChange::Later { error: None, .. }
            | ParcelChange::Close
            | ParcelChange::Delivered
            | ParcelChange::Again { .. } => {}
        }
    }
    events(masker, &mut write.events);
}

fn line(masker: &Masker, line: &mut LogLine) {
    masker.string(&mut line.text);
    masker.json(&mut line.fields);
}

fn events(masker: &Masker, events: &mut [NewEvent]) {
    events.iter_mut().for_each(|event| masker.json(&mut event.data));
}

/// Whatever it is: one byte that is no text must not let a whole log through.
fn artifact(masker: &Masker, about: &mut Artifact, content: &mut bytes::Bytes) {
    masker.string(&mut about.name);
    masker.string(&mut about.media_type);
    if let std::borrow::Cow::Owned(masked) = masker.bytes(content) {
        about.bytes = masked.len() as u64;
        *content = masked.into();
    }
}

fn labels(masker: &Masker, labels: &mut Labels) {
    labels.values_mut().for_each(|value| masker.string(value));
}

fn watch(masker: &Masker, write: &mut WatchWrite) {
    let alert = |alert: &mut Alert| {
        masker.string(&mut alert.summary);
        masker.string(&mut alert.subject);
        labels(masker, &mut alert.labels);
        text(masker, alert.reason.as_mut());
    };
    write.samples.iter_mut().for_each(|sample| labels(masker, &mut sample.series.labels));
    write.alerts.iter_mut().for_each(alert);
    write.reports.iter_mut().for_each(|report| alert(&mut report.alert));
    write.acknowledged.iter_mut().for_each(|(_, seen)| masker.string(&mut seen.note));
    write.silences.iter_mut().for_each(|silence| masker.string(&mut silence.note));
    write.checks.iter_mut().for_each(|check| text(masker, check.problem.as_mut()));
    events(masker, &mut write.events);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::RunId;
    use crate::store::tests::support::{at, line, new_run, running, signal, step};

    fn masked(mut command: Command) -> String {
        let masker = Masker::default();
        assert!(masker.set(["hunter2-hunter2"]));
        command.mask(&masker);
        format!("{command:?}")
    }

    #[test]
    fn the_bounds_of_a_caller_are_kept_as_they_are() {
        let masker = Masker::default();
        assert!(masker.set(["example.com", "caller"]));
        let job = "a".parse().expect("a name");
        let grants = crate::model::Grants { http: vec!["api.example.com".into()], ..Default::default() };
        let mut run = running("b", 1);
        run.trigger = crate::model::Trigger::new(TriggerKind::Job, "job:a");
        run.trigger.payload = grants.as_caller(&job);
        let mut command = Command::Accept(Box::new(new_run(&run)));
        command.mask(&masker);
        let Command::Accept(new) = command else { panic!("it is the same command") };
        let bounds = crate::model::Grants::callers(&new.run.trigger.payload);
        assert_eq!(bounds[0].grants.http, ["api.example.com"]);
    }

    #[test]
    fn what_scripts_and_callers_write_is_masked() {
        let secret = || "so hunter2-hunter2 it is".to_owned();
        let value = || json!({ "k": [secret()] });
        let mut run = running("a", 1);
        run.params = value();
        run.trigger.payload = value();
        let event = NewEvent::new(at(1), "x").data(value());
        let text = bytes::Bytes::from(secret());
        let about = |bytes: &bytes::Bytes| Artifact {
            name: secret(),
            media_type: "text/plain".into(),
            bytes: bytes.len() as u64,
            created_at: at(1),
        };
        let mut logged = line(RunId::generate(), 1);
        (logged.text, logged.fields) = (secret(), value());
        let recorded = NewAudit {
            permission: Some(secret()),
            ..NewAudit::new(at(1), "job:a", "aegis.jobs.trigger", secret()).data(value())
        };
        let commands = [
            Command::Accept(Box::new(new_run(&run))),
            Command::Events(vec![event]),
            Command::Logs(None, vec![logged]),
            Command::Trust(Box::new(TrustWrite::Audit(vec![recorded]))),
            Command::Signal(crate::model::Signal { payload: value(), ..signal("x", 1) }),
            Command::PutArtifact(run.id, None, about(&text), text.clone()),
            Command::Journal(crate::store::JournalWrite {
                run: run.id,
                fence: 1,
                entries: vec![Entry { result: Some(value()), ..step("1", "s") }],
            }),
        ];
        for command in commands {
            let shown = masked(command);
            assert!(shown.contains("***") && !shown.contains("hunter2"), "{shown}");
        }
        let binary = bytes::Bytes::from([secret().as_bytes(), b"\xff"].concat());
        let shown = masked(Command::PutArtifact(run.id, None, about(&binary), binary));
        assert!(shown.contains("so *** it is\\xff"), "what is no text is masked as well: {shown}");
    }
}
