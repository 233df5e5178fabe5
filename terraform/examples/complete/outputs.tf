output "base_url" {
  description = "Where people go."
  value       = module.intake.base_url
}

output "address" {
  description = "The load balancer's address, for the domain's A record."
  value       = module.intake.address
}

output "certificate_record" {
  description = "The record that proves the domain, for a regional load balancer."
  value       = module.intake.certificate_record
}

output "facts_key" {
  description = "The key that wraps the controller's own (README.md, step 3)."
  value       = module.signing.facts_key
}

output "controller" {
  description = "The worker pool or service of the controller."
  value       = module.controller.name
}

output "log_bucket" {
  description = "Where Curfew's log is kept."
  value       = module.monitoring.bucket
}

output "by_hand" {
  description = "What Terraform cannot do."
  value       = module.identity.groups_reader_step
}
