package main

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// Files between two pages, and between a page and the program.
func TestPageFiles(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	t.Run("go from page to page, into memory and to disk", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		caller, callee := b.open(t, server), b.open(t, server)
		callee.answer(caller.call(""))
		verified(t, caller, callee)
		folder := t.TempDir()
		for _, to := range []struct {
			name string
			size int
			disk bool
		}{{"large.bin", 20<<20 + 7, false}, {"empty.txt", 0, false}, {"streamed.bin", 3<<20 + 1, true}} {
			path, sum := random(t, to.name, to.size)
			if to.disk {
				callee.picksDisk()
			} else {
				callee.picksNothing()
			}
			saved := callee.downloadsTo(folder)
			caller.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{path}))
			callee.accepts(to.name)
			for _, p := range []*tab{caller, callee} {
				if got := p.whole(to.name); got != sum {
					t.Errorf("%s has SHA-256 %s, and arrived with %s", to.name, sum, got)
				}
			}
			if to.disk {
				if got := callee.onDisk(); got != sum {
					t.Errorf("%s is on the browser's disk with SHA-256 %s", to.name, got)
				}
				continue
			}
			same(t, path, saved(to.name))
		}
	})
	t.Run("come from the program and go to it", func(t *testing.T) {
		server := serving(t)
		page := b.open(t, server)
		page.picksNothing()
		theirs, theirSum := random(t, "from-program.bin", 5<<20)
		mine, mySum := random(t, "from-page.bin", 7<<20+3)
		folder := t.TempDir()
		program := launch(t, "answer", page.call(""), "--server", server, "--send", theirs, "--accept-files", "--download-dir", folder)
		verified(t, page)
		saved := page.downloadsTo(t.TempDir())
		page.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{mine}))
		page.accepts("from-program.bin")
		if got := page.whole("from-program.bin"); got != theirSum {
			t.Errorf("the program's file arrived with SHA-256 %s, not %s", got, theirSum)
		}
		if got := page.whole("from-page.bin"); got != mySum {
			t.Errorf("the page's file arrived with SHA-256 %s, not %s", got, mySum)
		}
		same(t, theirs, saved("from-program.bin"))
		same(t, mine, filepath.Join(folder, "from-page.bin"))
		page.click("leave")
		program.finish(t)
	})
	t.Run("are dropped on the page, and come as a folder", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		page := b.open(t, server)
		page.picksNothing()
		album := filepath.Join(t.TempDir(), "album")
		if err := os.MkdirAll(filepath.Join(album, "old"), 0o750); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"a.txt": "first", "old/b.txt": "second"} {
			if err := os.WriteFile(filepath.Join(album, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		folder := t.TempDir()
		program := launch(t, "answer", page.call(""), "--server", server, "--send", album, "--accept-files", "--download-dir", folder)
		verified(t, page)
		page.sees("A folder of 2 files, as a tar archive")
		saved := page.downloadsTo(t.TempDir())
		page.accepts("album.tar")
		if sum := page.whole("album.tar"); sum == "" {
			t.Error("the folder has no SHA-256")
		}
		if names := tarred(t, saved("album.tar")); !slices.Equal(names, []string{"a.txt=first", "old/b.txt=second"}) {
			t.Errorf("the archive holds %q", names)
		}
		eval[bool](page, `(() => {
			const dataTransfer = new DataTransfer();
			dataTransfer.items.add(new File(["dropped"], "dropped.txt"));
			for (const type of ["dragover", "drop"]) document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
			return true;
		})()`)
		page.whole("dropped.txt")
		if got, err := os.ReadFile(filepath.Join(folder, "dropped.txt")); err != nil || string(got) != "dropped" { //nolint:gosec // a file of the test
			t.Errorf("what was dropped arrived as %q: %v", got, err)
		}
		page.click("leave")
		program.finish(t)
	})
	t.Run("are declined and cancelled", func(t *testing.T) {
		inFull(t)
		server := serving(t)
		caller, callee := b.open(t, server), b.open(t, server)
		callee.answer(caller.call(""))
		verified(t, caller, callee)
		for button, says := range map[string][2]string{ // here, and on the other side
			"Decline": {"Not transferred: you declined it", "Not transferred: declined"}, "Cancel": {"Not transferred: you cancelled it", "Not transferred: cancelled by its sender"},
		} {
			path, _ := random(t, button+".bin", 10)
			caller.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{path}))
			callee.sees("Accept it?")
			here, there := caller, callee
			if button == "Decline" {
				here, there = callee, caller
			}
			here.choose(button+".bin", button)
			here.sees(says[0])
			there.sees(says[1])
		}
	})
}

