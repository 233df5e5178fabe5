locals {
  rules_folder = coalesce(var.rules_folder, "${path.module}/../../../deploy/prometheus")

  # Files of rules are those with groups; what promtool and Prometheus itself read has none.
  documents = [for name in sort(fileset(local.rules_folder, "**/*.yml")) : yamldecode(file("${local.rules_folder}/${name}"))]
  rules     = flatten([for document in local.documents : [for group in try(document.groups, []) : [for rule in group.rules : merge(rule, { group = group.name })]]])

  alerts   = { for rule in local.rules : rule.alert => rule if can(rule.alert) }
  recorded = { for rule in local.rules : rule.record => "(${trimspace(rule.expr)})" if can(rule.record) }

  # Cloud Monitoring records nothing: the name of a recorded series gives way to its expression, in which others may stand.
  words    = "[a-zA-Z_:][a-zA-Z0-9_:]*|[^a-zA-Z_:]+"
  once     = { for name, rule in local.alerts : name => join("", [for word in regexall(local.words, trimspace(rule.expr)) : lookup(local.recorded, word, word)]) }
  twice    = { for name, expr in local.once : name => join("", [for word in regexall(local.words, expr) : lookup(local.recorded, word, word)]) }
  queries  = { for name, expr in local.twice : name => join("", [for word in regexall(local.words, expr) : lookup(local.recorded, word, word)]) }
  leftover = { for name, expr in local.queries : name => [for word in regexall(local.words, expr) : word if contains(keys(local.recorded), word)] }

  # "30s", "5m", "2h", "1d" of Prometheus as the whole seconds that Cloud Monitoring asks for.
  units   = { s = 1, m = 60, h = 3600, d = 86400 }
  seconds = { for name, rule in local.alerts : name => try(tonumber(regex("^[0-9]+", rule.for)) * local.units[regex("[smhd]$", rule.for)], 0) }

  severities = { page = "CRITICAL", critical = "CRITICAL", ticket = "WARNING", warning = "WARNING" }
}

# One policy for each alert of deploy/prometheus: the rules that promtool tests are the rules that run here.
resource "google_monitoring_alert_policy" "prometheus" {
  for_each = local.alerts

  project               = var.project
  display_name          = each.key
  combiner              = "OR"
  severity              = try(local.severities[each.value.labels.severity], "WARNING")
  notification_channels = var.notification_channels
  user_labels           = { installation = var.installation }

  conditions {
    display_name = each.key

    condition_prometheus_query_language {
      query               = local.queries[each.key]
      duration            = "${local.seconds[each.key]}s"
      evaluation_interval = "30s"
      rule_group          = each.value.group
      alert_rule          = each.key
      labels              = try(each.value.labels, {})
      # A policy may be made before the first sample of its metric.
      disable_metric_validation = true
    }
  }

  documentation {
    mime_type = "text/markdown"
    subject   = try(each.value.annotations.summary, each.key)
    content   = join("\n\n", compact([try(each.value.annotations.description, ""), try("${var.runbooks}${each.value.annotations.runbook_url}", "")]))
  }

  alert_strategy {
    auto_close = "86400s"
  }

  lifecycle {
    precondition {
      condition     = length(local.leftover[each.key]) == 0 && !can(regex("\\)\\{", local.queries[each.key]))
      error_message = "The alert ${each.key} selects labels of a recorded series, or recorded series stand in each other more than three deep: Cloud Monitoring cannot evaluate it."
    }

    precondition {
      condition     = can(regex("^[0-9]+[smhd]$", try(each.value.for, "0s")))
      error_message = "The alert ${each.key} waits for ${try(each.value.for, "")}: this module understands whole seconds, minutes, hours and days."
    }
  }
}
