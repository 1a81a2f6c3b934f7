//! The composition root: builds every part in order and shuts down in reverse.
