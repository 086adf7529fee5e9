//! The naming rules: what a service holds, who may change it, what is shown of it.

pub mod accept;
pub mod answer;
pub mod check;
mod cores;
pub mod digits;
pub mod directory;
pub mod fuzzy;
pub mod host;
pub mod kept;
mod names;
pub mod open;
pub mod owner;
mod publishers;
pub mod rules;
pub(crate) mod services;
pub mod shared;
pub mod switches;
pub mod view;
