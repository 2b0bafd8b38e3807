package screen

import "testing"

// A line of JSON input is a command, or is refused with a code.
func FuzzCommand(f *testing.F) {
	for _, text := range []string{`{"type":"message","text":"hi"}`, `{"type":"send-file","path":"/x"}`, `{"type":"accept","id":"1"}`, `{"type":"keep","name":"ben"}`, `{"type":7}`, `[]`, `{"type":"message","text":"\ud800"}`, "\xff"} {
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, cut bool) {
		m, code, err := parseCommand(line{number: 1, text: text, cut: cut})
		if (err == nil) != (code == "") {
			t.Errorf("%q: code %q with error %v", text, code, err)
		}
		_ = losesSurrogate(m.Text, string(m.Text))
	})
}
