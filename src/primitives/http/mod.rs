//! To be built.

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Http {}

/// As the configuration has it.
#[derive(Debug, Clone, Default)]
pub struct Options {}
