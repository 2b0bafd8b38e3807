package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// keyWarnings returns what serve logs about the files with its keys.
func keyWarnings(o serveOptions) string {
	var out bytes.Buffer
	o.warnOfKeyFiles(slog.New(slog.NewTextHandler(&out, nil)))
	return out.String()
}

// A key that others can read is told of: any of them, unless a folder above it keeps the others out.
func TestKeysThatOthersCanRead(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "keys")
	key := filepath.Join(folder, "key")
	link := filepath.Join(dir, "link")
	for _, err := range []error{os.Chmod(dir, 0o755), os.Mkdir(folder, 0o755), os.WriteFile(key, []byte("0123456789abcdef"), 0o600), os.Symlink(key, link)} { //nolint:gosec // others may enter the folder
		if err != nil {
			t.Fatal(err)
		}
	}
	if above, err := os.Stat(filepath.Dir(dir)); err != nil || above.Mode().Perm()&0o001 == 0 {
		t.Skip("NOT RUN: others cannot enter the folder for temporary files")
	}
	for _, c := range []struct {
		name, path   string
		file, folder os.FileMode
		told         bool
	}{
		{"private", key, 0o600, 0o755, false},
		{"of a group", key, 0o640, 0o755, false},
		{"of all", key, 0o644, 0o755, true},
		{"of all, behind a link", link, 0o444, 0o755, true},
		{"in a private folder", key, 0o644, 0o700, false},
		{"in a private folder, behind a link", link, 0o644, 0o700, false},
	} {
		if err := os.Chmod(key, c.file); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(folder, c.folder); err != nil {
			t.Fatal(err)
		}
		for what, o := range map[string]serveOptions{
			"the access key: ": {keyFile: c.path}, "the certificate's private key: ": {tls: tlsOptions{key: c.path}}, "the credentials for NATS: ": {store: storeOptions{credentials: c.path}},
		} {
			got := keyWarnings(o)
			if told := strings.Contains(got, "level=WARN msg=\"other users of this machine can read "+what); told != c.told || !told && got != "" {
				t.Errorf("%s: it logs %q", c.name, got)
			}
		}
	}
	for _, err := range []error{os.Chmod(folder, 0o755), os.Chmod(key, 0o644)} { //nolint:gosec // others may read it
		if err != nil {
			t.Fatal(err)
		}
	}
	server := launch(t, "serve", "--listen", "127.0.0.1:0", "--access-key-file", key)
	server.notes(t, `level=WARN msg="other users of this machine can read the access key: .*file=`+key+`$`)
	if os.Geteuid() != 0 {
		return
	}
	for _, err := range []error{os.Chown(key, 1000, 1000), syscall.Seteuid(65532)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got := keyWarnings(serveOptions{keyFile: key})
	if err := syscall.Seteuid(0); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got, "make the file the server's own, with chown, and take the right from them, with chmod 600\" file="+key+" uid=65532") {
		t.Errorf("of a file of another user, it logs %q", got)
	}
}

// The permissions of a secret that is mounted into a container cannot be changed there.
func TestMountedSecrets(t *testing.T) {
	disk := newSmallDisk(t)
	key := filepath.Join(disk.dir, "key")
	if err := os.WriteFile(key, []byte("0123456789abcdef"), 0o444); err != nil { //nolint:gosec // that others can read it is the case in question
		t.Fatal(err)
	}
	for _, err := range []error{os.Chmod(filepath.Dir(disk.dir), 0o755), os.Chmod(disk.dir, 0o755)} { //nolint:gosec // others may enter the folder
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := keyWarnings(serveOptions{keyFile: key}); !strings.Contains(got, "level=WARN") {
		t.Errorf("while it can be changed, it logs %q", got)
	}
	if err := syscall.Mount("none", disk.dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if got := keyWarnings(serveOptions{keyFile: key}); strings.Contains(got, "level=WARN") || !strings.Contains(got, "level=INFO") {
		t.Errorf("of a mounted secret, it logs %q", got)
	}
}
