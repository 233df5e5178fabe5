//! The calls of the frozen surface.

/// One call of `google.firestore.v1.Firestore` that this server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// `GetDocument`
    GetDocument,
    /// `ListDocuments`
    ListDocuments,
    /// `CreateDocument`
    CreateDocument,
    /// `UpdateDocument`
    UpdateDocument,
    /// `DeleteDocument`
    DeleteDocument,
    /// `BatchGetDocuments`
    BatchGetDocuments,
    /// `BeginTransaction`
    BeginTransaction,
    /// `Commit`
    Commit,
    /// `Rollback`
    Rollback,
    /// `RunQuery`
    RunQuery,
    /// `RunAggregationQuery`
    RunAggregationQuery,
    /// `BatchWrite`
    BatchWrite,
    /// `Listen`
    Listen,
}

impl Method {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::GetDocument => "GetDocument",
            Self::ListDocuments => "ListDocuments",
            Self::CreateDocument => "CreateDocument",
            Self::UpdateDocument => "UpdateDocument",
            Self::DeleteDocument => "DeleteDocument",
            Self::BatchGetDocuments => "BatchGetDocuments",
            Self::BeginTransaction => "BeginTransaction",
            Self::Commit => "Commit",
            Self::Rollback => "Rollback",
            Self::RunQuery => "RunQuery",
            Self::RunAggregationQuery => "RunAggregationQuery",
            Self::BatchWrite => "BatchWrite",
            Self::Listen => "Listen",
        }
    }
}
