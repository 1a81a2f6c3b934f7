//! A stack as it is to be: typed, complete, and shown as Compose shows it.

mod build;
mod container;
mod deploy;
mod mount;
mod project;
mod resource;
mod scalar;
mod service;
mod values;

pub use build::Build;
pub use container::{
    Blkio, Credentials, Dependency, Develop, Device, DeviceRate, DeviceWeight, EnvFile, FileMount, HealthCheck, Hook,
    Logging, Watch,
};
pub use deploy::{
    Deploy, DeviceRequest, DiscreteResource, GenericResource, Placement, Preference, Resource, Resources,
    RestartPolicy, UpdatePolicy,
};
pub use mount::{BindOptions, Mount, Port, ServiceNetwork, TmpfsOptions, VolumeOptions};
pub use project::Project;
pub use resource::{FileObject, Ipam, Network, Pool, Volume};
pub use scalar::{Cpus, Extra, Hidden, HostsList, Span, Ulimit};
pub use service::Service;
