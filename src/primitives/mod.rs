//! Rank 2: the safe primitives as plain services. No Lua, no axum, no store in them.
//!
//! Every privileged call takes a permit, and only [`permit`] makes permits, out of a run's grants.

pub mod docker;
pub mod http;
pub mod net;
pub mod notify;
pub mod option;
pub mod permit;

/// Every primitive a script can reach, built once by the composition root.
#[derive(Debug, Clone)]
pub struct Primitives {
    pub docker: docker::Docker,
    pub http: http::Http,
    pub notify: notify::Notify,
}
