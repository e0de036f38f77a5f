//! Clients without a socket ask, and are answered.

use super::{Arriving, Ask, Newcomer, Output, Switchboard};
use crate::protocol::{ClientEvent, ServerEvent};
use crate::resource::{Approach, Condition, Denial, Reply, RequestId, Resource};
use crate::room::{Event, Welcome};
use crate::sdp::{Fragment, is_partial};
use sfu::control::LegId;
use std::time::Instant;

impl Switchboard {
    pub(super) fn ask(&mut self, request: RequestId, ask: Ask, now: Instant) {
        let asked = match ask {
            Ask::Make { newcomer, resource } => self.make(request, *newcomer, resource, now),
            Ask::Patch { at, condition, fragment } => self.patch(request, &at, &condition, fragment, now),
            Ask::Delete { at } => self.delete(request, &at, now),
        };
        if let Err(denial) = asked {
            self.deny(request, denial);
        }
    }

    fn make(
        &mut self,
        request: RequestId,
        newcomer: Newcomer,
        resource: Box<Resource>,
        now: Instant,
    ) -> Result<(), Denial> {
        let arriving = Arriving::Client { request, resource };
        let entry = self.let_in(newcomer, arriving).map_err(Denial::Refused)?;
        self.tell_room(entry.room, entry.event, now);
        Ok(())
    }

    /// A client is in with every line of its offer or not at all (RFC 9725 §4.4.3): it could not be told otherwise.
    pub(super) fn turn_away_halves(&mut self, leg: LegId, answer: &str, now: Instant) {
        if let Some(Arriving::Client { request, .. }) = self.arriving_by_leg.get(&leg)
            && is_partial(answer)
        {
            let request = *request;
            self.arriving_by_leg.remove(&leg);
            self.deny(request, Denial::Partial);
            self.tell_room_of(leg, Event::Gone { leg }, now);
        }
    }

    pub(super) fn made(&mut self, request: RequestId, leg: LegId, resource: Resource, welcome: Welcome) {
        let (tag, Welcome { answer, ice_servers, .. }) = (resource.tag(), welcome);
        self.leg_by_resource.insert(resource.id(), leg);
        self.resource_by_leg.insert(leg, resource);
        self.reply(request, Reply::Made { answer, tag, ice_servers });
    }

    fn patch(
        &mut self,
        request: RequestId,
        at: &Approach,
        condition: &Condition,
        fragment: Fragment,
        now: Instant,
    ) -> Result<(), Denial> {
        let (leg, resource) = self.resource(at)?;
        match resource.patch(request, condition, fragment)? {
            Some(event) => self.tell_room_of(leg, Event::Said { leg, seq: 0, event }, now),
            None => self.reply(request, Reply::Taken),
        }
        Ok(())
    }

    fn delete(&mut self, request: RequestId, at: &Approach, now: Instant) -> Result<(), Denial> {
        let (leg, _) = self.resource(at)?;
        self.tell_room_of(leg, Event::Said { leg, seq: 0, event: ClientEvent::Leave {} }, now);
        self.reply(request, Reply::Ended);
        Ok(())
    }

    /// Whoever guesses learns nothing about which resources there are.
    fn resource(&mut self, at: &Approach) -> Result<(LegId, &mut Resource), Denial> {
        let leg = *self.leg_by_resource.get(&at.id).ok_or(Denial::NotFound)?;
        let resource = self.resource_by_leg.get_mut(&leg).filter(|resource| resource.admits(at));
        Ok((leg, resource.ok_or(Denial::NotFound)?))
    }

    pub(super) fn tell_client(&mut self, leg: LegId, event: ServerEvent) {
        let Some(resource) = self.resource_by_leg.get_mut(&leg) else { return };
        if let Some((request, outcome)) = resource.hear(event) {
            self.outputs.push_back(Output::Reply { request, outcome });
        }
    }

    pub(super) fn forget_resource(&mut self, leg: LegId) {
        let Some(resource) = self.resource_by_leg.remove(&leg) else { return };
        self.leg_by_resource.remove(&resource.id());
        if let Some(request) = resource.end() {
            self.deny(request, Denial::NotFound);
        }
    }

    pub(super) fn deny(&mut self, request: RequestId, denial: Denial) {
        self.outputs.push_back(Output::Reply { request, outcome: Err(denial) });
    }

    fn reply(&mut self, request: RequestId, reply: Reply) {
        self.outputs.push_back(Output::Reply { request, outcome: Ok(reply) });
    }
}
