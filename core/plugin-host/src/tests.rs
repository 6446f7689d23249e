//! Tests of the host, on real libraries: the example and two that misbehave, built by cargo.

mod calls;
mod logs;
mod misbehaviour;
mod process;
mod programs;
mod refusals;
mod support;
mod trust;
