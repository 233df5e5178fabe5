//! Why a call fails, and the status that says so.

use gcloud_sdk::google::rpc;
use tonic::{Code, Status};

use crate::{
    field_path::FieldPathError,
    limits::REQUEST_BYTES_MAX,
    mutate::WriteError,
    name::NameError,
    query::QueryError,
    store::{EntryError, StoreError},
    transactions::TransactionError,
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
    /// The server stops, or a fault was asked for.
    #[error("The service is currently unavailable.")]
    Unavailable,
    /// A transaction that cannot be used.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// What a transaction read has changed, or nothing tells any more that it has not.
    #[error(
        "Aborted due to cross-transaction contention. This occurs when multiple transactions \
         attempt to access the same data, requiring Firestore to abort at least one in order to \
         enforce serializability."
    )]
    Contention,
    /// The change log does not reach back to the time of a read.
    #[error("The requested snapshot version is too old.")]
    TooOld,
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
            Self::Unavailable => Code::Unavailable,
            Self::Transaction(error) => transaction_code(*error),
            Self::Contention => Code::Aborted,
            Self::TooOld => Code::FailedPrecondition,
        }
    }
}

impl Refusal {
    /// The status as a message, for replies that hold several.
    pub(crate) fn to_rpc(&self) -> rpc::Status {
        rpc::Status { code: self.code().into(), message: self.to_string(), details: Vec::new() }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
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

fn transaction_code(error: TransactionError) -> Code {
    match error {
        TransactionError::Foreign | TransactionError::Over | TransactionError::ReadOnly => {
            Code::InvalidArgument
        }
        TransactionError::TooMany | TransactionError::ReadsTooMuch => Code::ResourceExhausted,
    }
}

fn store_code(error: &StoreError) -> Code {
    match error {
        StoreError::Full(_) => Code::ResourceExhausted,
        StoreError::Damaged(_) | StoreError::Body(_) => Code::DataLoss,
        StoreError::Sqlite(_) => Code::Internal,
        StoreError::Stopped => Code::Unavailable,
    }
}
