//! The HTTP/2 and gRPC state machines, judged from the wire: scripted peers whose tests read like
//! captures, replays of what real clients sent, floods, an independent client, and noise.

mod abuse;
mod calls;
mod flow;
mod fuzz;
mod golden;
mod oracle;
mod resources;
mod rules;
mod support;
