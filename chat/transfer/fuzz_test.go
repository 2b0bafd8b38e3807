package transfer

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func tarOf(f *testing.F, headers ...tar.Header) []byte {
	f.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		body := bytes.Repeat([]byte("x"), int(h.Size))
		if err := w.WriteHeader(&h); err != nil {
			f.Fatal(err)
		}
		if _, err := w.Write(body); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	return b.Bytes()
}

// Whatever a stranger's stream says, nothing but files and folders appears below the folder for it, and no more bytes than
// were announced.
func FuzzUnpack(f *testing.F) {
	f.Add(tarOf(f, tar.Header{Name: "a/b", Size: 3, Mode: 0o644}), 1)
	f.Add(tarOf(f, tar.Header{Name: "a", Typeflag: tar.TypeDir, Mode: 0o755}, tar.Header{Name: "a/b", Size: 600, Mode: 0o777}), 1)
	f.Add(tarOf(f, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: ".."}), 0)
	f.Add(tarOf(f, tar.Header{Name: "../up", Size: 1, Mode: 0o644}), 1)
	f.Add(tarOf(f, tar.Header{Name: "/etc/x", Size: 1, Mode: 0o644}), 1)
	f.Fuzz(func(t *testing.T, stream []byte, files int) {
		dir := t.TempDir()
		below := filepath.Join(dir, "below")
		if err := os.Mkdir(below, 0o750); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(below)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		room := int64(len(stream))
		_ = (&tree{root: root, room: room, renamed: map[string]string{}}).unpack(bytes.NewReader(stream), files, Content{})
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("beside the folder there are %v, %v", entries, err)
		}
		var size int64
		err = filepath.WalkDir(below, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && !info.IsDir() {
				size += info.Size()
			}
			if err == nil && !info.IsDir() && !info.Mode().IsRegular() || info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
				t.Errorf("%s is %v", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		if size > room {
			t.Errorf("%d bytes became %d", room, size)
		}
	})
}
