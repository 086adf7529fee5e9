//! The naming rules: what a service holds, who may change it, what is shown of it.

pub mod accept;
pub mod answer;
pub mod directory;
pub mod fuzzy;
pub mod host;
pub mod owner;
pub mod rules;
pub mod view;
