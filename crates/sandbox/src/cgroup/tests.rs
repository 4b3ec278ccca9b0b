//! The groups on trial: `fake` shows what is written and read on machines other than this one, `real`
//! that the kernel does what is meant, `costs` how long it takes.

mod bed;
mod costs;
mod delegation;
mod fake;
mod real;
