package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"p2pchat/chat/disk"
)

// warnOfKeyFiles warns of each file with a key that other users of this machine can read.
func (o *serveOptions) warnOfKeyFiles(log *slog.Logger) {
	for _, key := range []struct{ name, file string }{
		{"the access key", o.keyFile}, {"the certificate's private key", o.tls.key}, {"the credentials for NATS", o.store.credentials},
	} {
		info, err := os.Stat(key.file)
		switch {
		case err != nil || !isReadByOthers(key.file, info): // none is named, or opening it tells
		case isMountedSecret(key.file):
			log.Info("other users of this machine can read "+key.name+", if it has any: the file is mounted read-only, as a container's secrets are", "file", key.file)
		case disk.IsOwn(info) || os.Geteuid() == 0:
			log.Warn("other users of this machine can read "+key.name+": take the right from them, with chmod 600", "file", key.file)
		default: // with mode 600 alone, the server could not read it
			log.Warn("other users of this machine can read "+key.name+": make the file the server's own, with chown, and take the right from them, with chmod 600", "file", key.file, "uid", os.Geteuid())
		}
	}
}

// isReadByOthers reports whether all users may read the file and enter each folder above it.
func isReadByOthers(path string, info os.FileInfo) bool {
	if runtime.GOOS == "windows" || info.Mode().Perm()&0o004 == 0 { // Windows keeps its permissions elsewhere
		return false
	}
	whole, err := filepath.Abs(path)
	if err == nil {
		whole, err = filepath.EvalSymlinks(whole)
	}
	if err != nil {
		return true
	}
	for at := filepath.Dir(whole); ; at = filepath.Dir(at) {
		if folder, err := os.Stat(at); err == nil && folder.Mode().Perm()&0o001 == 0 {
			return false
		}
		if at == filepath.Dir(at) {
			return true
		}
	}
}
