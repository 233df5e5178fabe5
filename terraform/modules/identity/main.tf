locals {
  parts = {
    intake     = "Curfew intake: records what people ask for; changes no policy"
    controller = "Curfew controller: the only one that writes policies"
  }

  # One permission a line; what a line says after # is for people.
  listed = {
    for part in keys(local.parts) : part => [
      for line in split("\n", file("${path.module}/../../../deploy/${part}-permissions.txt")) : trimspace(line)
      if trimspace(line) != "" && !startswith(trimspace(line), "#")
    ]
  }

  scope_kind = split("/", var.scope)[0]
  scope_id   = split("/", var.scope)[1]

  # A project's custom role may hold neither; with a project as scope nothing above it is read.
  permissions = {
    for part, permissions in local.listed : part => [
      for permission in permissions : permission
      if local.scope_kind != "projects" || !can(regex("^resourcemanager\\.(folders|organizations)\\.", permission))
    ]
  }

  roles = {
    intake_reader     = { part = "intake", permissions = setunion(local.permissions.intake, var.policy_analyzer ? ["cloudasset.assets.analyzeIamPolicy"] : []) }
    controller_reader = { part = "controller", permissions = [for permission in local.permissions.controller : permission if !endswith(permission, ".setIamPolicy")] }
    controller_writer = { part = "controller", permissions = [for permission in local.permissions.controller : permission if endswith(permission, ".setIamPolicy")] }
  }

  role_ids = { for name in keys(local.roles) : name => "curfew_${replace(var.installation, "-", "_")}_${name}" }

  role_names = merge(
    { for name, role in google_project_iam_custom_role.this : name => role.name },
    { for name, role in google_organization_iam_custom_role.this : name => role.name },
  )

  # IAM takes at most ten roles in one hasOnly, and joined by || a write that touches two of the lists would be refused.
  grantable = length(var.grantable_roles) == 0 ? null : format(
    "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly([%s])",
    join(", ", formatlist("'%s'", sort(var.grantable_roles)))
  )

  bindings = {
    for name, role in local.roles : name => {
      member    = google_service_account.this[role.part].member
      condition = name == "controller_writer" ? local.grantable : null
    }
  }
}

resource "google_service_account" "this" {
  for_each = local.parts

  project      = var.project
  account_id   = "${var.account_prefix}${each.key}"
  display_name = "Curfew ${each.key}"
  description  = each.value
}

resource "google_project_iam_custom_role" "this" {
  for_each = local.scope_kind == "projects" ? local.roles : {}

  project     = local.scope_id
  role_id     = local.role_ids[each.key]
  title       = "Curfew ${var.installation} ${replace(each.key, "_", " ")}"
  description = "What Curfew's ${each.value.part} needs on its scope; made from deploy/${each.value.part}-permissions.txt"
  permissions = each.value.permissions
}

resource "google_organization_iam_custom_role" "this" {
  for_each = local.scope_kind == "projects" ? {} : local.roles

  org_id      = local.scope_kind == "organizations" ? local.scope_id : var.organization
  role_id     = local.role_ids[each.key]
  title       = "Curfew ${var.installation} ${replace(each.key, "_", " ")}"
  description = "What Curfew's ${each.value.part} needs on its scope; made from deploy/${each.value.part}-permissions.txt"
  permissions = each.value.permissions
}

resource "google_project_iam_member" "scope" {
  for_each = local.scope_kind == "projects" ? local.bindings : {}

  project = local.scope_id
  role    = local.role_names[each.key]
  member  = each.value.member

  dynamic "condition" {
    for_each = each.value.condition == null ? [] : [each.value.condition]

    content {
      title       = "only grantable roles"
      description = "Curfew's controller may give and take these roles and no others"
      expression  = condition.value
    }
  }
}

resource "google_folder_iam_member" "scope" {
  for_each = local.scope_kind == "folders" ? local.bindings : {}

  folder = var.scope
  role   = local.role_names[each.key]
  member = each.value.member

  dynamic "condition" {
    for_each = each.value.condition == null ? [] : [each.value.condition]

    content {
      title       = "only grantable roles"
      description = "Curfew's controller may give and take these roles and no others"
      expression  = condition.value
    }
  }
}

resource "google_organization_iam_member" "scope" {
  for_each = local.scope_kind == "organizations" ? local.bindings : {}

  org_id = local.scope_id
  role   = local.role_names[each.key]
  member = each.value.member

  dynamic "condition" {
    for_each = each.value.condition == null ? [] : [each.value.condition]

    content {
      title       = "only grantable roles"
      description = "Curfew's controller may give and take these roles and no others"
      expression  = condition.value
    }
  }
}

# IAM cannot tell collections apart: both parts may write all of this one database, and of no other.
resource "google_project_iam_member" "store" {
  for_each = local.parts

  project = var.project
  role    = "roles/datastore.user"
  member  = google_service_account.this[each.key].member

  condition {
    title      = "curfew database only"
    expression = "resource.name == 'projects/${var.project}/databases/${var.database}'"
  }
}

resource "google_project_iam_member" "telemetry" {
  for_each = {
    for pair in setproduct(keys(local.parts), ["roles/logging.logWriter", "roles/monitoring.metricWriter"]) :
    "${pair[0]} ${pair[1]}" => { part = pair[0], role = pair[1] }
  }

  project = var.project
  role    = each.value.role
  member  = google_service_account.this[each.value.part].member
}

resource "google_kms_crypto_key_iam_member" "intake" {
  for_each = toset(var.keys == null ? [] : ["intake", "forms"])

  crypto_key_id = var.keys[each.value]
  role          = "roles/cloudkms.signer"
  member        = google_service_account.this["intake"].member
}

resource "google_kms_crypto_key_iam_member" "controller" {
  count = var.keys == null ? 0 : 1

  crypto_key_id = var.keys.facts
  role          = "roles/cloudkms.cryptoKeyDecrypter"
  member        = google_service_account.this["controller"].member
}
