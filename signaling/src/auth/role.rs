//! Who may do what.

use serde::Serialize;
use utoipa::ToSchema;

/// What a member is in the business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Owner,
    /// Everything but the test clock.
    Admin,
    /// Rooms and calls.
    Agent,
    /// Calls, usage and statements.
    Finance,
}

/// What can be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Rooms, to look.
    SeeRooms,
    /// Rooms and tokens, to make.
    MakeRooms,
    /// Calls and who was in them.
    SeeCalls,
    /// Usage and statements.
    SeeMoney,
    /// Vendors, plans, prices and meters, to make.
    ManagePlans,
    /// Events of the business's own meters.
    RecordUsage,
    /// Accounts and subscriptions, to begin and to change.
    Subscribe,
    /// Money: to pay, to refund, to give up.
    MoveMoney,
    /// The headers of a connection's packets.
    CaptureHeaders,
    /// API keys.
    ManageKeys,
    /// The test clock of a sandbox.
    AdvanceClock,
    /// What a seller alone decides: credits, corrections, exemptions. No role of a business has it.
    DecideForSeller,
}

impl Role {
    /// The role as it is stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Admin => "admin",
            Role::Agent => "agent",
            Role::Finance => "finance",
        }
    }

    /// Reads a stored role.
    pub fn from_stored(text: &str) -> Option<Self> {
        [Role::Owner, Role::Admin, Role::Agent, Role::Finance].into_iter().find(|role| role.as_str() == text)
    }

    /// May a member of this role do that?
    pub fn has(self, right: Right) -> bool {
        match self {
            Role::Owner => right != Right::DecideForSeller,
            Role::Admin => !matches!(right, Right::AdvanceClock | Right::DecideForSeller),
            Role::Agent => matches!(right, Right::SeeRooms | Right::MakeRooms | Right::SeeCalls),
            Role::Finance => matches!(right, Right::SeeRooms | Right::SeeCalls | Right::SeeMoney),
        }
    }
}

impl Right {
    /// The right as a refusal words it.
    pub fn as_str(self) -> &'static str {
        match self {
            Right::SeeRooms => "see rooms",
            Right::MakeRooms => "make rooms and tokens",
            Right::SeeCalls => "see calls",
            Right::SeeMoney => "see usage and statements",
            Right::ManagePlans => "make plans and meters",
            Right::RecordUsage => "record usage",
            Right::Subscribe => "change subscriptions",
            Right::MoveMoney => "move money",
            Right::CaptureHeaders => "capture the headers of a connection",
            Right::ManageKeys => "manage API keys",
            Right::AdvanceClock => "advance the test clock",
            Right::DecideForSeller => "decide for the seller",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_its_rights() {
        let rights = [
            Right::SeeRooms,
            Right::MakeRooms,
            Right::SeeCalls,
            Right::SeeMoney,
            Right::ManagePlans,
            Right::RecordUsage,
            Right::Subscribe,
            Right::MoveMoney,
            Right::CaptureHeaders,
            Right::ManageKeys,
            Right::AdvanceClock,
            Right::DecideForSeller,
        ];
        for (role, expected) in [
            (Role::Owner, [true, true, true, true, true, true, true, true, true, true, true, false]),
            (Role::Admin, [true, true, true, true, true, true, true, true, true, true, false, false]),
            (Role::Agent, [true, true, true, false, false, false, false, false, false, false, false, false]),
            (
                Role::Finance,
                [true, false, true, true, false, false, false, false, false, false, false, false],
            ),
        ] {
            assert_eq!(rights.map(|right| role.has(right)), expected, "{role:?}");
            assert_eq!(Role::from_stored(role.as_str()), Some(role));
        }
        assert_eq!(Role::from_stored("root"), None);
    }
}
