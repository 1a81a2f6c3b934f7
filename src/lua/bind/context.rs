//! What a call may use: plain, shared, `Send`.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::args::{Args, Datum};
use super::spec::Function;
use crate::base::{Clock, Fault, Timestamp, limits};
use crate::lua::durable::Given;
use crate::lua::scope::{LogSink, RunScope};
use crate::primitives::permit::Reach;
use crate::primitives::{Primitives, egress, http, sql};

/// Handed to every binding by the choke point, after phase, cancellation and deadline were checked.
#[derive(Debug, Clone)]
pub struct CallContext {
    pub clock: Clock,
    pub primitives: Arc<Primitives>,
    pub(in crate::lua) scope: Option<Arc<RunScope>>,
    /// Where lines go; None while `Engine::inspect` loads a file.
    pub log: Option<Arc<dyn LogSink>>,
    /// Cancelled with the run, or with the group of tasks that the call belongs to. The choke point listens already.
    pub cancel: CancellationToken,
    /// When the attempt's wall time is over; the choke point drops the call then, so a binding seldom needs it.
    pub deadline: Timestamp,
    /// What a durable run reads in place of the clock and the dice.
    pub given: Given,
    /// What the script holds open in data sources; it goes away with the VM.
    pub open: Arc<sql::Open>,
    /// The answers of services that it reads piece by piece.
    pub streams: Arc<http::Open>,
    /// The ways out of its executions.
    pub gates: Arc<egress::Open>,
    /// What level the call turns out to need.
    pub reach: Reach,
    /// As a script writes it: `aegis.docker.list`.
    pub name: Arc<str>,
    pub function: &'static Function,
}

impl CallContext {
    /// This moment, or the one that it was when a durable run came here first.
    pub fn now(&self) -> Timestamp {
        self.given.moment.unwrap_or_else(|| self.clock.now())
    }

    /// The run that calls. Functions of `Phase::Run` always have one.
    pub fn run(&self) -> Result<&RunScope, Fault> {
        self.scope.as_deref().ok_or_else(|| phase_fault(&self.name))
    }

    /// What the script may hold in memory.
    pub fn memory_bytes(&self) -> usize {
        self.scope.as_ref().map_or(limits::LOAD_MEMORY_BYTES_MAX, |scope| scope.memory_bytes)
    }

    /// Whether to plan only: the run is dry, or the call asks for it by itself or in one of its option tables.
    pub fn dry_run(&self, args: &Args) -> bool {
        let asked = |values: &std::collections::BTreeMap<String, Datum>| {
            matches!(values.get(super::spec::Field::DRY_RUN.name), Some(Datum::Bool(true)))
        };
        self.scope.as_ref().is_some_and(|scope| scope.dry_run)
            || asked(&args.0)
            || args.0.values().any(|value| matches!(value, Datum::Map(options) if asked(options)))
    }
}

pub(in crate::lua) fn phase_fault(name: &str) -> Fault {
    Fault::new("phase.load", format!("{name} cannot be called while the file is loaded"))
        .hint("loading only declares the job; move the call into run = function(ctx) … end")
}
