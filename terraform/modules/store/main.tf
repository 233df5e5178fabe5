locals {
  declared = jsondecode(file("${path.module}/../../../deploy/firestore.indexes.json"))

  indexes = {
    for index in local.declared.indexes :
    join("-", concat([index.collectionGroup], [for field in index.fields : "${field.fieldPath}.${field.order}"])) => index
  }

  overrides = { for field in local.declared.fieldOverrides : "${field.collectionGroup}/${field.fieldPath}" => field }
}

resource "google_firestore_database" "this" {
  project                           = var.project
  name                              = var.database
  location_id                       = var.location
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC"
  point_in_time_recovery_enablement = var.point_in_time_recovery ? "POINT_IN_TIME_RECOVERY_ENABLED" : "POINT_IN_TIME_RECOVERY_DISABLED"
  delete_protection_state           = "DELETE_PROTECTION_ENABLED"
  deletion_policy                   = "ABANDON"

  dynamic "cmek_config" {
    for_each = var.encryption_key == null ? [] : [var.encryption_key]

    content {
      kms_key_name = cmek_config.value
    }
  }
}

resource "google_firestore_index" "this" {
  for_each = local.indexes

  project     = var.project
  database    = google_firestore_database.this.name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields

    content {
      field_path = fields.value.fieldPath
      order      = fields.value.order
    }
  }
}

# An override without indexes exempts the field: nothing may be indexed by a value that grows with time.
resource "google_firestore_field" "this" {
  for_each = local.overrides

  project    = var.project
  database   = google_firestore_database.this.name
  collection = each.value.collectionGroup
  field      = each.value.fieldPath

  index_config {
    dynamic "indexes" {
      for_each = each.value.indexes

      content {
        order       = indexes.value.order
        query_scope = indexes.value.queryScope
      }
    }
  }
}

resource "google_firestore_backup_schedule" "daily" {
  count = var.backup_retention_days == 0 ? 0 : 1

  project   = var.project
  database  = google_firestore_database.this.name
  retention = "${var.backup_retention_days * 86400}s"

  daily_recurrence {}
}
