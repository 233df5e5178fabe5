locals {
  # Cloud Run mounts a secret as a folder, and no two in one: each file has a folder of its own.
  mounts = merge(
    { config = { path = "/etc/curfew/config", file = "curfew.yaml", text = var.configuration } },
    { for name, text in var.files : replace(name, ".", "-") => { path = "/etc/curfew/${name}", file = name, text = text } },
    { collector = { path = "/etc/rungmp", file = "config.yaml", text = file("${path.module}/../../../deploy/cloudrun/collector.yaml") } },
  )
}

resource "google_secret_manager_secret" "this" {
  for_each = local.mounts

  project   = var.project
  secret_id = "${var.name}-${each.key}"

  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_version" "this" {
  for_each = local.mounts

  secret      = google_secret_manager_secret.this[each.key].id
  secret_data = each.value.text
}

resource "google_secret_manager_secret_iam_member" "this" {
  for_each = local.mounts

  project   = var.project
  secret_id = google_secret_manager_secret.this[each.key].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = "serviceAccount:${var.service_account}"
}
