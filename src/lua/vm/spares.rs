//! The VMs of runs that ended well, for the next runs of the same version. One set a lane.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use super::machine::Vm;
use crate::base::limits::{VM_RUNS_MAX, VM_SPARES_MAX};
use crate::base::{JobName, VersionHash};
use crate::lua::scope::RunScope;
use crate::model::Grants;

/// What two runs must have in common for a VM of the one to be used for the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    job: JobName,
    version: VersionHash,
    grants: Arc<Grants>,
    memory_bytes: usize,
    is_durable: bool,
}

/// The latest last.
#[derive(Debug, Default)]
pub struct Spares(RefCell<VecDeque<Spare>>);

#[derive(Debug)]
struct Spare {
    kind: Kind,
    vm: Vm,
}

impl Kind {
    pub fn of(version: VersionHash, scope: &RunScope) -> Self {
        Self {
            job: scope.job.clone(),
            version,
            grants: scope.grants.clone(),
            memory_bytes: scope.memory_bytes,
            is_durable: scope.durable.is_some(),
        }
    }
}

impl Spares {
    pub fn take(&self, kind: &Kind) -> Option<Vm> {
        let mut spares = self.0.borrow_mut();
        let index = spares.iter().rposition(|spare| spare.kind == *kind)?;
        spares.remove(index).map(|spare| spare.vm)
    }

    /// Keeps the VM of a run that ended well, if it can be made as new.
    pub fn keep(&self, kind: Kind, vm: Vm) {
        if vm.runs() >= VM_RUNS_MAX {
            return;
        }
        let Some(vm) = vm.renewed() else { return };
        let mut spares = self.0.borrow_mut();
        if spares.len() >= VM_SPARES_MAX {
            spares.pop_front();
        }
        spares.push_back(Spare { kind, vm });
    }

    pub fn clear(&self) {
        self.0.borrow_mut().clear();
    }

    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }
}
