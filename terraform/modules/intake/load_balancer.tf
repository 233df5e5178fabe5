# The endpoint group names the service and does not need it to exist: the backend's id, which is in IAP's audience, is
# known before the service starts with it.
resource "google_compute_region_network_endpoint_group" "this" {
  count = local.has_balancer ? 1 : 0

  project               = var.project
  region                = var.region
  name                  = var.name
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = var.name
  }
}

resource "google_compute_global_address" "this" {
  count = local.is_global ? 1 : 0

  project = var.project
  name    = var.name
}

resource "google_compute_backend_service" "this" {
  count = local.is_global ? 1 : 0

  project               = var.project
  name                  = var.name
  protocol              = "HTTPS"
  load_balancing_scheme = "EXTERNAL_MANAGED"

  backend {
    group = google_compute_region_network_endpoint_group.this[0].id
  }

  iap {
    enabled              = true
    oauth2_client_id     = try(var.oauth_client.id, null)
    oauth2_client_secret = try(var.oauth_client.secret, null)
  }

  log_config {
    enable      = true
    sample_rate = 1
  }
}

resource "google_iap_web_backend_service_iam_member" "this" {
  for_each = toset(local.is_global ? var.iap_members : [])

  project             = var.project
  web_backend_service = google_compute_backend_service.this[0].name
  role                = "roles/iap.httpsResourceAccessor"
  member              = each.value
}

resource "google_compute_managed_ssl_certificate" "this" {
  count = local.is_global ? 1 : 0

  project = var.project
  name    = var.name

  managed {
    domains = [var.load_balancer.domain]
  }
}

resource "google_compute_ssl_policy" "this" {
  count = local.is_global ? 1 : 0

  project         = var.project
  name            = var.name
  profile         = "RESTRICTED"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_url_map" "this" {
  count = local.is_global ? 1 : 0

  project         = var.project
  name            = var.name
  default_service = google_compute_backend_service.this[0].id
}

resource "google_compute_target_https_proxy" "this" {
  count = local.is_global ? 1 : 0

  project          = var.project
  name             = var.name
  url_map          = google_compute_url_map.this[0].id
  ssl_certificates = [google_compute_managed_ssl_certificate.this[0].id]
  ssl_policy       = google_compute_ssl_policy.this[0].id
}

resource "google_compute_global_forwarding_rule" "this" {
  count = local.is_global ? 1 : 0

  project               = var.project
  name                  = var.name
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.this[0].id
  ip_protocol           = "TCP"
  port_range            = "443"
  target                = google_compute_target_https_proxy.this[0].id
}

resource "google_compute_address" "this" {
  count = local.is_regional ? 1 : 0

  project      = var.project
  region       = var.region
  name         = var.name
  network_tier = "STANDARD"
}

# A regional balancer's proxies need addresses of their own in the network, once for each network and region.
resource "google_compute_subnetwork" "proxies" {
  count = try(var.load_balancer.proxy_range, null) == null ? 0 : 1

  project       = var.project
  region        = var.region
  name          = "${var.name}-proxies"
  network       = var.load_balancer.network
  ip_cidr_range = var.load_balancer.proxy_range
  purpose       = "REGIONAL_MANAGED_PROXY"
  role          = "ACTIVE"
}

resource "google_compute_region_backend_service" "this" {
  count = local.is_regional ? 1 : 0

  project               = var.project
  region                = var.region
  name                  = var.name
  protocol              = "HTTPS"
  load_balancing_scheme = "EXTERNAL_MANAGED"

  backend {
    group = google_compute_region_network_endpoint_group.this[0].id
  }

  iap {
    enabled              = true
    oauth2_client_id     = try(var.oauth_client.id, null)
    oauth2_client_secret = try(var.oauth_client.secret, null)
  }

  log_config {
    enable      = true
    sample_rate = 1
  }
}

resource "google_iap_web_region_backend_service_iam_member" "this" {
  for_each = toset(local.is_regional ? var.iap_members : [])

  project                    = var.project
  region                     = var.region
  web_region_backend_service = google_compute_region_backend_service.this[0].name
  role                       = "roles/iap.httpsResourceAccessor"
  member                     = each.value
}

# Classic managed certificates are global; a regional one is proved by a record in the domain's zone.
resource "google_certificate_manager_dns_authorization" "this" {
  count = local.is_regional ? 1 : 0

  project  = var.project
  location = var.region
  name     = var.name
  domain   = var.load_balancer.domain
  type     = "PER_PROJECT_RECORD"
}

resource "google_certificate_manager_certificate" "this" {
  count = local.is_regional ? 1 : 0

  project  = var.project
  location = var.region
  name     = var.name

  managed {
    domains            = [var.load_balancer.domain]
    dns_authorizations = [google_certificate_manager_dns_authorization.this[0].id]
  }
}

resource "google_compute_region_ssl_policy" "this" {
  count = local.is_regional ? 1 : 0

  project         = var.project
  region          = var.region
  name            = var.name
  profile         = "RESTRICTED"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_region_url_map" "this" {
  count = local.is_regional ? 1 : 0

  project         = var.project
  region          = var.region
  name            = var.name
  default_service = google_compute_region_backend_service.this[0].id
}

resource "google_compute_region_target_https_proxy" "this" {
  count = local.is_regional ? 1 : 0

  project                          = var.project
  region                           = var.region
  name                             = var.name
  url_map                          = google_compute_region_url_map.this[0].id
  certificate_manager_certificates = [google_certificate_manager_certificate.this[0].id]
  ssl_policy                       = google_compute_region_ssl_policy.this[0].id
}

resource "google_compute_forwarding_rule" "this" {
  count = local.is_regional ? 1 : 0

  project               = var.project
  region                = var.region
  name                  = var.name
  load_balancing_scheme = "EXTERNAL_MANAGED"
  network_tier          = "STANDARD"
  network               = var.load_balancer.network
  ip_address            = google_compute_address.this[0].id
  ip_protocol           = "TCP"
  port_range            = "443"
  target                = google_compute_region_target_https_proxy.this[0].id

  depends_on = [google_compute_subnetwork.proxies]
}
