//! Rank 0: what every other part may lean on. No Aegis concept lives here, only ids, time, limits, faults and tasks.

pub mod clock;
pub mod fault;
pub mod ids;
pub mod limits;
pub mod mask;
pub mod quantity;
pub mod suggest;
pub mod supervisor;

pub use clock::{Clock, FakeClock};
pub use fault::{Fault, ScriptPosition};
pub use ids::{JobName, RunId, VersionHash};
pub use mask::{MASK, Masker};
pub use secrecy::{ExposeSecret, SecretString};
pub use suggest::nearest;
pub use supervisor::Supervisor;

/// A moment in UTC. Stored as microseconds since the Unix epoch, shown as RFC 3339.
pub use jiff::Timestamp;
