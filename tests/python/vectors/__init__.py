"""Independent verifiers of `proto/vectors`: written from the documents, without any of Curfew's code."""
