//! Rooms of a node that is to stop go over to other nodes. The fleet says which room goes where, and when; how its people do
//! is the room's business ([`crate::room`]). Whoever joins a room on its way is placed where it goes.

use super::super::protocol::HubFrame;
use super::{Fleet, LinkId, Member, Move, NodeName, Output};
use serde::{Deserialize, Serialize};
use sfu::control::RoomId;
use std::collections::BTreeSet;

/// Rooms of a node that are on their way at once: each means a handshake for everybody in it.
const MOVING_MAX: usize = 8;

/// What is left on a node that is to be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Rooms.
    pub rooms: usize,
    /// Connections.
    pub legs: usize,
    /// Those of the rooms for which no other node has places.
    pub stuck: usize,
}

/// A node in another process, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standings {
    /// Which.
    pub name: NodeName,
    /// Its program's version.
    pub version: String,
    /// What it carries.
    pub carries: Progress,
    /// How many legs it takes.
    pub legs_max: usize,
    /// Is it to be empty?
    pub draining: bool,
}

impl Fleet {
    /// Those that the operator wants empty, all of them.
    pub fn set_drained(&mut self, names: BTreeSet<NodeName>) {
        if self.drained != names {
            self.drained = names;
            self.drain();
        }
    }

    /// A node is about to stop and wants to be empty before.
    pub fn leave(&mut self, name: &str, link: LinkId) {
        if self.far(name).is_some_and(|far| far.link == Some(link) && !far.lapsed) {
            self.wants_to_leave(name);
            self.drain();
        }
    }

    pub(super) fn wants_to_leave(&mut self, name: &str) {
        if let Some(far) = self.far(name) {
            far.leaving = true;
            far.told = None;
        }
    }

    pub(super) fn is_draining(&self, name: &str) -> bool {
        let leaves = |member: &Member| member.far.as_ref().is_some_and(|far| far.leaving);
        self.drained.contains(name) || self.members.get(name).is_some_and(leaves)
    }

    /// Sends rooms on their way, as many as may be.
    pub(super) fn drain(&mut self) {
        let connected = |member: &Member| member.far.as_ref().is_none_or(|far| far.link.is_some());
        let nodes: Vec<NodeName> =
            self.members.iter().filter(|(_, it)| connected(it)).map(|(name, _)| name.clone()).collect();
        for name in nodes.into_iter().filter(|name| self.is_draining(name)).collect::<Vec<_>>() {
            self.drain_node(&name);
            self.ring_about_progress(&name);
        }
    }

    fn drain_node(&mut self, name: &str) {
        let on_it = self.rooms.iter().filter(|(_, placed)| placed.name == name && placed.legs > 0);
        let (moving, staying): (Vec<_>, Vec<_>) = on_it.partition(|(_, placed)| placed.move_to.is_some());
        let free = MOVING_MAX.saturating_sub(moving.len());
        let staying: Vec<(RoomId, usize)> =
            staying.iter().map(|(room, placed)| (**room, placed.legs)).collect();
        let mut sent = 0;
        for (room, legs) in staying {
            if sent == free {
                return;
            }
            if let Some(to) = self.roomiest(legs, Some(name)) {
                self.send_off(room, to, legs);
                sent += 1;
            }
        }
    }

    fn send_off(&mut self, room: RoomId, to: NodeName, legs: usize) {
        self.members.entry(to.clone()).and_modify(|member| member.reserved += legs);
        self.rooms.entry(room).and_modify(|placed| placed.move_to = Some(Move { to, expected: legs }));
        self.outputs.push_back(Output::Move(room));
    }

    /// A leg of the room has come to where it goes.
    pub(super) fn arrived(&mut self, room: RoomId) {
        let Some(moving) = self.rooms.get_mut(&room).and_then(|placed| placed.move_to.as_mut()) else {
            return;
        };
        if moving.expected > 0 {
            moving.expected -= 1;
            let to = moving.to.clone();
            self.members.entry(to).and_modify(|member| member.reserved = member.reserved.saturating_sub(1));
        }
    }

    /// A room of which nothing is left where it was has moved.
    pub(super) fn settle(&mut self, room: RoomId) {
        let Some(placed) = self.rooms.get(&room).filter(|placed| placed.move_to.is_some()) else { return };
        let is_left = self.legs.values().any(|(name, at)| *at == room && *name == placed.name);
        if !is_left {
            let to = placed.destination().clone();
            self.end_move(room);
            self.rooms.entry(room).and_modify(|placed| placed.name = to);
        }
    }

    /// It goes nowhere any more; the places that were kept for it are free.
    pub(super) fn end_move(&mut self, room: RoomId) {
        let Some(moving) = self.rooms.get_mut(&room).and_then(|placed| placed.move_to.take()) else { return };
        let Move { to, expected } = moving;
        self.members
            .entry(to)
            .and_modify(|member| member.reserved = member.reserved.saturating_sub(expected));
    }

    /// Rooms on their way to a node that is gone stay where they are.
    pub(super) fn call_off(&mut self, to: &str) {
        let on_their_way = self.rooms.iter().filter(|(_, placed)| placed.move_to.is_some());
        let rooms: Vec<RoomId> =
            on_their_way.filter(|(_, placed)| placed.destination() == to).map(|(room, _)| *room).collect();
        for room in rooms {
            self.end_move(room);
            self.outputs.push_back(Output::Stay(room));
        }
    }

    /// What a node carries.
    pub fn progress(&self, name: &str) -> Progress {
        let on_it = || self.rooms.values().filter(|placed| placed.name == name && placed.legs > 0);
        let moving = on_it().filter(|placed| placed.move_to.is_some()).count();
        let rooms = on_it().count();
        let stuck = if moving < MOVING_MAX && self.is_draining(name) { rooms - moving } else { 0 };
        Progress { rooms, legs: self.members.get(name).map_or(0, |member| member.legs), stuck }
    }

    /// The connected nodes of other processes.
    pub fn standings(&self) -> Vec<Standings> {
        let far = self.members.iter().filter_map(|(name, it)| Some((name, it.legs_max, it.far.as_ref()?)));
        let connected = far.filter(|(_, _, far)| far.link.is_some() && !far.lapsed);
        let standings = connected.map(|(name, legs_max, far)| Standings {
            name: name.clone(),
            version: far.version.clone(),
            carries: self.progress(name),
            legs_max,
            draining: self.is_draining(name),
        });
        standings.collect()
    }

    fn ring_about_progress(&mut self, name: &str) {
        let progress = self.progress(name);
        let Some(far) = self.far(name) else { return };
        if far.leaving && far.told != Some(progress) {
            let link = far.link;
            self.outputs.extend(link.map(Output::Speak));
        }
    }

    /// What is left on a node that wants to leave, if that is news to it.
    pub(super) fn poll_progress(&mut self, name: &str, link: LinkId) -> Option<HubFrame> {
        let progress = self.progress(name);
        let far = self.far(name).filter(|far| far.link == Some(link))?;
        let is_news = far.leaving && far.told.replace(progress) != Some(progress);
        is_news.then_some(HubFrame::Left(progress))
    }
}
