//! How much a subscriber's line takes, found out from what becomes of the packets we send it.

pub(crate) mod allocate;
mod history;
pub(crate) mod pacer;
mod rtcp;
#[cfg(test)]
mod tests;
mod twcc;
