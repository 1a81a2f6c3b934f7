//! Durable runs, against a journal in memory and a clock that is turned by hand.

mod diverging;
mod hostile;
mod order;
mod programs;
mod replay;
mod settling;
mod support;
mod undo;
mod values;
mod waits;
