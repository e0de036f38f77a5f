//! No attack: how soon somebody who comes in sees the others.

use super::client::Client;
use super::lab::{Lab, ROOM};
use crate::control::Command;

/// Nobody makes a keyframe for the newcomer here: what is kept has to do, and has to come when there are keys for it.
#[test]
fn who_clicks_before_being_connected_sees_what_is_kept_as_soon_as_that_is_done() {
    for role in ["passive", "actpass", "active"] {
        let mut lab = Lab::new();
        let mut others: [Client; 2] = lab.call(ROOM);
        others.iter_mut().for_each(|other| other.heeds_requests = false);
        let bend = |offer: String| offer.replace("a=setup:passive", &format!("a=setup:{role}"));
        let newcomer = lab.join_with(ROOM, bend).expect("an honest offer is answered");
        lab.command(Command::Enter { leg: newcomer.leg });
        let [one, other] = others;
        let mut clients = [newcomer, one, other];
        while !clients[0].connected {
            lab.step(&mut clients);
        }
        lab.step(&mut clients);
        assert!(
            !clients[0].pictures.is_empty(),
            "{role}: what is kept did not come, or without its keyframe"
        );
    }
}
