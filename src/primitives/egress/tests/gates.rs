//! Places for ways out, without a Docker Engine.

use std::sync::Arc;

use super::{Nobody, peers};
use crate::base::{Clock, RunId, limits};
use crate::primitives::docker::{self, Docker};
use crate::primitives::egress::gate::Gate;
use crate::primitives::egress::{Attempt, Egress, EgressError, Open, Options};

fn egress() -> Egress {
    let docker = Docker::new(docker::Options { host: "unix:///nonexistent".into(), clock: Clock::system() });
    let options = Options { enabled: true, ..Options::default() };
    Egress::new(options, Arc::default(), docker, Arc::new(Nobody), Clock::system())
}

#[test]
fn one_run_takes_a_few_places_and_all_together_not_many_more() {
    let egress = egress();
    let mut places = Vec::new();
    for _ in 0..limits::EGRESS_GATES_MAX / limits::EGRESS_GATES_OF_RUN_MAX {
        let attempt = Attempt { run: RunId::generate(), number: 1 };
        for _ in 0..limits::EGRESS_GATES_OF_RUN_MAX {
            places.push(egress.reserve(attempt).expect("a place"));
        }
        assert!(matches!(egress.reserve(attempt), Err(EgressError::TooManyOfRun | EgressError::TooMany)));
    }
    let other = Attempt { run: RunId::generate(), number: 1 };
    assert!(matches!(egress.reserve(other), Err(EgressError::TooMany)));
    places.truncate(limits::EGRESS_GATES_OF_RUN_MAX);
    assert!(egress.reserve(other).is_ok());
}

#[tokio::test]
async fn what_cannot_be_held_in_is_closed() {
    let egress = egress();
    let attempt = Attempt { run: RunId::generate(), number: 1 };
    let (place, opening) = (egress.reserve(attempt).expect("a place"), egress.reserve(attempt).expect("a place"));
    let id = place.id.clone();
    place.fill(Gate::that_cannot_be_held(attempt, peers(), Clock::system()));
    assert!(egress.find(attempt.run, &id).is_ok());
    egress.hold().await;
    assert!(matches!(egress.find(attempt.run, &id), Err(EgressError::Unknown(_))));
    assert_eq!(egress.gates().keys().collect::<Vec<_>>(), [&opening.id]);
}

#[test]
fn what_a_script_has_let_out_is_closed_when_its_machine_goes() {
    let (egress, open) = (egress(), Open::default());
    let attempt = Attempt { run: RunId::generate(), number: 1 };
    let (own, other) = (egress.reserve(attempt).expect("a place"), egress.reserve(attempt).expect("a place"));
    open.add(&egress, &own.id);
    assert_eq!(egress.statistics().map(|found| (found.gates, found.connections)), Some((2, 0)));
    drop(open);
    assert_eq!(egress.gates().keys().collect::<Vec<_>>(), [&other.id]);
}