// random writes a file, and returns its SHA-256.
func random(t *testing.T, name string, size int) (path, sum string) {
	t.Helper()
	b := make([]byte, size)
	_, _ = rand.Read(b) // never fails
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	h := sha256.Sum256(b)
	return path, hex.EncodeToString(h[:])
}

func same(t *testing.T, a, b string) {
	t.Helper()
	one, err := os.ReadFile(a) //nolint:gosec // a file of the test
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(b) //nolint:gosec // a file of the test
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, other) {
		t.Errorf("%s has %d bytes, and %s has %d others", a, len(one), b, len(other))
	}
}

// tarred returns the files of an archive with their content.
func tarred(t *testing.T, path string) (names []string) {
	t.Helper()
	file, err := os.Open(path) //nolint:gosec // a file of the test
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for r := tar.NewReader(file); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			slices.Sort(names)
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			names = append(names, h.Name+"="+string(text))
		}
	}
}

// item returns the expression of a file in the log.
func item(name string) string {
	return `[...document.querySelectorAll("#log > div")].find((e) => e.querySelector(".file b")?.textContent === ` + js(name) + `)`
}

// choose clicks one of a file's buttons.
func (p *tab) choose(name, button string) {
	p.t.Helper()
	until[bool](p, `[...`+item(name)+`.querySelectorAll("button, a")].some((b) => b.textContent.startsWith(`+js(button)+`) && (b.id = "chosen"))`)
	p.click("chosen")
}

func (p *tab) accepts(name string) {
	p.t.Helper()
	p.choose(name, "Accept")
}

// whole waits until a file has arrived, and returns its SHA-256 as the page shows it.
func (p *tab) whole(name string) string {
	p.t.Helper()
	return until[string](p, item(name)+`.dataset.sha256`)
}

// picksNothing makes the browser one that gives a page no file to write to.
func (p *tab) picksNothing() {
	p.t.Helper()
	eval[bool](p, `delete globalThis.showSaveFilePicker, true`)
}

// picksDisk lets the page write to a real file of the browser's own, because a browser without a window has no dialog.
func (p *tab) picksDisk() {
	p.t.Helper()
	eval[bool](p, `globalThis.showSaveFilePicker = async () => (await navigator.storage.getDirectory()).getFileHandle("kept", { create: true }), true`)
}

// onDisk returns the SHA-256 of that file.
func (p *tab) onDisk() string {
	p.t.Helper()
	return eval[string](p, `(async () => {
		const file = await (await (await navigator.storage.getDirectory()).getFileHandle("kept")).getFile();
		const sum = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
		return [...new Uint8Array(sum)].map((n) => n.toString(16).padStart(2, "0")).join("");
	})()`)
}

// downloadsTo lets the page save files in a folder; the function that it returns waits for one.
func (p *tab) downloadsTo(folder string) (saved func(name string) string) {
	p.t.Helper()
	done := make(chan string, 16)
	err := chromedp.ListenBrowser(p.ctx, func(event any) {
		e, ok := event.(*browser.EventDownloadProgress)
		if !ok || e.State != browser.DownloadProgressStateCompleted {
			return
		}
		path := filepath.Join(folder, e.GUID)
		if _, err := os.Stat(path); err == nil { // the browser tells of the files of all tests
			done <- path
		}
	})
	if err == nil {
		_, err = chromedp.CallBrowser(p.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
			Behavior: browser.SetDownloadBehaviorBehaviorAllowAndName, BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID,
			DownloadPath: folder, EventsEnabled: new(true),
		})
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return func(name string) string {
		select {
		case path := <-done:
			return path
		case <-time.After(pagePatience):
			p.t.Fatalf("%s was not saved", name)
			return ""
		}
	}
}
