variable "project" {
  description = "The project that holds the database. Nothing but Curfew should live in it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project must be a project id, such as access-system, not a number or a full name."
  }
}

variable "location" {
  description = "Where Firestore keeps the database: a region, or the multi-regions nam5 and eur3. It cannot be changed later."
  type        = string

  validation {
    condition     = can(regex("^([a-z]+-[a-z]+[0-9]+|nam5|nam7|eur3)$", var.location))
    error_message = "location must be a region such as europe-west1, or nam5, nam7 or eur3."
  }
}

variable "database" {
  description = "The id of the database; `store.database` of the configuration."
  type        = string
  default     = "(default)"

  validation {
    condition     = var.database == "(default)" || can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", var.database))
    error_message = "database must be (default), or 4 to 63 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "point_in_time_recovery" {
  description = "Whether every version of the last seven days can be read back."
  type        = bool
  default     = true
}

variable "backup_retention_days" {
  description = "How long daily backups are kept; 0 for none. Ended requests are the audit trail, so keep some."
  type        = number
  default     = 35

  validation {
    condition     = var.backup_retention_days >= 0 && var.backup_retention_days <= 98 && floor(var.backup_retention_days) == var.backup_retention_days
    error_message = "backup_retention_days must be a whole number from 0 to 98: Firestore keeps a backup for at most 14 weeks."
  }
}

variable "encryption_key" {
  description = "A Cloud KMS key that encrypts the database, `projects/…/cryptoKeys/…`; null for Google's own. It cannot be changed later."
  type        = string
  default     = null

  validation {
    condition     = var.encryption_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.encryption_key))
    error_message = "encryption_key must be the full name of a key: projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}
