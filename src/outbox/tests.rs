//! The queue on a real store, with a receiver that answers as it is told and a clock that is turned by hand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::courier::Courier;
use super::*;
use crate::base::{FakeClock, Timestamp};
use crate::model::Grants;
use crate::primitives::http::testing::{Answer, Server, answer};
use crate::primitives::notify::{Delivery, Notify, Outcome, Severity};
use crate::primitives::{self, Primitives, permit};
use crate::store::{Options, ParcelChange};

type Says = Arc<Mutex<Box<dyn Fn(usize) -> Answer + Send + Sync>>>;

struct Bed {
    courier: Courier,
    books: std::collections::HashMap<(String, String), plan::Sent>,
    hand: FakeClock,
    clock: Clock,
    server: Server,
    says: Says,
    folder: tempfile::TempDir,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

async fn open(folder: &tempfile::TempDir, clock: &Clock) -> (Store, CancellationToken, JoinSet<()>) {
    let url = format!("sqlite://{}/aegis.db", folder.path().display());
    let (store, writer) = Store::open(Options { url, node: "test".into() }, clock.clone()).await.expect("opens");
    let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
    let writes = stop.clone();
    tasks.spawn(async move { writer.run(writes).await.expect("ends well") });
    (store, stop, tasks)
}

impl Bed {
    /// `URL` in the routes is the receiver's.
    async fn new(routes: Value) -> Self {
        let noon: Timestamp = "2027-01-10T12:00:00Z".parse().expect("a time");
        let (clock, hand) = Clock::fake(noon);
        let says: Says = Arc::new(Mutex::new(Box::new(|_| answer(204, &[], ""))));
        let speaker = says.clone();
        let server = Server::start(move |number, _| speaker.lock().expect("not poisoned")(number)).await;
        let routes = routes.to_string().replace("URL", &server.url("/hook"));
        let routes = serde_json::from_str(&routes).expect("routes");
        let options = primitives::Options { clock: clock.clone(), routes, ..primitives::Options::default() };
        let notify = Primitives::new(options).expect("plain options").notify;
        let folder = tempfile::tempdir().expect("a folder");
        let (store, stop, tasks) = open(&folder, &clock).await;
        let notify = notify.kept_in(Arc::new(Outbox { store: store.clone(), clock: clock.clone() }));
        let courier = Courier { store, notify, clock: clock.clone() };
        Self { courier, books: Default::default(), hand, clock, server, says, folder, stop, tasks }
    }

    fn say(&self, says: impl Fn(usize) -> Answer + Send + Sync + 'static) {
        *self.says.lock().expect("not poisoned") = Box::new(says);
    }

    fn notify(&self) -> &Notify {
        &self.courier.notify
    }

    async fn send(&self, message: Message) -> Vec<Delivery> {
        let grants = Grants { notify: vec!["*".into()], ..Grants::default() };
        let permit = permit::notify(&grants, "ops").expect("a permit");
        self.notify().send(&permit, &message).await.expect("kept")
    }

    async fn tell(&self, title: &str, severity: Severity) {
        // Messages of one moment have no order.
        self.hand.advance(Duration::from_millis(1));
        let sent = self.send(Message { title: title.into(), severity, ..Message::default() }).await;
        assert!(sent.iter().all(|delivery| delivery.outcome == Outcome::Queued), "{sent:?}");
    }

    /// Carries all that is due.
    async fn carry(&mut self) {
        while self.courier.round(&mut self.books).await.expect("the store works") {}
    }

    async fn after(&mut self, seconds: u64) {
        self.hand.advance(Duration::from_secs(seconds));
        self.carry().await;
    }

    fn titles(&self) -> Vec<String> {
        self.server.asked().iter().map(|asked| asked.json()["title"].as_str().unwrap_or_default().to_owned()).collect()
    }

    async fn restart(&mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        let (store, stop, tasks) = open(&self.folder, &self.clock).await;
        let outbox = Outbox { store: store.clone(), clock: self.clock.clone() };
        self.courier.notify = self.courier.notify.clone().kept_in(Arc::new(outbox));
        (self.courier.store, self.stop, self.tasks) = (store, stop, tasks);
        self.books.clear();
    }

    async fn waiting(&self) -> (u64, u64) {
        let counts = self.courier.store.outbox_counts().await.expect("readable");
        (counts.waiting, counts.dead)
    }

