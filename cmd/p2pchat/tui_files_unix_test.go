//go:build unix

package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Several files at once: a pattern offers them, or nothing is offered; several numbers take them.
func TestSeveralFilesAtOnce(t *testing.T) {
	t.Parallel()
	ann, ben := twoWindows(t)
	for _, name := range []string{"one.txt", "two.txt", "three.txt", "song.mp3"} {
		if err := os.WriteFile(ann.cmd.Dir+"/"+name, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ann.types("/send *.txt *.jpg\r")
	ann.shows(`Nothing was offered: no file matches \*\.jpg`)
	ann.types("/send one.txt none.txt\r")
	ann.shows(`Nothing was offered: \S*none\.txt cannot be sent: no\s+such\s+file or\s+directory\s*\n`)
	ann.types("/send *.txt\r")
	ben.shows(`(?s)offers "one.txt".*offers "three.txt".*offers "two.txt"`)
	if regexp.MustCompile(`(?s)offers "one.txt".*offers "one.txt"`).MatchString(ben.text()) {
		t.Error("a part of what cannot be sent was offered")
	}
	number := regexp.MustCompile(`offers "(?:one|two).txt" \([^)]*\):\s+/accept.(\d+)`).FindAllStringSubmatch(ben.text(), -1)
	if len(number) != 2 {
		t.Fatalf("it offers:\n%s", ben.text())
	}
	ben.types("/accept " + number[0][1] + " " + number[1][1] + "\r")
	ben.shows(`(?s)Saved "one.txt" .*Saved "two.txt" |Saved "two.txt" .*Saved "one.txt" `)
	ben.types("/decline\r")
	ben.shows(`You declined "three.txt"\.`)
	ann.shows(`Ben declined "three.txt"\.`)
}

// A file is offered by a person who completes its path, and taken by another.
func TestWholeTerminalSendsFiles(t *testing.T) {
	t.Parallel()
	ann, ben := twoWindows(t)
	dir, content := t.TempDir(), strings.Repeat("the boat leaves at six\n", 100_000)
	if err := os.WriteFile(dir+"/harbour plan.txt", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	ann.types("/se\t" + dir + "/har\t")
	ann.shows(`harbour\\ plan.txt$`)
	ann.types("\r")
	ann.shows(`You offered "harbour plan.txt" \(2.3 MB\) as number \d+; Ben has not`)
	ben.shows(`Ann offers "harbour plan.txt" \(2.3 MB, text\): /accept.\d+ or /decline.\d+`)
	ben.types("/acc\t\r")
	ben.shows(`Saved "harbour plan.txt" \(2.3 MB, verified\) `)
	ann.shows(`Ben has "harbour plan.txt" \(2.3 MB, verified\)`)
	if got, err := os.ReadFile(ben.cmd.Dir + "/harbour plan.txt"); err != nil || string(got) != content {
		t.Errorf("%d bytes have arrived: %v", len(got), err)
	}
	ann.types("/send " + dir + "/nothing\r")
	ann.shows(`(?s)Nothing was offered:.*no\s+such\s+file`)
	ann.types("/send '" + dir + "/harbour plan.txt'\r")
	ben.shows(`(?s)offers "harbour plan.txt" .*offers "harbour plan.txt" `)
	ben.types("/decline\r")
	ben.shows(`You declined "harbour plan.txt"\.`)
	ann.shows(`Ben declined "harbour plan.txt"\.`)
}
