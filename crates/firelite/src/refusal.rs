//! Why a call fails, and the status that says so.

use tonic::{Code, Status};

use crate::{
    field_path::FieldPathError,
    limits::REQUEST_BYTES_MAX,
    mutate::WriteError,
    name::NameError,
    query::QueryError,
    store::{EntryError, StoreError},
};

/// Every reason for which a call ends without what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// A resource name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A field path.
    #[error(transparent)]
    Path(#[from] FieldPathError),
    /// A write.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A query.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The index entries of a document.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something else about the request.
    #[error("{0}")]
    Argument(&'static str),
    /// A document that is not there.
    #[error("Document \"{0}\" not found.")]
    NotFound(String),
    /// Outside of what this server speaks.
    #[error("{0} is not served by firelite.")]
    Unimplemented(&'static str),
    /// The whole request.
    #[error("Request payload size exceeds the limit: {REQUEST_BYTES_MAX} bytes.")]
    RequestTooLarge,
    /// The caller did not read its results in time.
    #[error("The datastore operation timed out, or the data was temporarily unavailable.")]
    DeadlineExceeded,
    /// The caller is gone; nobody reads this.
    #[error("The call was cancelled.")]
    Cancelled,
    /// The server stops.
    #[error("The server is shutting down.")]
    ShuttingDown,
}

impl Refusal {
    /// The gRPC status code.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Name(_)
            | Self::Path(_)
            | Self::Entry(_)
            | Self::Argument(_)
            | Self::RequestTooLarge => Code::InvalidArgument,
            Self::Write(error) => write_code(error),
            Self::Query(error) => query_code(error),
            Self::Unimplemented(_) => Code::Unimplemented,
            Self::Store(error) => store_code(error),
            Self::NotFound(_) => Code::NotFound,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::Cancelled => Code::Cancelled,
            Self::ShuttingDown => Code::Unavailable,
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        if let Refusal::Store(error) = &refusal {
            tracing::error!(error = error as &dyn std::error::Error, "the store failed");
        }
        Self::new(refusal.code(), refusal.to_string())
    }
}

fn write_code(error: &WriteError) -> Code {
    match error {
        WriteError::AlreadyExists(_) => Code::AlreadyExists,
        WriteError::NotFound(_) => Code::NotFound,
        WriteError::StaleVersion { .. } => Code::FailedPrecondition,
        WriteError::Empty
        | WriteError::DeleteWithFields
        | WriteError::TransformWithFields
        | WriteError::Name(_)
        | WriteError::Path(_)
        | WriteError::Transform(_)
        | WriteError::Value(_) => Code::InvalidArgument,
    }
}

fn query_code(error: &QueryError) -> Code {
    if matches!(error, QueryError::NeedsIndex(_)) {
        Code::FailedPrecondition
    } else if matches!(error, QueryError::Unserved(_)) {
        Code::Unimplemented
    } else {
        Code::InvalidArgument
    }
}

fn store_code(error: &StoreError) -> Code {
    match error {
        StoreError::Full(_) => Code::ResourceExhausted,
        StoreError::Corrupt(_) | StoreError::Body(_) => Code::DataLoss,
        StoreError::Sqlite(_) => Code::Internal,
        StoreError::Stopped => Code::Unavailable,
    }
}
