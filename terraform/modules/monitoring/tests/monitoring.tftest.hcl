mock_provider "google" {
  mock_resource "google_logging_project_bucket_config" {
    defaults = { id = "projects/access-audit/locations/global/buckets/curfew-prod" }
  }

  mock_resource "google_logging_project_sink" {
    defaults = { writer_identity = "serviceAccount:sink@logging.iam.gserviceaccount.com" }
  }

  mock_resource "google_logging_organization_sink" {
    defaults = { writer_identity = "serviceAccount:scope@logging.iam.gserviceaccount.com" }
  }

  mock_resource "google_logging_folder_sink" {
    defaults = { writer_identity = "serviceAccount:scope@logging.iam.gserviceaccount.com" }
  }
}

variables {
  project                     = "access-system"
  audit_project               = "access-audit"
  scope                       = "organizations/123456789"
  controller_email            = "curfew-controller@access-system.iam.gserviceaccount.com"
  notification_channels       = ["projects/access-system/notificationChannels/1"]
  audit_notification_channels = ["projects/access-audit/notificationChannels/2"]
}

run "the_log_is_kept_where_curfew_cannot_delete_it" {
  assert {
    condition     = google_logging_project_bucket_config.audit.project == "access-audit" && google_logging_project_bucket_config.audit.locked && google_logging_project_bucket_config.audit.retention_days == 400
    error_message = "the log can be shortened"
  }

  assert {
    condition     = google_project_iam_member.writer["own"].role == "roles/logging.bucketWriter" && google_project_iam_member.writer["scope"].member == "serviceAccount:scope@logging.iam.gserviceaccount.com"
    error_message = "a sink cannot write"
  }
}

run "policy_writes_of_the_whole_scope_are_collected" {
  assert {
    condition     = google_logging_organization_sink.scope[0].include_children && strcontains(google_logging_organization_sink.scope[0].filter, "principalEmail=\"curfew-controller@access-system.iam.gserviceaccount.com\"")
    error_message = "the sink sees too little"
  }
}

run "a_folder_and_a_project_have_their_own_kind_of_sink" {
  variables {
    scope = "folders/200000000001"
  }

  assert {
    condition     = google_logging_folder_sink.scope[0].folder == "200000000001" && length(google_logging_organization_sink.scope) == 0
    error_message = "the folder's policy writes are not collected"
  }
}

run "a_write_without_an_id_raises_an_alert" {
  assert {
    condition     = strcontains(google_logging_metric.unknown_write.filter, "NOT protoPayload.requestMetadata.requestAttributes.reason=~\"^curfew [0-9a-z]{26}$\"")
    error_message = "the metric counts Curfew's own writes"
  }

  assert {
    condition     = google_monitoring_alert_policy.unknown_write.severity == "CRITICAL" && google_monitoring_alert_policy.unknown_write.notification_channels == tolist(["projects/access-audit/notificationChannels/2"])
    error_message = "nobody hears of a stolen account"
  }
}

run "ids_can_be_compared_with_the_log_too" {
  variables {
    compare_write_ids = true
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.unlogged_write[0].conditions[0].condition_sql[0].query, "`access-audit.global.curfew-prod._AllLogs`")
    error_message = "the comparison reads another log"
  }
}

run "every_alert_of_the_rules_is_a_policy" {
  variables {
    rules_folder = "./tests"
  }

  assert {
    condition     = keys(google_monitoring_alert_policy.prometheus) == ["CurfewExample", "CurfewRecordedExample", "CurfewSlowExample"]
    error_message = "an alert is missing, or a recording rule became one"
  }

  assert {
    condition = (
      google_monitoring_alert_policy.prometheus["CurfewExample"].severity == "CRITICAL" &&
      google_monitoring_alert_policy.prometheus["CurfewExample"].conditions[0].condition_prometheus_query_language[0].duration == "120s" &&
      google_monitoring_alert_policy.prometheus["CurfewSlowExample"].conditions[0].condition_prometheus_query_language[0].duration == "0s"
    )
    error_message = "an alert is louder, quieter or slower than its rule"
  }
}

