//! People and rooms.

pub mod base64url;
pub mod hub;
pub mod media;
pub mod protocol;
pub mod tokens;
