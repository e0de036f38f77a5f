//! What WHIP and WHEP have in common: a call token lets a client in without a page, and the answer names a resource.

mod pages;
mod request;

pub(super) use pages::{allow_pages, nothing, ways_in, ways_on};
pub(super) use request::{CallToken, FragmentBody, OfferBody, Presented};

use crate::api::{Api, id_at};
use crate::auth::one_header;
use crate::problem::{Code, Problem};
use crate::protocol::{IceServer, RefusalCode};
use crate::refusal::Refusal;
use crate::resource::{Approach, Condition, Denial, Reply, Resource, ResourceId, TokenHash, Way};
use crate::room::{Arrival, CallId, ParticipantId};
use crate::sdp::{OneWayOffer, SdpRefusal};
use crate::switchboard::{Ask, Newcomer};
use crate::tokens::Grant;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use sfu::control::{LegId, RoomId};
use uuid::Uuid;

/// Offers and answers (RFC 9725 §4.2).
const SDP: &str = "application/sdp";
/// ICE fragments (RFC 8840 §9).
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// Lets a publisher or a viewer in.
pub(super) async fn create(
    api: &Api,
    way: Way,
    room_id: Uuid,
    token: CallToken,
    OfferBody(sdp): OfferBody,
) -> Result<Response, Problem> {
    let CallToken { grant, hash } = token;
    if grant.room != RoomId(room_id) {
        return Err(Problem::new(Code::TokenNotForThis, "the token is for another room"));
    }
    let offer = match way {
        Way::Whip => OneWayOffer::publishing(&sdp, &grant.may_publish),
        Way::Whep => OneWayOffer::viewing(&sdp),
    };
    let offer = offer.map_err(sdp_problem)?;
    let approach = Approach { way, room: grant.room, id: new_resource_id(), token: hash };
    let location = format!("{}/v1/{}/{room_id}/{}", api.public_url(), way.as_str(), approach.id.to_text());
    let newcomer = Box::new(newcomer(api, grant, &offer));
    let ask = Ask::Make { newcomer, resource: Box::new(Resource::new(approach, offer)) };
    answer(api, ask, Some(location)).await
}

fn newcomer(api: &Api, grant: Grant, offer: &OneWayOffer) -> Newcomer {
    let now = api.now();
    let arrival = Arrival {
        leg: LegId(id_at(now)),
        participant: ParticipantId(id_at(now)),
        identity: grant.identity,
        name: grant.name,
        role: grant.role,
        may_publish: grant.may_publish,
        offer: offer.sdp.clone(),
        sends: offer.sends.clone(),
        enters_at_once: true,
    };
    Newcomer { tenant: grant.tenant, room: grant.room, call: CallId(id_at(now)), arrival }
}

fn new_resource_id() -> ResourceId {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).expect("the operating system gives randomness");
    ResourceId::new(random)
}

/// Where a request about a resource goes. What cannot be a name names nothing.
pub(super) fn approach(
    way: Way,
    (room_id, resource_id): (Uuid, String),
    Presented(token): &Presented,
) -> Result<Approach, Problem> {
    let id = ResourceId::parse(&resource_id).ok_or_else(|| denied(Denial::NotFound))?;
    Ok(Approach { way, room: RoomId(room_id), id, token: TokenHash::of(token) })
}

/// Notes candidates, or restarts ICE.
pub(super) async fn patch(
    api: &Api,
    at: Approach,
    headers: &HeaderMap,
    FragmentBody(fragment): FragmentBody,
) -> Result<Response, Problem> {
    let condition = condition(headers)?;
    answer(api, Ask::Patch { at, condition, fragment }, None).await
}

/// Ends a publisher or a viewer.
pub(super) async fn delete(api: &Api, at: Approach) -> Result<Response, Problem> {
    answer(api, Ask::Delete { at }, None).await
}

