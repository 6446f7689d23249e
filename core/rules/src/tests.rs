//! Case files that a business user can read, and laws.

mod cases;
mod laws;
mod tables;
