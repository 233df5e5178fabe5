output "project" {
  description = "The project of the database; `store.project` of the configuration."
  value       = google_firestore_database.this.project
}

output "database" {
  description = "The id of the database; `store.database` of the configuration."
  value       = google_firestore_database.this.name
}
