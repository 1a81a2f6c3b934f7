//! Durable runs, against a journal in memory and a clock that is turned by hand.

mod diverging;
mod hostile;
mod programs;
mod replay;
mod support;
mod undo;
mod values;
mod waits;
