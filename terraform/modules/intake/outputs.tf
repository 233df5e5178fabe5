output "base_url" {
  description = "Where people go; `baseUrl` of the configuration."
  value       = local.base_url
}

output "audience" {
  description = "What IAP signs; `iap.audience` of the configuration. The controller's configuration needs the same."
  value       = local.audience
}

output "service" {
  description = "The full name of the Cloud Run service."
  value       = google_cloud_run_v2_service.this.id
}

output "address" {
  description = "The load balancer's address: the domain's A record. Null without a load balancer."
  value = (
    local.is_global ? google_compute_global_address.this[0].address :
    local.is_regional ? google_compute_address.this[0].address : null
  )
}

output "certificate_record" {
  description = "The record that proves the domain to Google, for a regional load balancer; null otherwise."
  value       = local.is_regional ? google_certificate_manager_dns_authorization.this[0].dns_resource_record[0] : null
}

output "iap_service_agent" {
  description = "The service agent by which IAP calls the service."
  value       = google_project_service_identity.iap.email
}
