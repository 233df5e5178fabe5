provider "google" {
  project = var.project
  region  = var.region
}

provider "google-beta" {
  project = var.project
  region  = var.region
}

locals {
  services = {
    (var.project) = [
      "admin.googleapis.com",
      "cloudasset.googleapis.com",
      "cloudidentity.googleapis.com",
      "cloudkms.googleapis.com",
      "cloudresourcemanager.googleapis.com",
      "compute.googleapis.com",
      "firestore.googleapis.com",
      "iam.googleapis.com",
      "iap.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "run.googleapis.com",
      "secretmanager.googleapis.com",
    ]
    (var.keys_project)  = ["cloudkms.googleapis.com"]
    (var.audit_project) = ["logging.googleapis.com", "monitoring.googleapis.com"]
  }

  # The key that signs, then those that are believed beside it.
  believed_keys = concat([{
    id        = "intake-${var.intake_key_version}"
    owner     = "intake"
    publicKey = module.signing.intake_public_key
    level     = "SESSION"
    verbs     = ["REQUEST", "DECIDE", "DIRECT", "CONTROL"]
    from      = var.keys_from
    until     = var.keys_until
    }], [for key in var.other_intake_keys : merge({
      id        = "intake-${key.version}"
      owner     = "intake"
      publicKey = key.public_key
      level     = "SESSION"
      verbs     = ["REQUEST", "DECIDE", "DIRECT", "CONTROL"]
      from      = key.from
      until     = key.until
  }, key.distrusted_from == null ? {} : { distrustedFrom = key.distrusted_from })])

  configuration = templatefile("${path.module}/curfew.yaml.tftpl", {
    installation       = var.installation
    scope              = var.scope
    protected          = [for project in distinct([var.project, var.keys_project, var.audit_project]) : "projects/${project}"]
    store_project      = module.store.project
    store_database     = module.store.database
    hosted_domains     = var.hosted_domains
    operators          = var.operators
    auditors           = var.auditors
    intake_key_version = module.signing.intake_key_version
    intake_key_id      = local.believed_keys[0].id
    believed_keys      = local.believed_keys
    forms_key_version  = module.signing.forms_key_version
    facts_key          = module.signing.facts_key
  })

  files = var.wrapped_facts_key == null ? {} : { "facts.wrapped" = var.wrapped_facts_key }
}

resource "google_project_service" "this" {
  for_each = merge([for project, services in local.services : { for service in services : "${project}/${service}" => { project = project, service = service } }]...)

  project            = each.value.project
  service            = each.value.service
  disable_on_destroy = false
}

module "store" {
  source = "../../modules/store"

  project  = var.project
  location = var.region

  depends_on = [google_project_service.this]
}

module "signing" {
  source = "../../modules/signing"

  project            = var.keys_project
  location           = var.region
  intake_key_version = var.intake_key_version

  depends_on = [google_project_service.this]
}

module "identity" {
  source = "../../modules/identity"

  project         = var.project
  installation    = var.installation
  scope           = var.scope
  organization    = var.organization
  grantable_roles = var.grantable_roles
  database        = module.store.database

  keys = {
    intake = module.signing.intake_key
    forms  = module.signing.forms_key
    facts  = module.signing.facts_key
  }
}

module "intake" {
  source = "../../modules/intake"

  project          = var.project
  region           = var.region
  image            = var.image
  service_account  = module.identity.intake_email
  configuration    = local.configuration
  iap_members      = var.iap_members
  load_balancer    = var.load_balancer
  oauth_client     = var.oauth_client
  reauthentication = var.reauthentication
}

module "controller" {
  source = "../../modules/controller"

  project         = var.project
  region          = var.region
  image           = var.image
  service_account = module.identity.controller_email
  configuration   = local.configuration
  files           = local.files
  base_url        = module.intake.base_url
  iap_audience    = module.intake.audience
  run_as          = var.run_controller_as
}

resource "google_monitoring_notification_channel" "mail" {
  for_each = toset([var.project, var.audit_project])

  project      = each.value
  display_name = "Curfew ${var.installation}"
  type         = "email"
  labels       = { email_address = var.alerts_to }

  depends_on = [google_project_service.this]
}

module "monitoring" {
  source = "../../modules/monitoring"

  project                     = var.project
  audit_project               = var.audit_project
  installation                = var.installation
  scope                       = var.scope
  controller_email            = module.identity.controller_email
  notification_channels       = [google_monitoring_notification_channel.mail[var.project].name]
  audit_notification_channels = [google_monitoring_notification_channel.mail[var.audit_project].name]
  lock                        = var.lock_log
}
