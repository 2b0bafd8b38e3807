package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"
)

// pagePatience is longer than any wait for a page takes on the slowest machine.
const pagePatience = time.Minute // also for files, where the machine has much to do

// A chromium is a real browser, without a window.
type chromium struct{ context.Context }

// stopBrowser ends the shared browser, if a test has started it. TestMain calls it.
var stopBrowser = func() {}

// oneBrowser starts the browser that the tests share.
var oneBrowser = sync.OnceValues(func() (chromium, error) {
	b, stop, err := newBrowser()
	stopBrowser = stop
	return b, err
})

// sharedBrowser returns the browser that the tests share, because starting one takes about as long as a test. Each test opens
// pages with profiles of their own; the clipboard is the one thing that they have in common.
func sharedBrowser(t *testing.T) chromium {
	t.Helper()
	needsBrowser(t)
	b, err := oneBrowser()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// startBrowser starts a browser for one test, which affects all of its pages.
func startBrowser(t *testing.T, options ...chromedp.ExecAllocatorOption) chromium {
	t.Helper()
	needsBrowser(t)
	b, stop, err := newBrowser(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return b
}

// clipboard is locked by a test that copies or pastes.
var clipboard sync.Mutex

func usesClipboard(t *testing.T) {
	clipboard.Lock()
	t.Cleanup(clipboard.Unlock)
}

// needsBrowser ends the test if there is no Chromium, with what to install.
func needsBrowser(t *testing.T) {
	t.Helper()
	if chromiumPath() == "" {
		skipWithout(t, "Chromium: 'apt-get install chromium', or name another build of it in P2PCHATTEST_BROWSER")
	}
}

// chromiumPath is where Chromium is installed; it is empty if there is none. The headless shell comes first: it is the same
// browser without windows of its own, and ten tabs take 4 s of CPU in it instead of 9.
func chromiumPath() string {
	for _, name := range []string{os.Getenv("P2PCHATTEST_BROWSER"), "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); name != "" && err == nil {
			return found
		}
	}
	return ""
}

// newBrowser starts a browser in which chat.example.org is this machine.
func newBrowser(options ...chromedp.ExecAllocatorOption) (b chromium, stop func(), err error) {
	flags := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromiumPath()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("host-resolver-rules", "MAP chat.example.org 127.0.0.1"),
		chromedp.Flag("force-prefers-reduced-motion", true), // without a GPU, each frame of a page that waits costs CPU
	)
	// Of these, the popups and the spare renderer cost each profile a process more, and a second of CPU.
	off := "Translate,WebUIOmniboxPopup,WebUIOmniboxAimPopup,SpareRendererForSitePerProcess"
	if loopbackAlone() {
		flags = append(flags, chromedp.Flag("allow-loopback-in-peer-connection", true))
		off += ",WebRtcHideLocalIpsWithMdns"
	}
	flags = append(flags, chromedp.Flag("disable-features", off))
	allocator, end := chromedp.NewExecAllocator(context.Background(), append(flags, options...)...)
	ctx, cancel := chromedp.NewContext(allocator)
	stop = func() {
		cancel()
		end()
	}
	if err := chromedp.Do(ctx); err != nil {
		stop()
		return chromium{}, func() {}, err
	}
	return chromium{ctx}, stop, nil
}

// loopbackAlone tells whether this machine has no other address. There browsers connect if they
// are told to, and else with their default preferences.
func loopbackAlone() bool {
	all, err := net.InterfaceAddrs()
	return err == nil && !slices.ContainsFunc(all, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast()
	})
}

// A tab is the page in a browser. When its test ends, it must have logged no error, and have sent requests
// to its server alone.
type tab struct {
	t      *testing.T
	ctx    context.Context
	origin string

	mu       sync.Mutex // guards what follows
	requests []string
	mistakes []string
}

// open opens the page with an empty profile.
func (b chromium) open(t *testing.T, url string) *tab {
	t.Helper()
	return b.tab(t, url, chromedp.WithNewBrowserContext())
}

