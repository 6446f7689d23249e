//! Tests of the web server, over the real hub and a real SQLite store; only the pipeline is a
//! stand-in.

mod attendance;
mod bodies;
mod config;
mod events;
mod explain;
mod moves;
mod operate;
mod pages;
mod problems;
mod roles;
mod serve;
mod tokens;
mod work;
mod world;
