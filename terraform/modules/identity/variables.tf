variable "project" {
  description = "Curfew's own project: the service accounts live in it, and the database."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be a project id, such as access-system, not a number or a full name."
  }
}

variable "installation" {
  description = "The installation's name, as in the configuration. It is part of the custom roles' ids."
  type        = string
  default     = "prod"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.installation))
    error_message = "installation must be 1 to 31 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "scope" {
  description = "What Curfew manages, as in the configuration: organizations/N, folders/N or projects/ID."
  type        = string

  validation {
    condition     = can(regex("^(organizations/[0-9]+|folders/[0-9]+|projects/[a-z][a-z0-9-]{4,28}[a-z0-9])$", var.scope))
    error_message = "scope must be organizations/NUMBER, folders/NUMBER or projects/ID."
  }

  validation {
    condition     = var.scope != "projects/${var.project}"
    error_message = "scope must not be Curfew's own project: whoever it lets into that could change Curfew itself."
  }
}

variable "organization" {
  description = "The number of the organisation that holds the custom roles. Needed with a folder as scope: folders have no custom roles."
  type        = string
  default     = null

  validation {
    condition     = var.organization == null || can(regex("^[0-9]+$", var.organization))
    error_message = "organization must be the organisation's number alone, such as \"123456789\"."
  }

  validation {
    condition     = !startswith(var.scope, "folders/") || var.organization != null
    error_message = "organization must name the folder's organisation: a folder cannot hold the custom roles that this module makes."
  }
}

variable "grantable_roles" {
  description = "The roles that the controller may give and take, at most ten. Empty leaves its policy writes unlimited: say so on purpose."
  type        = list(string)

  validation {
    condition     = length(var.grantable_roles) <= 10
    error_message = "grantable_roles holds more than ten roles: IAM takes no more in one hasOnly(). Split the scope into installations, or pass [] and rely on the alert for unknown policy writes."
  }

  validation {
    condition     = alltrue([for role in var.grantable_roles : can(regex("^((organizations/[0-9]+|projects/[a-z0-9-]+)/)?roles/[a-zA-Z0-9_.]+$", role))])
    error_message = "grantable_roles must be full role names, such as roles/compute.viewer or organizations/123/roles/deployer."
  }

  validation {
    condition     = length(setintersection(var.grantable_roles, ["roles/owner", "roles/editor", "roles/viewer"])) == 0
    error_message = "grantable_roles must not hold a basic role: IAM refuses conditions on those, so Curfew never grants them."
  }

  validation {
    condition     = length(distinct(var.grantable_roles)) == length(var.grantable_roles)
    error_message = "grantable_roles names a role twice."
  }
}

variable "database" {
  description = "The id of the database that both parts may use."
  type        = string
  default     = "(default)"

  validation {
    condition     = var.database == "(default)" || can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", var.database))
    error_message = "database must be (default), or 4 to 63 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "keys" {
  description = "The keys of the module signing, full names: `intake` signs people's acts, `forms` derives the key of its forms, `facts` wraps the controller's own key. Null where keys are files."
  type = object({
    intake = string
    forms  = string
    facts  = string
  })
  default = null

  validation {
    condition     = var.keys == null || alltrue([for key in values(coalesce(var.keys, {})) : can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", key))])
    error_message = "keys must be full names of keys: projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}

variable "policy_analyzer" {
  description = "Whether lists are made by the Policy Analyzer (`eligible.catalog: PolicyAnalyzer`), which needs a permission more."
  type        = bool
  default     = false
}

variable "account_prefix" {
  description = "What the service accounts' ids begin with; the rest is intake or controller."
  type        = string
  default     = "curfew-"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,19}$", var.account_prefix))
    error_message = "account_prefix must be 1 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}