func (b chromium) tab(t *testing.T, url string, options ...chromedp.ContextOption) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b, options...)
	p := &tab{t: t, ctx: ctx, origin: regexp.MustCompile(`^https?://[^/]+`).FindString(url)}
	t.Cleanup(cancel)
	t.Cleanup(p.check)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, p.note); err != nil {
		t.Fatal(err)
	}
	_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	if err == nil {
		_, err = chromedp.Call(ctx, log.Enable, cdp.Empty{})
	}
	if err == nil && strings.HasPrefix(url, "https:") { // with a certificate that the test has made
		_, err = chromedp.Call(ctx, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true})
	}
	if err == nil {
		err = chromedp.Do(ctx, chromedp.Navigate(url))
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// note records the browser's events of the tab.
func (p *tab) note(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	case *runtime.EventExceptionThrown:
		p.mistakes = append(p.mistakes, fmt.Sprintf("exception: %+v", e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			text, _ := json.Marshal(e.Args)
			p.mistakes = append(p.mistakes, fmt.Sprintf("console: %s", text))
		}
	case *log.EventEntryAdded:
		// The browser logs each status above 399 and each lost server as an error; the page handles both.
		if l := e.Entry; l.Level == "error" && (l.Source != "network" || !strings.HasPrefix(l.URL, p.origin+"/") || strings.Contains(l.URL, "/assets/")) {
			p.mistakes = append(p.mistakes, fmt.Sprintf("log: %s: %s (%s)", l.Source, l.Text, l.URL))
		}
	}
}

func (p *tab) check() {
	p.try(`onbeforeunload = null`) // it would ask whether to close
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.requests {
		if !strings.HasPrefix(r, p.origin+"/") && !strings.HasPrefix(r, "blob:"+p.origin+"/") {
			p.t.Errorf("the page asked for %s", r)
		}
	}
	if len(p.requests) == 0 {
		p.t.Error("the browser told of no request")
	}
	for _, m := range p.mistakes {
		p.t.Errorf("in the page: %s", m)
	}
	if p.t.Failed() {
		p.t.Logf("the page at the end: %s", p.try(`document.querySelector("section:not([hidden])").innerText.slice(-2000)`))
	}
}

// try evaluates an expression, and returns its value as JSON, or the error.
func (p *tab) try(expression string) string {
	ctx, cancel := context.WithTimeout(p.ctx, pagePatience)
	defer cancel()
	b, err := chromedp.Run(ctx, chromedp.Evaluate[[]byte](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// eval evaluates an expression to a T.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, pagePatience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v\nthe page: %s", expression, err, p.try(`document.querySelector("section:not([hidden])").innerText.slice(-2000)`))
	}
	return v
}

// until waits for an expression to have a value that JavaScript takes for true, and returns it.
func until[T any](p *tab, expression string) T {
	p.t.Helper()
	return eval[T](p, `new Promise((resolve) => {
		const look = () => {
			const found = (() => { try { return `+expression+` } catch { return undefined } })();
			if (!found) return;
			seen.disconnect();
			resolve(found);
		};
		const seen = new MutationObserver(look);
		seen.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
		look();
	})`)
}

// js returns a Go string as a JavaScript literal.
func js(text string) string {
	b, _ := json.Marshal(text) // a string can always be
	return string(b)
}

func (p *tab) click(id string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.ID(id)))
}

func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, pagePatience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("%v\nthe page: %s", err, p.try(`document.querySelector("section:not([hidden])").innerText.slice(-2000)`))
	}
}

// call starts a call with a new code, or one of the test's own.
func (p *tab) call(own string) (code string) {
	p.t.Helper()
	if !eval[bool](p, `document.getElementById("call-options").open`) {
		p.do(chromedp.Click(chromedp.CSS("#call-options summary")))
	}
	if own != "" {
		p.write("own-code", own)
	} else if eval[bool](p, `document.getElementById("new-code").checkVisibility() && !document.getElementById("new-code").checked`) {
		p.click("new-code")
	}
	p.do(chromedp.Click(chromedp.CSS("#call button.primary")))
	return until[string](p, `!document.getElementById("share").hidden && document.getElementById("the-code").textContent`)
}

// answer types a code and answers. About a code of a person's own making the page asks first.
func (p *tab) answer(code string) {
	p.t.Helper()
	p.write("code", code)
	p.do(chromedp.Click(chromedp.CSS("#answer button.primary")))
	if eval[bool](p, ownMaking) {
		p.do(chromedp.Click(chromedp.CSS("#answer button.primary")))
	}
}

// ownMaking tells whether the page asks about a code that no program has generated.
const ownMaking = `document.getElementById("code-error").textContent.includes("If the caller chose it, press Answer again.")`

// connected waits for the conversation, and returns the page's badge of trust.
func (p *tab) connected() string {
	p.t.Helper()
	return until[string](p, `!document.getElementById("talk").hidden && document.getElementById("trust").textContent`)
}

// say types a message as a person does.
func (p *tab) say(text string) {
	p.t.Helper()
	p.write("text", text)
	p.press("\r")
}

// hears waits for a message of the other side.
func (p *tab) hears(text string) {
	p.t.Helper()
	until[bool](p, `[...document.querySelectorAll("#log > .theirs .text")].some((e) => e.textContent === `+js(text)+`)`)
}

// delivered waits until that many messages of this side are marked as delivered.
func (p *tab) delivered(messages int) {
	p.t.Helper()
	until[bool](p, fmt.Sprintf(`[...document.querySelectorAll("#log > .mine .mark")].filter((e) => e.textContent === "✓ delivered").length === %d`, messages))
}

// sees waits until the page shows a text.
func (p *tab) sees(text string) {
	p.t.Helper()
	until[bool](p, `document.querySelector("section:not([hidden])").innerText.includes(`+js(text)+`)`)
}
