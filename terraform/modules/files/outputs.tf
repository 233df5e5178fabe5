output "mounts" {
  description = "What to mount, by volume: path, file, secret, version. The volume `collector` is the sidecar's, all others are Curfew's."
  value = {
    for name, mount in local.mounts : name => {
      path    = mount.path
      file    = mount.file
      secret  = google_secret_manager_secret.this[name].secret_id
      version = google_secret_manager_secret_version.this[name].version
    }
  }

  # A container that starts before it may read its files does not start.
  depends_on = [google_secret_manager_secret_iam_member.this]
}
