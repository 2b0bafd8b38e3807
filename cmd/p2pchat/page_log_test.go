package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/chromedp/chromedp"
)

// The log shows times, news below, links and pictures.
func TestPageLog(t *testing.T) {
	t.Parallel()
	b := sharedBrowser(t)
	t.Run("the time of each message", func(t *testing.T) {
		caller, callee := inCall(t, b)
		caller.say("on time")
		callee.hears("on time")
		for _, p := range []*tab{caller, callee} {
			if at := until[string](p, `document.querySelector("#log .text + .foot time").textContent`); !regexp.MustCompile(`^\d?\d:\d\d`).MatchString(at) {
				t.Errorf("the message is of %q", at)
			}
		}
	})
	t.Run("that there are new messages below", func(t *testing.T) {
		inFull(t)
		caller, callee := inCall(t, b)
		callee.looks(390, 500, "light")
		for n := range 20 {
			caller.say(fmt.Sprintf("line %d", n))
		}
		callee.hears("line 19")
		until[bool](callee, `new Promise(requestAnimationFrame) && document.getElementById("log").scrollTop > 100`)
		if eval[bool](callee, `document.getElementById("below").checkVisibility()`) {
			t.Error("at the end of the log the page tells of messages below")
		}
		callee.do(chromedp.Evaluate[chromedp.Void](`document.getElementById("log").scrollTop = 0; 0`))
		caller.say("out of sight")
		callee.sees("One new message below")
		if top := eval[float64](callee, `document.getElementById("log").scrollTop`); top != 0 {
			t.Errorf("the log has moved to %v while it was read", top)
		}
		caller.say("and another")
		callee.sees("2 new messages below")
		callee.click("below")
		until[bool](callee, `document.getElementById("below").hidden`)
		callee.press("seen")
		if got := callee.value("text"); got != "seen" {
			t.Errorf("after a click on the news the box holds %q", got)
		}
	})
	t.Run("the last message, also when a phone's keyboard opens", func(t *testing.T) {
		inFull(t)
		caller, callee := inCall(t, b)
		callee.looks(390, 844, "light")
		for n := range 12 {
			caller.say(fmt.Sprintf("line %d", n))
		}
		callee.hears("line 11")
		callee.looks(390, 400, "light")
		until[bool](callee, `document.getElementById("log").clientHeight < 350`)
		if below := eval[float64](callee, `new Promise((resolve) => setTimeout(() => {
			const log = document.getElementById("log");
			resolve(log.scrollHeight - log.scrollTop - log.clientHeight);
		}, 200))`); below > 1 {
			t.Errorf("%v pixels of the log are out of sight", below)
		}
	})
	t.Run("links, and where they lead", func(t *testing.T) {
		inFull(t)
		caller, callee := inCall(t, b)
		type link struct{ Text, Href, Host, Rel, Target string }
		for text, want := range map[string][]link{
			"see https://example.org/a?b=c&d#e, (http://example.org/x_(y)) and HTTPS://EXAMPLE.ORG.": {
				{Text: "https://example.org/a?b=c&d#e", Href: "https://example.org/a?b=c&d#e"}, {Text: "http://example.org/x_(y)", Href: "http://example.org/x_(y)"}, {Text: "HTTPS://EXAMPLE.ORG", Href: "https://example.org/"},
			},
			"javascript:alert(1) data:text/html,x file:///etc/passwd xhttps://example.org https:// http://[ www.example.org": nil,
			"https://раураl.example/":                        {{Text: "https://раураl.example/", Href: "https://xn--l-7sba6dbr.example/", Host: "xn--l-7sba6dbr.example"}},
			"https://bank.example@evil.example/":             {{Text: "https://bank.example@evil.example/", Href: "https://bank.example@evil.example/", Host: "evil.example"}},
			`https://bank.example\@evil.example/`:            {{Text: `https://bank.example\@evil.example/`, Href: "https://bank.example/@evil.example/", Host: "bank.example"}},
			"https://example.org/\u202egpj.exe":              {{Text: "https://example.org/", Href: "https://example.org/"}},
			"https://example.org/\"onclick=\"alert(1)<b>":    {{Text: "https://example.org/", Href: "https://example.org/"}},
			"https://example.org/\u200b\u200fhidden":         {{Text: "https://example.org/", Href: "https://example.org/"}},
			"https://example.org/**bold** and https://a.b/'": {{Text: "https://example.org/**bold", Href: "https://example.org/**bold"}, {Text: "https://a.b/", Href: "https://a.b/"}},
		} {
			caller.writes(text)
			callee.hears(onPage(text))
			got := eval[[]link](callee, `[...[...document.querySelectorAll("#log .text")].at(-1).querySelectorAll("a")].map((a) => ({ Text: a.textContent, Href: a.href, Host: a.dataset.host ?? "", Rel: a.rel, Target: a.target }))`)
			for i := range want {
				want[i].Rel, want[i].Target = "noopener noreferrer", "_blank"
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%q has the links\n%+v, want\n%+v", text, got, want)
			}
		}
	})
	t.Run("pictures that were accepted", func(t *testing.T) {
		inFull(t)
		caller, callee := inCall(t, b)
		callee.picksNothing()
		folder := t.TempDir()
		shown := func(name string, content []byte) string {
			t.Helper()
			path := filepath.Join(folder, name)
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			caller.do(chromedp.SetUploadFiles(chromedp.ID("file"), []string{path}))
			callee.sees(name)
			if n := eval[int](callee, `document.querySelectorAll("#log img").length`); n != 0 {
				t.Errorf("%d pictures before %s was accepted", n, name)
			}
			callee.accepts(name)
			callee.whole(name)
			size := eval[string](callee, `new Promise((resolve) => setTimeout(() => { // a picture is read right after
				const img = `+item(name)+`.querySelector("img");
				if (!img) return resolve("");
				img.decode().then(() => resolve(img.naturalWidth + "×" + img.naturalHeight + " within " + (img.width <= 260 && img.height <= 230)), () => resolve("broken"));
			}, 100))`)
			callee.click("more")
			callee.click("clear")
			if n := eval[int](callee, `document.querySelectorAll("#log img").length`); n != 0 {
				t.Errorf("%d pictures after the page was cleared", n)
			}
			return size
		}
		for name, content := range pictures(t) {
			if got := shown(name, content); got != "600×400 within true" {
				t.Errorf("%s is shown as %q", name, got)
			}
		}
		bomb := pictures(t)["a.png"][:33]
		copy(bomb[16:], []byte{0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff})
		for name, content := range map[string][]byte{
			"drawing.svg": []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)" width="600" height="400"></svg>`),
			"page.png":    []byte(`<!doctype html><script>alert(1)</script>     `),
			"bomb.png":    bomb,
			"short.jpg":   {0xff, 0xd8},
		} {
			if got := shown(name, content); got != "" {
				t.Errorf("%s is shown as %q", name, got)
			}
		}
	})
	t.Run("what a dropped folder can be instead", func(t *testing.T) {
		inFull(t)
		caller, _ := inCall(t, b)
		drop := `(() => {
			const dataTransfer = new DataTransfer();
			dataTransfer.items.add(new File(["x"], "holiday"));
			DataTransferItem.prototype.webkitGetAsEntry = () => ({ isDirectory: true });
			for (const type of ["dragover", "drop"]) document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
			return true;
		})()`
		eval[bool](caller, drop)
		caller.sees("A web page cannot send a folder. Pack it into a .zip file and drop that")
		alone := b.open(t, serving(t))
		eval[bool](alone, drop)
		alone.sees("You can send files once the other person is there.")
	})
}

// pictures returns pictures of 600 by 400 pixels, one of each kind that Go writes.
func pictures(t *testing.T) map[string][]byte {
	t.Helper()
	img := image.NewPaletted(image.Rect(0, 0, 600, 400), color.Palette{color.White, color.RGBA{10, 100, 90, 255}})
	for i := range img.Pix {
		img.Pix[i] = uint8(i / 50 % 2)
	}
	var p, j, g bytes.Buffer
	for _, err := range []error{png.Encode(&p, img), jpeg.Encode(&j, img, nil), gif.Encode(&g, img, nil)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return map[string][]byte{"a.png": p.Bytes(), "b.jpg": j.Bytes(), "c.gif": g.Bytes(), "named-wrongly.txt": p.Bytes()}
}
