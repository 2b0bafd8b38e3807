package main

import (
	"io"
	"strings"
	"testing"
)

func TestVariables(t *testing.T) {
	for name, c := range map[string]struct {
		variables []string
		err, note string // in the error, in what is noted; "" is none
	}{
		"one without a dash":            {[]string{"P2PCHAT_RELAYONLY=1"}, "P2PCHAT_RELAY_ONLY", ""},
		"a letter too few":              {[]string{"P2PCHAT_SERVR=https://chat.example.org"}, "P2PCHAT_SERVER", ""},
		"one of another command":        {[]string{"P2PCHAT_MAX_ROOMS=5"}, "", ""},
		"a mistyped one of another":     {[]string{"P2PCHAT_MAXROOMS=5"}, "", "P2PCHAT_MAX_ROOMS"},
		"one that nothing is like":      {[]string{"P2PCHAT_BANANA=1"}, "", "P2PCHAT_BANANA"},
		"an empty one":                  {[]string{"P2PCHAT_RELAYONLY="}, "", ""},
		"an empty key":                  {[]string{"P2PCHAT_ACCESS_KEY="}, "P2PCHAT_ACCESS_KEY is empty", ""},
		"an empty name of a key file":   {[]string{"P2PCHAT_ACCESS_KEY_FILE="}, "P2PCHAT_ACCESS_KEY_FILE is empty", ""},
		"an empty relay-only":           {[]string{"P2PCHAT_RELAY_ONLY="}, "P2PCHAT_RELAY_ONLY is empty", ""},
		"an empty one of a flag":        {[]string{"P2PCHAT_SERVER="}, "", ""},
		"the code and the key":          {[]string{"P2PCHAT_CODE=standup", "P2PCHAT_ACCESS_KEY=sesame"}, "", ""},
		"those of Kubernetes":           {[]string{"P2PCHAT_PORT=tcp://10.0.0.1:3000", "P2PCHAT_SERVICE_PORT_HTTP=3000", "P2PCHAT_PORT_3000_TCP_PROTO=tcp"}, "", ""},
		"one of another program":        {[]string{"P2PCHATTER_RELAY=1", "PATH=/bin"}, "", ""},
		"a duration without a unit":     {[]string{"P2PCHAT_WAIT=5"}, "P2PCHAT_WAIT: add a unit: 5s, 10m", ""},
		"a control character in a name": {[]string{"P2PCHAT_\x1b[31m=1"}, "", "P2PCHAT_␛[31m"},
	} {
		t.Run(name, func(t *testing.T) {
			var notes strings.Builder
			root := rootCommand(stdio{in: strings.NewReader(""), out: io.Discard, err: io.Discard})
			call, _, err := root.Find([]string{"call"})
			if err != nil {
				t.Fatal(err)
			}
			err = environment(call, c.variables, stdio{err: &notes}) // without warnings, they are written
			said := ""
			if err != nil {
				_, _, hint := ending(err)
				said = err.Error() + "\n" + hint
			}
			if !strings.Contains(said, c.err) || c.err == "" && said != "" {
				t.Errorf("the error is %q", said)
			}
			if !strings.Contains(notes.String(), c.note) || c.note == "" && notes.Len() > 0 {
				t.Errorf("it notes %q", notes.String())
			}
		})
	}
}
