output "intake_key" {
  description = "Intake's key, for the signer's role."
  value       = google_kms_crypto_key.intake.id
}

output "intake_key_version" {
  description = "The version that signs; `signing.kms` of the configuration."
  value       = data.google_kms_crypto_key_version.intake.name
}

output "intake_public_key" {
  description = "The public half of that version, PEM; `publicKey` of its entry in `keys`."
  value       = data.google_kms_crypto_key_version.intake.public_key[0].pem
}

output "forms_key" {
  description = "The key of intake's forms, for the signer's role."
  value       = google_kms_crypto_key.forms.id
}

output "forms_key_version" {
  description = "The version that derives; `formKey.kms` of the configuration."
  value       = "${google_kms_crypto_key.forms.id}/cryptoKeyVersions/${var.forms_key_version}"
}

output "facts_key" {
  description = "The key that wraps the controller's own; `factsKey.kms` of the configuration."
  value       = google_kms_crypto_key.facts.id
}
