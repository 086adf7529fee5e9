//! Small measurements of single parts, each with its budget.

pub mod alloc;
pub mod gauge;
