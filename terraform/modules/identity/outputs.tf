output "intake_email" {
  description = "Intake's service account."
  value       = google_service_account.this["intake"].email
}

output "controller_email" {
  description = "The controller's service account."
  value       = google_service_account.this["controller"].email
}

output "roles" {
  description = "The custom roles, by what they are for: intake_reader, controller_reader, controller_writer."
  value       = local.role_names
}

output "controller_condition" {
  description = "The condition that limits which roles the controller may give and take; null if grantable_roles is empty."
  value       = local.grantable
}

output "groups_reader_step" {
  description = "What a super administrator must still do by hand: Groups Reader is no IAM role, so Terraform cannot give it."
  value       = <<-EOT
    Give both service accounts the administrator role Groups Reader of Google Workspace or Cloud Identity:
    1. Sign in to https://admin.google.com as a super administrator; open Account > Admin roles > Groups Reader.
    2. Choose "Admins assigned" > "Assign service accounts" and enter, one after the other:
         ${google_service_account.this["intake"].email}  (unique id ${google_service_account.this["intake"].unique_id})
         ${google_service_account.this["controller"].email}  (unique id ${google_service_account.this["controller"].unique_id})
    3. `curfew doctor` says whether it took effect; Google needs up to a day, as a rule minutes.
  EOT
}
