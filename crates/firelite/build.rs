//! Generates the server trait of `google.firestore.v1.Firestore` over the message types of
//! `gcloud-sdk`, so that no protobuf compiler and no copy of the schema is needed.

use tonic_build::manual::{Builder, Method, Service};

/// Who streams in a call.
enum Streams {
    Neither,
    Server,
    Both,
}

/// The calls of the service: snake-case name, wire name, reply type, who streams.
/// Source: `google/firestore/v1/firestore.proto`.
const METHODS: &[(&str, &str, &str, Streams)] = &[
    ("get_document", "GetDocument", "Document", Streams::Neither),
    ("list_documents", "ListDocuments", "ListDocumentsResponse", Streams::Neither),
    ("update_document", "UpdateDocument", "Document", Streams::Neither),
    ("delete_document", "DeleteDocument", "", Streams::Neither),
    ("batch_get_documents", "BatchGetDocuments", "BatchGetDocumentsResponse", Streams::Server),
    ("begin_transaction", "BeginTransaction", "BeginTransactionResponse", Streams::Neither),
    ("commit", "Commit", "CommitResponse", Streams::Neither),
    ("rollback", "Rollback", "", Streams::Neither),
    ("run_query", "RunQuery", "RunQueryResponse", Streams::Server),
    ("execute_pipeline", "ExecutePipeline", "ExecutePipelineResponse", Streams::Server),
    (
        "run_aggregation_query",
        "RunAggregationQuery",
        "RunAggregationQueryResponse",
        Streams::Server,
    ),
    ("partition_query", "PartitionQuery", "PartitionQueryResponse", Streams::Neither),
    ("write", "Write", "WriteResponse", Streams::Both),
    ("listen", "Listen", "ListenResponse", Streams::Both),
    ("list_collection_ids", "ListCollectionIds", "ListCollectionIdsResponse", Streams::Neither),
    ("batch_write", "BatchWrite", "BatchWriteResponse", Streams::Neither),
    ("create_document", "CreateDocument", "Document", Streams::Neither),
];

fn main() {
    let service = METHODS.iter().fold(
        Service::builder().name("Firestore").package("google.firestore.v1"),
        |service, entry| service.method(method(entry)),
    );
    Builder::new().build_client(false).compile(&[service.build()]);
}

fn method((name, route, reply, streams): &(&str, &str, &str, Streams)) -> Method {
    const TYPES: &str = "::gcloud_sdk::google::firestore::v1";
    // The builder takes paths only, so `google.protobuf.Empty` (unit) goes by an alias.
    let output =
        if reply.is_empty() { "crate::service::Empty".into() } else { format!("{TYPES}::{reply}") };
    let method = Method::builder()
        .name(name)
        .route_name(route)
        .input_type(format!("{TYPES}::{route}Request"))
        .output_type(output)
        .codec_path("::tonic_prost::ProstCodec");
    match streams {
        Streams::Neither => method.build(),
        Streams::Server => method.server_streaming().build(),
        Streams::Both => method.client_streaming().server_streaming().build(),
    }
}
