locals {
  scope_kind = split("/", var.scope)[0]
  scope_id   = split("/", var.scope)[1]

  bucket = "logging.googleapis.com/${google_logging_project_bucket_config.audit.id}"

  # Facts, refusals, policy writes, sign-ins: every line that Curfew itself writes.
  own_lines = "jsonPayload.target=~\"^curfew\""

  # What IAM says of the controller's account, whoever used it.
  policy_writes = join(" AND ", [
    "log_id(\"cloudaudit.googleapis.com/activity\")",
    "protoPayload.methodName=~\"SetIamPolicy$\"",
    "protoPayload.authenticationInfo.principalEmail=\"${var.controller_email}\"",
  ])

  # Each write carries its id as the request's reason; `x-goog-request-reason` of the call.
  has_write_id = "protoPayload.requestMetadata.requestAttributes.reason=~\"^curfew [0-9a-z]{26}$\""
}

resource "google_logging_project_bucket_config" "audit" {
  project          = var.audit_project
  location         = var.location
  bucket_id        = "curfew-${var.installation}"
  description      = "Curfew's log and what IAM recorded of its controller; nothing that Curfew runs as may delete here"
  retention_days   = var.retention_days
  locked           = var.lock
  enable_analytics = true
}

resource "google_logging_project_sink" "own" {
  project                = var.project
  name                   = "curfew-${var.installation}"
  description            = "Curfew's own lines, kept where Curfew cannot delete them"
  destination            = local.bucket
  filter                 = local.own_lines
  unique_writer_identity = true
}

resource "google_logging_project_sink" "scope" {
  count = local.scope_kind == "projects" ? 1 : 0

  project                = local.scope_id
  name                   = "curfew-${var.installation}-policy-writes"
  description            = "Policy writes by Curfew's controller"
  destination            = local.bucket
  filter                 = local.policy_writes
  unique_writer_identity = true
}

resource "google_logging_folder_sink" "scope" {
  count = local.scope_kind == "folders" ? 1 : 0

  folder           = local.scope_id
  name             = "curfew-${var.installation}-policy-writes"
  description      = "Policy writes by Curfew's controller"
  destination      = local.bucket
  filter           = local.policy_writes
  include_children = true
}

resource "google_logging_organization_sink" "scope" {
  count = local.scope_kind == "organizations" ? 1 : 0

  org_id           = local.scope_id
  name             = "curfew-${var.installation}-policy-writes"
  description      = "Policy writes by Curfew's controller"
  destination      = local.bucket
  filter           = local.policy_writes
  include_children = true
}

resource "google_project_iam_member" "writer" {
  for_each = {
    own   = google_logging_project_sink.own.writer_identity
    scope = one(concat(google_logging_project_sink.scope[*].writer_identity, google_logging_folder_sink.scope[*].writer_identity, google_logging_organization_sink.scope[*].writer_identity))
  }

  project = var.audit_project
  role    = "roles/logging.bucketWriter"
  member  = each.value

  condition {
    title      = "curfew bucket only"
    expression = "resource.name.endsWith('locations/${var.location}/buckets/curfew-${var.installation}')"
  }
}

# A write by the controller's account that does not say which of the controller's writes it is: somebody else has the account.
resource "google_logging_metric" "unknown_write" {
  project     = var.audit_project
  name        = "curfew/${var.installation}/unknown_policy_writes"
  description = "SetIamPolicy by Curfew's controller without the id of a write"
  bucket_name = google_logging_project_bucket_config.audit.id
  filter      = "${local.policy_writes} AND NOT ${local.has_write_id}"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
}

resource "google_monitoring_alert_policy" "unknown_write" {
  project               = var.audit_project
  display_name          = "CurfewUnknownPolicyWrite"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = var.audit_notification_channels
  user_labels           = { installation = var.installation }

  conditions {
    display_name = "SetIamPolicy by the controller without the id of a write"

    condition_threshold {
      filter          = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.unknown_write.name}\" AND resource.type=\"logging_bucket\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "Somebody else writes policies as Curfew's controller"
    content   = "A policy was written by ${var.controller_email} and not by Curfew: each of its writes carries `curfew` and an id as the request's reason. Disable the account (`gcloud iam service-accounts disable ${var.controller_email}`), find who may act as it, then undo the write: its audit entry in the bucket curfew-${var.installation} has the change."
  }
}

# The same for a thief who knows the form of the ids: the write's id must be in the controller's own log.
resource "google_monitoring_alert_policy" "unlogged_write" {
  count = var.compare_write_ids ? 1 : 0

  project               = var.audit_project
  display_name          = "CurfewUnloggedPolicyWrite"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = var.audit_notification_channels
  user_labels           = { installation = var.installation }

  conditions {
    display_name = "SetIamPolicy by the controller whose id the controller did not log"

    condition_sql {
      query = <<-SQL
        SELECT audit.timestamp, audit.proto_payload.audit_log.resource_name AS resource,
          audit.proto_payload.audit_log.request_metadata.request_attributes.reason AS reason
        FROM `${var.audit_project}.${var.location}.curfew-${var.installation}._AllLogs` AS audit
        WHERE audit.proto_payload.audit_log.authentication_info.principal_email = '${var.controller_email}'
          AND ENDS_WITH(audit.proto_payload.audit_log.method_name, 'SetIamPolicy')
          AND audit.timestamp BETWEEN TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 45 MINUTE) AND TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 15 MINUTE)
          AND NOT EXISTS (
            SELECT 1 FROM `${var.audit_project}.${var.location}.curfew-${var.installation}._AllLogs` AS own
            WHERE own.timestamp > TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 75 MINUTE)
              AND CONCAT('curfew ', JSON_VALUE(own.json_payload, '$."write.id"')) = audit.proto_payload.audit_log.request_metadata.request_attributes.reason
          )
      SQL

      minutes {
        periodicity = 15
      }

      row_count_test {
        comparison = "COMPARISON_GT"
        threshold  = 0
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    subject   = "A policy write as Curfew's controller that the controller did not log"
    content   = "Either the controller was killed between the write and its log line (then the request's facts have the intent with this id), or somebody else has its account: treat it as CurfewUnknownPolicyWrite until the facts say otherwise."
  }
}
