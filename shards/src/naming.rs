//! The naming rules: what a service holds, who may change it, what is shown of it.

pub mod host;
pub mod view;
