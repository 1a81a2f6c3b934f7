//! Proofs that a run may do what it is about to do.
