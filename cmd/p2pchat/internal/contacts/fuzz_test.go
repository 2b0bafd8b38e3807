package contacts

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"p2pchat/peer/contact"
)

// A contact's file may be damaged in any way: it is refused, or is a contact whose keys work and whose name is one.
func FuzzFile(f *testing.F) {
	f.Add([]byte(`{"id":"x","name":"ben","keys":{}}`))
	f.Add([]byte(`{}`))
	key := bytes.Repeat([]byte{7}, contact.KeySize)
	genuine, err := json.Marshal(Contact{Format: format, ID: "x", Name: "ben", Server: "http://chat.example.org", Keys: contact.Keep(contact.First, key, key[:contact.NonceSize], key[:contact.NonceSize])})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(genuine)
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
		if places, ids := c.Keys.Places(c.Keys.Side, time.Unix(0, 0)); len(places) != 3*len(c.Keys.Generations) || len(ids) != len(places) {
			t.Errorf("the keys of %q have %d places", text, len(places))
		}
		next, err := c.Keys.Roll(c.Keys.ID(), make([]byte, contact.KeySize))
		if err != nil || next.Check() != nil || next.Unroll(next.ID()).ID() != c.Keys.ID() || len(next.Show(next.ID()).Generations) != 1 {
			t.Errorf("the keys of %q do not roll: %v", text, err)
		}
	})
}
