//! The gateway as its clients meet it.

mod files;
mod foreign;
mod fuzz;
mod hostile;
mod isolation;
mod mangle;
mod quota;
mod restart;