fn condition(headers: &HeaderMap) -> Result<Condition, Problem> {
    let value = one_header(headers, &header::IF_MATCH)
        .map_err(|()| Problem::new(Code::PreconditionFailed, "the header If-Match is not understood"))?;
    Ok(match value.map(str::trim) {
        None => Condition::Missing,
        Some("*") => Condition::Any,
        Some(tags) => Condition::Tags(tags.split(',').map(|tag| tag.trim().to_owned()).collect()),
    })
}

async fn answer(api: &Api, ask: Ask, location: Option<String>) -> Result<Response, Problem> {
    Ok(match api.ask(ask).await.map_err(denied)? {
        Reply::Made { answer, tag, ice_servers } => {
            let location = location.unwrap_or_default();
            let headers =
                [(header::CONTENT_TYPE, SDP), (header::ETAG, &*tag), (header::LOCATION, &*location)];
            let links = AppendHeaders(ice_servers.iter().map(|server| (header::LINK, link(server))));
            (StatusCode::CREATED, headers, links, answer).into_response()
        }
        Reply::Taken => StatusCode::NO_CONTENT.into_response(),
        Reply::Restarted { fragment, tag } => {
            ([(header::CONTENT_TYPE, FRAGMENT), (header::ETAG, &*tag)], fragment).into_response()
        }
        Reply::Ended => StatusCode::OK.into_response(),
    })
}

/// A TURN server as a program without a page is told of it (RFC 9725 §4.6). Nothing in it needs to be escaped: the address is
/// the operator's, and names and passwords are digits, letters and a colon.
fn link(server: &IceServer) -> String {
    let IceServer { urls, username, credential } = server;
    let url = urls.first().map_or("", String::as_str);
    format!(
        "<{url}>; rel=\"ice-server\"; username=\"{username}\"; credential=\"{credential}\"; credential-type=\"password\""
    )
}

fn denied(denial: Denial) -> Problem {
    match denial {
        Denial::NotFound => {
            Problem::not_found("resource: it has ended, or it was not made with this token, here")
        }
        Denial::ConditionMissing => {
            Problem::new(Code::PreconditionRequired, "a PATCH says which ICE session it means")
        }
        Denial::ConditionFailed => {
            Problem::new(Code::PreconditionFailed, "If-Match does not name the ICE session that there is")
        }
        Denial::Partial => {
            Problem::new(Code::NotAcceptable, "a line of the offer has no codec that is taken here")
        }
        Denial::Busy => Problem::new(Code::RestartInProgress, "one restart at a time"),
        Denial::Refused(refusal) => problem_of(refusal),
    }
}

/// What a page would be told, as a status.
fn problem_of(refusal: Refusal) -> Problem {
    let code = match refusal.code {
        RefusalCode::TokenInvalid | RefusalCode::TokenExpired => Code::TokenNotValid,
        RefusalCode::OriginNotAllowed => Code::OriginNotAllowed,
        RefusalCode::NotAllowed => Code::TokenNotForThis,
        RefusalCode::NotEntitled => Code::NotEntitled,
        RefusalCode::RoomNotFound => Code::NotFound,
        RefusalCode::RoomFull => Code::RoomFull,
        RefusalCode::TooLarge => Code::BodyTooLarge,
        RefusalCode::OfferNotUnderstood => Code::BadOffer,
        RefusalCode::BadName => Code::BadInput,
        _ => Code::Unavailable,
    };
    let problem = Problem::new(code, refusal.message);
    match refusal.retry_after {
        Some(wait) => problem.retry_after(wait.as_secs()),
        None => problem,
    }
}

fn sdp_problem(refusal: SdpRefusal) -> Problem {
    let code = match refusal {
        SdpRefusal::Malformed(_) => Code::BadOffer,
        SdpRefusal::NotAcceptable(_) => Code::NotAcceptable,
        SdpRefusal::NotAllowed(_) => Code::TokenNotForThis,
        SdpRefusal::TooManyCandidates => Code::BodyTooLarge,
    };
    Problem::new(code, refusal.to_string())
}
