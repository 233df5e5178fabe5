//! Calls that begin and end transactions; `Commit` is among the writes.

use gcloud_sdk::google::firestore::v1::{
    BeginTransactionRequest, BeginTransactionResponse, RollbackRequest,
};

use super::{Context, view::mode};
use crate::{name::Database, refusal::Refusal};

/// `BeginTransaction`.
pub(super) async fn begin(
    context: Context,
    request: BeginTransactionRequest,
) -> Result<BeginTransactionResponse, Refusal> {
    let database = Database::parse(&request.database)?;
    let transaction = context.transactions.begin(database, mode(request.options))?;
    Ok(BeginTransactionResponse { transaction })
}

/// `Rollback`.
pub(super) async fn roll_back(context: Context, request: RollbackRequest) -> Result<(), Refusal> {
    let database = Database::parse(&request.database)?;
    Ok(context.transactions.roll_back(&request.transaction, &database)?)
}