run "a_recorded_series_gives_way_to_its_expression" {
  variables {
    rules_folder = "./tests"
  }

  assert {
    condition     = google_monitoring_alert_policy.prometheus["CurfewRecordedExample"].conditions[0].condition_prometheus_query_language[0].query == "((rate(curfew_example_total{result=\"error\"}[5m])) / scalar((rate(curfew_example_total{result=\"error\"}[5m])))) > 14.4 * 0.001"
    error_message = "Cloud Monitoring would look for a series that nobody records"
  }
}

run "every_shipped_alert_is_a_policy" {
  assert {
    condition     = length(google_monitoring_alert_policy.prometheus) == length(regexall("(?m)^\\s*- alert:", join("\n", [for name in fileset("../../../deploy/prometheus", "**/*.yml") : file("../../../deploy/prometheus/${name}")])))
    error_message = "an alert of deploy/prometheus is missing"
  }
}

run "an_alert_says_what_to_do" {
  variables {
    runbooks = "https://git.example.com/curfew/"
  }

  assert {
    condition     = endswith(google_monitoring_alert_policy.prometheus["CurfewAccessOverdue"].documentation[0].content, "\n\nhttps://git.example.com/curfew/docs/runbooks/CurfewAccessOverdue.md")
    error_message = "an alert does not lead to its page"
  }
}

run "shipped_burn_rates_are_asked_of_what_is_scraped" {
  assert {
    condition     = strcontains(google_monitoring_alert_policy.prometheus["CurfewGrantsLate"].conditions[0].condition_prometheus_query_language[0].query, "curfew_approved_to_active_seconds_bucket{le=~\"30|30.0\"}[1h]") && !strcontains(google_monitoring_alert_policy.prometheus["CurfewGrantsLate"].conditions[0].condition_prometheus_query_language[0].query, "curfew:")
    error_message = "Cloud Monitoring would look for a series that nobody records"
  }
}

run "an_address_without_a_slash_is_refused" {
  command = plan

  variables {
    runbooks = "https://git.example.com/curfew"
  }

  expect_failures = [var.runbooks]
}

run "curfews_own_project_as_the_place_of_the_log_is_refused" {
  command = plan

  variables {
    audit_project = "access-system"
  }

  expect_failures = [var.audit_project]
}

run "a_short_retention_is_refused" {
  command = plan

  variables {
    retention_days = 7
  }

  expect_failures = [var.retention_days]
}

run "a_folder_without_rules_is_refused" {
  command = plan

  variables {
    rules_folder = "../store"
  }

  expect_failures = [var.rules_folder]
}

run "a_project_number_is_refused" {
  command = plan

  variables {
    project = "123456789"
  }

  expect_failures = [var.project]
}

run "an_installation_in_capitals_is_refused" {
  command = plan

  variables {
    installation = "Prod"
  }

  expect_failures = [var.installation]
}

run "a_project_number_as_scope_is_refused" {
  command = plan

  variables {
    scope = "projects/123"
  }

  expect_failures = [var.scope]
}

run "a_person_as_the_controller_is_refused" {
  command = plan

  variables {
    controller_email = "alice@example.com"
  }

  expect_failures = [var.controller_email]
}

run "a_channel_by_its_number_is_refused" {
  command = plan

  variables {
    notification_channels = ["1"]
  }

  expect_failures = [var.notification_channels]
}

run "an_audit_channel_by_its_number_is_refused" {
  command = plan

  variables {
    audit_notification_channels = ["2"]
  }

  expect_failures = [var.audit_notification_channels]
}

run "a_location_in_capitals_is_refused" {
  command = plan

  variables {
    location = "Europe"
  }

  expect_failures = [var.location]
}

run "an_audit_project_by_its_number_is_refused" {
  command = plan

  variables {
    audit_project = "123456789"
  }

  expect_failures = [var.audit_project]
}
