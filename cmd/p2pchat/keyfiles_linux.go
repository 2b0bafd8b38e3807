package main

import "syscall"

// isMountedSecret reports whether the file is on a read-only mount of another file system than that of the root, as containers get their
// secrets (Docker, Kubernetes): its permissions cannot be changed there. The root itself is read-only to a service that systemd protects,
// and its operator can.
func isMountedSecret(path string) bool {
	var mount syscall.Statfs_t
	var file, root syscall.Stat_t
	if syscall.Statfs(path, &mount) != nil || syscall.Stat(path, &file) != nil || syscall.Stat("/", &root) != nil {
		return false
	}
	return mount.Flags&syscall.MS_RDONLY != 0 && file.Dev != root.Dev
}
