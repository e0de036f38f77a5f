//! How much a subscriber's line takes, found out from what becomes of the packets we send it.

mod history;
mod rtcp;
#[cfg(test)]
mod tests;
mod twcc;
