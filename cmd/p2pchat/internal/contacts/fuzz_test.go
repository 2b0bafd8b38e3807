package contacts

import (
	"os"
	"path/filepath"
	"testing"
)

// A contact's file may be damaged in any way: it is refused, or is a contact whose keys work and whose name is one.
func FuzzFile(f *testing.F) {
	f.Add([]byte(`{"id":"x","name":"ben","keys":{}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "x"+extension)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := read(path)
		if err != nil {
			return
		}
		if CheckName(c.Name) != nil || c.Keys.Check() != nil || c.ID != "x" {
			t.Errorf("%q is taken for a contact: %+v", text, c.Name)
		}
	})
}
