//! What an operator asks of a node: of a running one through a socket in its data directory, of a
//! stopped one through its files. The same question gets the same answer either way, where the
//! files can know it.

pub mod backup;
pub mod client;
pub mod lists;
pub mod office;
pub mod offline;
pub mod restore;
pub mod shown;
pub mod socket;
pub mod status;
pub mod trace;
pub mod users;
pub mod wire;
