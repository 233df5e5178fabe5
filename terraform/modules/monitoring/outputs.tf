output "bucket" {
  description = "The log bucket, projects/…/buckets/…: the record that no identity of Curfew can delete from."
  value       = google_logging_project_bucket_config.audit.id
}

output "alerts" {
  description = "The alert policies on the metrics, by the name of their rule."
  value       = { for name, policy in google_monitoring_alert_policy.prometheus : name => policy.name }
}

output "unknown_write_metric" {
  description = "The metric of policy writes by the controller's account that are not Curfew's."
  value       = google_logging_metric.unknown_write.name
}
