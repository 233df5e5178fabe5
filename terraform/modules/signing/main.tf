resource "google_kms_key_ring" "this" {
  project  = var.project
  name     = var.key_ring
  location = var.location
}

# Intake signs people's acts with it. A new version is a new key of `keys`; the old one stays there until its window ends.
resource "google_kms_crypto_key" "intake" {
  key_ring                   = google_kms_key_ring.this.id
  name                       = "intake"
  purpose                    = "ASYMMETRIC_SIGN"
  destroy_scheduled_duration = "${var.destroy_after_days * 86400}s"

  version_template {
    algorithm        = "EC_SIGN_P256_SHA256"
    protection_level = var.protection_level
  }

  lifecycle {
    prevent_destroy = true
  }
}

# Wraps the key of the controller's facts. Old versions keep unwrapping what they wrapped.
resource "google_kms_crypto_key" "facts" {
  key_ring                   = google_kms_key_ring.this.id
  name                       = "facts"
  purpose                    = "ENCRYPT_DECRYPT"
  rotation_period            = "${var.facts_rotation_days * 86400}s"
  destroy_scheduled_duration = "${var.destroy_after_days * 86400}s"

  version_template {
    algorithm        = "GOOGLE_SYMMETRIC_ENCRYPTION"
    protection_level = var.protection_level
  }

  lifecycle {
    prevent_destroy = true
  }
}

# Derives the key that intake's forms are sealed with, the same for all its instances. A new version ends open forms.
resource "google_kms_crypto_key" "forms" {
  key_ring                   = google_kms_key_ring.this.id
  name                       = "forms"
  purpose                    = "MAC"
  destroy_scheduled_duration = "${var.destroy_after_days * 86400}s"

  version_template {
    algorithm        = "HMAC_SHA256"
    protection_level = var.protection_level
  }

  lifecycle {
    prevent_destroy = true
  }
}

data "google_kms_crypto_key_version" "intake" {
  crypto_key = google_kms_crypto_key.intake.id
  version    = var.intake_key_version
}
