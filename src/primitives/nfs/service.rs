//! Executes calls: which program, which procedure, and what is noted about it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::audit::{Audit, AuditEvent};
use super::counters::{Counters, add};
use super::export::Exports;
use super::mount::{self, Mounts};
use super::v3::answer::Answer;
use super::v3::handle::HandleKey;
use super::v3::object::{Context, Patience};
use super::v3::procedure::Procedure;
use super::v3::{self};
use super::wire::auth::Credential;
use super::wire::rpc::{self, Accepted, Call, Reply};
use super::wire::xdr::Malformed;
use crate::base::limits;

/// What all connections share.
pub struct Service {
    pub exports: Exports,
    pub key: HandleKey,
    pub mounts: Mounts,
    pub counters: Counters,
    pub audit: Option<Arc<dyn Audit>>,
}

/// A call whose program, version and procedure there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Mount(mount::Procedure),
    Nfs(Procedure),
}

impl Operation {
    /// The procedure of a call, or the answer that there is none.
    pub fn of(call: &Call) -> Result<Self, Reply> {
        let known = match call.program {
            v3::PROGRAM if call.version == v3::VERSION => Procedure::from_number(call.procedure).map(Self::Nfs),
            mount::PROGRAM if call.version == mount::VERSION => {
                mount::Procedure::from_number(call.procedure).map(Self::Mount)
            }
            v3::PROGRAM => return Err(rpc::mismatch(call.xid, v3::VERSION)),
            mount::PROGRAM => return Err(rpc::mismatch(call.xid, mount::VERSION)),
            _ => return Err(rpc::stopped(call.xid, Accepted::ProgramUnavailable)),
        };
        known.ok_or_else(|| rpc::stopped(call.xid, Accepted::ProcedureUnavailable))
    }

    pub fn changes(self) -> bool {
        matches!(self, Self::Nfs(procedure) if procedure.changes())
    }

    /// See [`Procedure::is_quick`].
    pub fn is_quick(self, alone: bool) -> bool {
        matches!(self, Self::Nfs(procedure) if procedure.is_quick(alone))
    }

    /// The most that the answer can take.
    pub fn answer_bytes_max(self, arguments: &[u8]) -> usize {
        match self {
            Self::Nfs(procedure) => procedure.answer_bytes_max(arguments),
            Self::Mount(mount::Procedure::Dump) => limits::NFS_MOUNTS_MAX * (limits::NFS_EXPORT_PATH_BYTES_MAX + 64),
            Self::Mount(_) => limits::NFS_REPLY_HEAD_BYTES_MAX,
        }
    }
}

/// Whether the arguments could be read, and what the audit is told.
type Executed = (Result<(), Malformed>, Option<AuditEvent>);

impl Service {
    /// Executes a call; blocks for as long as that takes.
    pub fn answer(&self, peer: IpAddr, operation: Operation, call: &Call) -> Reply {
        let answered = self.execute(peer, operation, call, false);
        answered.unwrap_or_else(|| rpc::stopped(call.xid, Accepted::SystemError))
    }

    /// Executes a call unless it would have to wait for a disk; then nothing was done.
    pub fn answer_at_once(&self, peer: IpAddr, operation: Operation, call: &Call) -> Option<Reply> {
        self.execute(peer, operation, call, true)
    }

    fn execute(&self, peer: IpAddr, operation: Operation, call: &Call, at_once: bool) -> Option<Reply> {
        let start = Instant::now();
        let mut answer = Answer::new(rpc::accepted(call.xid, Accepted::Success, 512));
        let (executed, event) = match operation {
            Operation::Nfs(procedure) => self.nfs(peer, procedure, call, at_once, &mut answer)?,
            Operation::Mount(procedure) => self.mount(peer, procedure, call, &mut answer),
        };
        if executed.is_err() {
            add(&self.counters.malformed, 1);
            return Some(rpc::stopped(call.xid, Accepted::GarbageArguments));
        }
        let took = start.elapsed();
        if let Operation::Nfs(procedure) = operation {
            self.counters.count(procedure, answer.status, took);
            match procedure {
                Procedure::Read => add(&self.counters.bytes_read, answer.data.len() as u64),
                Procedure::Write if answer.status == 0 => {
                    add(&self.counters.bytes_written, call.arguments.len() as u64);
                }
                _ => {}
            }
        }
        if let Some((audit, event)) = self.audit.as_ref().zip(event) {
            audit.record(AuditEvent { status: answer.status, took, ..event });
        }
        Some(answer.into_reply())
    }

    /// None when the call would wait and must not.
    fn nfs(
        &self,
        peer: IpAddr,
        procedure: Procedure,
        call: &Call,
        at_once: bool,
        answer: &mut Answer,
    ) -> Option<Executed> {
        let patience = if at_once { Patience::none() } else { Patience::default() };
        let mut context = Context {
            exports: &self.exports,
            key: &self.key,
            peer,
            credential: &call.credential,
            export: None,
            patience: patience.clone(),
            file: None,
            name: None,
        };
        let executed = v3::execute(procedure, &mut context, &call.arguments, answer);
        if patience.is_over() {
            return None;
        }
        let event = self.audit.is_some().then(|| AuditEvent {
            export: context.export.as_ref().map(|export| export.path.clone()),
            file: context.file,
            name: context.name.take(),
            changes: procedure.changes(),
            ..self.event(peer, procedure.name(), call)
        });
        Some((executed, event))
    }

    fn mount(&self, peer: IpAddr, procedure: mount::Procedure, call: &Call, answer: &mut Answer) -> Executed {
        let mut context =
            mount::Context { exports: &self.exports, key: &self.key, mounts: &self.mounts, peer, path: None };
        let executed = mount::execute(procedure, &mut context, &call.arguments, answer);
        let event = self
            .audit
            .is_some()
            .then(|| AuditEvent { export: context.path.take(), ..self.event(peer, procedure.name(), call) });
        (executed, event)
    }

    fn event(&self, peer: IpAddr, operation: &'static str, call: &Call) -> AuditEvent {
        let claimed_uid = match call.credential {
            Credential::None => None,
            Credential::Unix { uid, .. } => Some(uid),
        };
        AuditEvent {
            peer,
            claimed_uid,
            export: None,
            operation,
            changes: false,
            file: None,
            name: None,
            status: 0,
            took: std::time::Duration::ZERO,
        }
    }
}
