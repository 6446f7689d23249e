//! Servers of others that the connectors are proven against, each private to a test: a folder of
//! its own, free ports, ended with the value that stands for it.

pub mod engine;
pub mod mail;
pub mod mariadb;
mod process;
pub mod salesforce;
