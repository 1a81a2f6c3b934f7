//! Rank 5: job files become a registry that changes as a whole or not at all.

mod bundling;
mod compile;
mod declare;
mod files;
mod gate;
mod loader;
mod policy;
mod publish;
mod registry;
mod scan;
mod site;
mod watch;

pub use compile::load_file;
pub use declare::{declare, warnings};
pub use gate::Gate;
pub use loader::{Handle, Loader, Options, Stopped};
pub use policy::{Capped, Policy, Report};
pub use registry::{Diagnostic, Job, Registry, Severity, Snapshot, Waiting};
pub use scan::{Scan, is_job, scan};
pub use site::Site;
pub use watch::{Touched, Watch};
