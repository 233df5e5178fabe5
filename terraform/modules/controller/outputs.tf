output "name" {
  description = "The full name of the worker pool or service."
  value       = local.is_service ? google_cloud_run_v2_service.this[0].id : google_cloud_run_v2_worker_pool.this[0].id
}
