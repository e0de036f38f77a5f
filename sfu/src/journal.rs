//! Usage on disk.

/// Why the journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The directory cannot be made or read.
    #[error("cannot use the journal directory")]
    Directory(#[source] std::io::Error),
    /// Another node uses the directory.
    #[error("another process uses the journal directory")]
    InUse,
}