    async fn kinds(&self) -> Vec<String> {
        let events = self.courier.store.events(0, 100).await.expect("readable");
        events.into_iter().map(|event| event.body.kind).collect()
    }
}

fn hook() -> Value {
    json!({ "ops": [{ "webhook": { "url": "URL" } }] })
}

#[tokio::test]
async fn a_message_is_kept_before_it_is_sent_and_gone_when_it_is_taken() {
    let mut bed = Bed::new(hook()).await;
    bed.tell("one", Severity::Info).await;
    assert_eq!((bed.titles().len(), bed.waiting().await), (0, (1, 0)));
    bed.carry().await;
    assert_eq!((bed.titles(), bed.waiting().await), (vec!["one".to_owned()], (0, 0)));
    assert_eq!(bed.kinds().await, ["notification.queued"]);
}

#[tokio::test]
async fn a_receiver_that_is_not_well_is_tried_again_after_a_restart_too() {
    let mut bed = Bed::new(hook()).await;
    bed.say(|number| if number < 2 { answer(503, &[], "") } else { answer(204, &[], "") });
    bed.tell("first", Severity::Warning).await;
    bed.tell("second", Severity::Warning).await;
    bed.carry().await;
    // The second waits for the first.
    assert_eq!(bed.titles(), ["first"]);
    bed.restart().await;
    bed.after(4).await;
    assert_eq!(bed.titles(), ["first"]);
    bed.after(1).await;
    assert_eq!(bed.titles(), ["first", "first"]);
    bed.after(9).await;
    assert_eq!(bed.titles().len(), 2);
    bed.after(1).await;
    assert_eq!(
        (bed.titles(), bed.waiting().await),
        (["first", "first", "first", "second"].map(Into::into).to_vec(), (0, 0))
    );
    let ids: Vec<_> = bed.server.asked().iter().map(|asked| asked.json()["id"].clone()).collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
}

#[tokio::test]
async fn the_patience_that_a_receiver_asks_for_is_kept_to() {
    let mut bed = Bed::new(hook()).await;
    bed.say(|number| if number == 0 { answer(429, &[("retry-after", "90")], "") } else { answer(204, &[], "") });
    bed.tell("one", Severity::Info).await;
    bed.carry().await;
    bed.after(89).await;
    assert_eq!(bed.titles().len(), 1);
    let row = &bed.courier.store.parcels().await.expect("readable")[0];
    assert_eq!(row.error.as_ref().map(|fault| fault.code.as_ref()), Some("notify.rate_limited"));
    bed.after(1).await;
    assert_eq!((bed.titles().len(), bed.waiting().await), (2, (0, 0)));
}

#[tokio::test]
async fn what_is_refused_for_good_is_dead_and_told_and_can_be_tried_again() {
    let mut bed = Bed::new(hook()).await;
    bed.say(|number| if number == 0 { answer(404, &[], "Unknown Webhook") } else { answer(204, &[], "") });
    bed.tell("bad", Severity::Critical).await;
    bed.tell("good", Severity::Info).await;
    bed.carry().await;
    assert_eq!((bed.titles(), bed.waiting().await), (vec!["bad".to_owned(), "good".to_owned()], (0, 1)));
    assert_eq!(bed.kinds().await, ["notification.queued", "notification.queued", "notification.dead"]);
    let dead = bed.courier.store.parcels().await.expect("readable").remove(0);
    assert!(dead.error.is_some_and(|fault| fault.message.ends_with("answered 404: Unknown Webhook")));
    let again = vec![(dead.id, ParcelChange::Again { at: bed.clock.now() })];
    let write = OutboxWrite { changes: again, ..OutboxWrite::default() };
    assert_eq!(bed.courier.store.outbox(write.clone()).await, Ok(1));
    assert_eq!(bed.courier.store.outbox(write).await, Ok(0), "it waits already");
    bed.carry().await;
    assert_eq!((bed.titles().len(), bed.waiting().await), (3, (0, 0)));
}

#[tokio::test]
async fn after_a_day_it_is_given_up() {
    let mut bed = Bed::new(hook()).await;
    bed.say(|_| answer(503, &[], ""));
    bed.tell("one", Severity::Info).await;
    bed.carry().await;
    for _ in 0..60 {
        bed.after(1_800).await;
    }
    let tries = bed.titles().len();
    assert_eq!(tries, 49, "one at once, then at most one in half an hour for a day");
    assert_eq!(bed.waiting().await, (0, 1));
    assert_eq!(bed.kinds().await.pop().as_deref(), Some("notification.dead"));
}

#[tokio::test]
async fn the_same_within_a_while_is_one_with_a_count() {
    let to = json!([{ "webhook": { "url": "URL" } }]);
    let mut bed = Bed::new(json!({ "ops": { "to": to, "group": "30s", "title": "[{{ count }}] {{ title }}" } })).await;
    for _ in 0..3 {
        bed.tell("disk is full", Severity::Warning).await;
    }
    bed.tell("disk is full", Severity::Critical).await;
    bed.send(Message { title: "another".into(), key: Some("disk".into()), ..Message::default() }).await;
    bed.send(Message { title: "other words".into(), key: Some("disk".into()), ..Message::default() }).await;
    bed.carry().await;
    assert_eq!((bed.titles().len(), bed.waiting().await), (0, (3, 0)));
    bed.after(30).await;
    let mut titles = bed.titles();
    titles.sort();
    assert_eq!(titles, ["[1] disk is full", "[2] other words (2 times)", "[3] disk is full (3 times)"]);
    bed.tell("disk is full", Severity::Warning).await;
    assert_eq!(bed.waiting().await, (1, 0), "what was sent is not joined any more");
}

#[tokio::test]
async fn more_than_a_destination_takes_is_told_in_one() {
    let rate = json!({ "messages": 3, "per": "1m" });
    let mut bed = Bed::new(json!({ "ops": [{ "webhook": { "url": "URL" }, "rate": rate }] })).await;
    for number in 0..5 {
        bed.tell(&format!("n{number}"), Severity::Info).await;
    }
    bed.tell("worst", Severity::Critical).await;
    bed.carry().await;
    assert_eq!(bed.titles(), ["worst", "n0", "4 notifications, more than this destination takes one by one"]);
    let text = bed.server.asked()[2].json()["text"].clone();
    assert_eq!(text, "info: n1\ninfo: n2\ninfo: n3\ninfo: n4");
    bed.tell("later", Severity::Info).await;
    bed.carry().await;
    bed.after(59).await;
    assert_eq!((bed.titles().len(), bed.waiting().await), (3, (1, 0)));
    bed.after(1).await;
    assert_eq!((bed.titles().pop().as_deref(), bed.waiting().await), (Some("later"), (0, 0)));
}

#[tokio::test]
async fn in_quiet_hours_only_what_is_critical_goes_out() {
    let quiet = json!({ "from": "13:00", "to": "15:30", "timezone": "Europe/Berlin" });
    let to = json!([{ "webhook": { "url": "URL" } }]);
    // It is noon in UTC, one o'clock in Berlin.
    let mut bed = Bed::new(json!({ "ops": { "to": to, "quiet": quiet } })).await;
    bed.tell("warning", Severity::Warning).await;
    bed.tell("critical", Severity::Critical).await;
    bed.carry().await;
    assert_eq!(bed.titles(), ["critical"]);
    bed.after(2 * 3_600 + 1_799).await;
    assert_eq!(bed.titles(), ["critical"]);
    bed.after(1).await;
    assert_eq!(bed.titles(), ["critical", "warning"]);
}

#[tokio::test]
async fn a_destination_that_is_gone_keeps_its_messages_for_people_to_see() {
    let bed = Bed::new(hook()).await;
    bed.tell("one", Severity::Info).await;
    let other = Bed::new(json!({ "ops": [] })).await;
    let mut books = Default::default();
    let courier =
        Courier { store: bed.courier.store.clone(), notify: other.courier.notify.clone(), clock: bed.clock.clone() };
    while courier.round(&mut books).await.expect("the store works") {}
    assert_eq!((bed.titles().len(), bed.waiting().await), (0, (0, 1)));
    let dead = bed.courier.store.parcels().await.expect("readable").remove(0);
    assert_eq!(dead.error.map(|fault| fault.code.into_owned()).as_deref(), Some("notify.destination_gone"));
}

#[tokio::test]
async fn the_task_carries_while_it_leads_and_nobody_waits_for_it() {
    let mut bed = Bed::new(hook()).await;
    let (candidate, leadership) = bed.courier.store.candidate();
    let courier =
        Courier { store: bed.courier.store.clone(), notify: bed.courier.notify.clone(), clock: bed.clock.clone() };
    let (stop, stands) = (bed.stop.clone(), bed.stop.clone());
    bed.tasks.spawn(async move { candidate.run(stands).await.expect("never fails") });
    bed.tasks.spawn(async move { courier.serve(leadership, stop).await.expect("never fails") });
    bed.tell("one", Severity::Info).await;
    for _ in 0..5_000 {
        if bed.waiting().await == (0, 0) {
            break;
        }
        bed.hand.advance(Duration::from_millis(20));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((bed.titles(), bed.waiting().await), (vec!["one".to_owned()], (0, 0)));
}
