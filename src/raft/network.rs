//! The way to the other members. A group of one has none; until members can be joined, whoever
//! asks is told so with an error that openraft retries.

use super::snapshot::Parcel;
use super::types::{Types, Vote};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::impls::BasicNode;
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::SnapshotOf;
use openraft::{AnyError, OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use std::future::Future;

/// Makes a [`Peer`] for each member.
#[derive(Debug, Clone, Default)]
pub struct Peers;

/// One other member.
#[derive(Debug, Clone)]
pub struct Peer {
    node: u64,
    address: String,
}

impl RaftNetworkFactory<Types> for Peers {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Peer {
        Peer { node: target, address: node.addr.clone() }
    }
}

impl Peer {
    fn unreachable(&self) -> Unreachable<Types> {
        let Peer { node, address } = self;
        Unreachable::new(&AnyError::error(format!("there is no link to member {node} ({address})")))
    }
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = Parcel;

    async fn append_entries(
        &mut self,
        _: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn vote(
        &mut self,
        _: VoteRequest<Types>,
        _: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn full_snapshot(
        &mut self,
        _: Vote,
        _: SnapshotOf<Types, Parcel>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        Err(StreamingError::Unreachable(self.unreachable()))
    }
}
