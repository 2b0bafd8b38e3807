//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Who leaves while the other side is away is told which command goes on with the files, and loses none.
func TestFilesAreKeptForTheNextRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		call, answer []string
		goOn         string
	}{
		"with a contact":   {[]string{"call", "@c0"}, []string{"answer", "@ben"}, `run p2pchat call @c0`},
		"with a code":      {[]string{"call", "417-falcon-zebra"}, []string{"answer", "417-falcon-zebra"}, `run p2pchat call --resume`},
		"with its own box": {[]string{"call", "417-falcon-zebra", "--outbox", "box"}, []string{"answer", "417-falcon-zebra"}, `run p2pchat call --outbox box`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, dir, inbox := serving(t), t.TempDir(), t.TempDir()
			ann, ben := filepath.Join(dir, "ann"), filepath.Join(dir, "ben")
			kept(t, server, ann, 1, func(int) string { return ben })
			env := []string{"XDG_STATE_HOME=" + ann, "P2PCHAT_NO_OUTBOX=false", "P2PCHAT_SERVER=" + server}
			w := openWindow(t, 160, 24, env, c.call...)
			w.shows(`waiting for`)
			if err := os.WriteFile(filepath.Join(w.cmd.Dir, "plan.txt"), []byte("tomorrow"), 0o600); err != nil {
				t.Fatal(err)
			}
			w.types("/send plan.txt\r")
			w.shows(`You offered "plan\.txt"`)
			w.types("/quit\r")
			w.shows(`p2pchat: "plan\.txt" was not sent: this program ended before the file had arrived\. To go on with it, ` + c.goOn + `\.$`)
			w.ends(0)
			args := c.call
			if name == "with a code" {
				args = []string{"call", "--resume"}
			}
			again := launchWith(t, w.cmd.Dir, env, append(args, "--ui", "json")...)
			answer := launchWith(t, inbox, []string{"XDG_STATE_HOME=" + ben, "P2PCHAT_SERVER=" + server}, append(c.answer, "--ui", "json", "--accept-files")...)
			answer.prints(t, `"name":"plan.txt".*"type":"file-received"`)
			again.say(t, `{"type":"leave"}`)
			again.finishes(t, 0)
		})
	}
}
