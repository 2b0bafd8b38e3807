package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/websocket"
)

// The page in Firefox, where that is installed: it is driven by WebDriver BiDi.
func TestPageInFirefox(t *testing.T) {
	inFull(t)
	f := startFirefox(t)
	server := serving(t)
	t.Run("meets itself", func(t *testing.T) {
		caller, callee := f.open(t, server), f.open(t, server)
		callee.answer(caller.call())
		verifiedInFirefox(t, caller, callee)
		caller.say("Are you there?")
		callee.hears("Are you there?")
		callee.say("Yes.")
		caller.hears("Yes.")
		for _, two := range [][2]firefoxTab{{caller, callee}, {callee, caller}} { // each moves the call
			two[0].js(`(dispatchEvent(new Event("online")), "")`)
			two[0].until(`document.getElementById("log").innerText.includes("this machine has a better address.") && "moved"`)
			two[1].until(`document.getElementById("log").innerText.includes("guest’s machine has a better address.") && "moved"`)
		}
		caller.takesKeys(callee)
		caller.scrollsOnlyTheMessages()
		caller.js(`(() => {
			const dataTransfer = new DataTransfer();
			dataTransfer.items.add(new File([new Uint8Array(3e6)], "zeros"));
			for (const type of ["dragover", "drop"]) document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
			return "";
		})()`)
		callee.until(`[...document.querySelectorAll("#log button")].some((b) => b.textContent.startsWith("Accept") && (b.click(), true)) && "accepted"`)
		sum := `document.querySelector("#log [data-sha256]").dataset.sha256`
		if a, b := caller.until(sum), callee.until(sum); a != b || len(a) != 64 {
			t.Errorf("the file has the SHA-256 %q and %q", a, b)
		}
		caller.js(`(document.getElementById("leave").click(), "")`)
		callee.until(`!document.getElementById("over").hidden && "over"`)
	})
	t.Run("calls the program", func(t *testing.T) {
		page := f.open(t, server)
		program := launch(t, "answer", page.call(), "--server", server)
		verifiedInFirefox(t, page)
		page.converseWith(program)
		page.js(`(document.getElementById("leave").click(), "")`)
		program.finish(t)
	})
	t.Run("answers the program", func(t *testing.T) {
		program := launch(t, "call", "one-two-three", "--server", server)
		program.notes(t, `^p2pchat: code: `)
		page := f.open(t, server)
		page.answer("one-two-three")
		verifiedInFirefox(t, page)
		page.converseWith(program)
	})
	t.Run("takes a file over stripes", func(t *testing.T) {
		page := f.open(t, server)
		page.js(`(RTCPeerConnection = class extends RTCPeerConnection {
			constructor(c) {
				super(c);
				this.addEventListener("datachannel", ({ channel }) => channel.addEventListener("message", () => { if (!channel.ordered) globalThis.striped = "striped"; }));
			}
		}, "")`)
		path, sum := random(t, "large.bin", 40<<20) // stripes open before it has arrived
		program := launch(t, "answer", page.call(), "--server", server, "--stripes", "always", "--send", path)
		verifiedInFirefox(t, page)
		page.until(`[...document.querySelectorAll("#log button")].some((b) => b.textContent.startsWith("Accept") && (b.click(), true)) && "accepted"`)
		if got := page.until(`document.querySelector("#log [data-sha256]").dataset.sha256`); got != sum {
			t.Errorf("the file arrived with SHA-256 %s, not %s", got, sum)
		}
		page.until("globalThis.striped")
		page.js(`(document.getElementById("leave").click(), "")`)
		program.finish(t)
	})
	t.Run("knows a direct path whose packets come before the candidates", func(t *testing.T) {
		// A slow server: the candidates come when the connection is there, or 5 s later where the other side cannot find this one.
		late := func() firefoxTab {
			page := f.open(t, server)
			page.js(`(RTCPeerConnection = class extends RTCPeerConnection {
				async addIceCandidate(c) {
					await new Promise((resolve) => {
						setTimeout(resolve, 5000);
						this.addEventListener("connectionstatechange", () => { if (this.connectionState === "connected") resolve(); });
						if (this.connectionState === "connected") resolve();
					});
					return super.addIceCandidate(c);
				}
			}, "")`)
			return page
		}
		direct := func(p firefoxTab) {
			t.Helper()
			p.until(`/^Direct · \d+ ms$/.test(document.getElementById("path").textContent) && "direct"`)
		}
		page := late()
		program := launch(t, "answer", page.call(), "--server", server)
		verifiedInFirefox(t, page)
		direct(page)
		page.js(`(document.getElementById("leave").click(), "")`)
		program.finish(t)
		caller, callee := late(), f.open(t, server)
		callee.answer(caller.call())
		verifiedInFirefox(t, caller, callee)
		direct(caller)
	})
	t.Run("is reloaded in a call, and then closed", func(t *testing.T) {
		page := f.open(t, server)
		program := launch(t, "answer", page.call(), "--server", server, "--ui", "json")
		verifiedInFirefox(t, page)
		f.command(t, "browsingContext.reload", map[string]any{"context": page.context, "wait": "complete"}, nil)
		page.until(`document.getElementById("log").innerText.includes("Connected again.") && "again"`)
		page.say("still here")
		if _, err := program.out.wait(regexp.MustCompile(`"still here"`)); err != nil {
			t.Fatal(err)
		}
		page.js(waitBriefly + ` && ""`)
		f.command(t, "browsingContext.close", map[string]any{"context": page.context}, nil)
		program.finish(t)
		for _, object := range []string{`"reason":"the other side closed or reloaded its page. If the page is not back within 20 s, the call ends"`, `"reason":"the other side closed or reloaded its page. If the page is not back within 8 s, the call ends"`, `"page_closed":true`} {
			if out := program.out.String(); !strings.Contains(out, object) {
				t.Errorf("there is no %s in\n%s", object, out)
			}
		}
	})
}

func verifiedInFirefox(t *testing.T, pages ...firefoxTab) {
	t.Helper()
	for _, p := range pages {
		if got := p.until(`!document.getElementById("talk").hidden && document.getElementById("trust").textContent`); got != "✓ Verified" {
			t.Errorf("with a secret the page says %q", got)
		}
	}
}

// A firefox is a session of WebDriver BiDi. One goroutine uses it.
type firefox struct {
	conn *websocket.Conn
	id   int
}

func startFirefox(t *testing.T) *firefox {
	t.Helper()
	path, err := exec.LookPath("firefox-esr")
	if err != nil {
		path, err = exec.LookPath("firefox")
	}
	if err != nil {
		skipWithout(t, "Firefox: 'apt-get install firefox-esr'")
	}
	profile := t.TempDir()
	// A finished download opens a panel, which takes the focus from the page: keys that WebDriver presses then do nothing.
	prefs := "user_pref(\"browser.download.alwaysOpenPanel\", false);\n"
	if loopbackAlone() {
		prefs += `user_pref("media.peerconnection.ice.loopback", true);
user_pref("media.peerconnection.ice.obfuscate_host_addresses", false);
`
	}
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(prefs), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0", "--remote-allow-origins", "http://localhost") //nolint:gosec // a browser
	program, err := begin(cmd, profile, append(os.Environ(), "HOME="+profile))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-program.ended
	})
	address := program.notes(t, `(ws://\S+)`)[1]
	conn, err := websocket.Dial(address+"/session", "", "http://localhost")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	conn.MaxPayloadBytes = 64 << 20
	f := &firefox{conn: conn}
	f.command(t, "session.new", map[string]any{"capabilities": map[string]any{}}, nil)
	return f
}

// command sends a command and waits for its result; events are not asked for.
func (f *firefox) command(t *testing.T, method string, params, result any) {
	t.Helper()
	f.id++
	if err := websocket.JSON.Send(f.conn, map[string]any{"id": f.id, "method": method, "params": params}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = f.conn.Close() })()
	for {
		var reply struct {
			ID      int
			Type    string
			Result  json.RawMessage
			Message string
		}
		if err := websocket.JSON.Receive(f.conn, &reply); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		switch {
		case reply.ID != f.id:
			continue
		case reply.Type != "success":
			t.Fatalf("%s: %s", method, reply.Message)
		case result != nil:
			if err := json.Unmarshal(reply.Result, result); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
}

type firefoxTab struct {
	*firefox
	t       *testing.T
	context string
}

func (f *firefox) open(t *testing.T, url string) firefoxTab {
	t.Helper()
	var opened struct{ Context string }
	f.command(t, "browsingContext.create", map[string]any{"type": "tab"}, &opened)
	f.command(t, "browsingContext.navigate", map[string]any{"context": opened.Context, "url": url, "wait": "complete"}, nil)
	return firefoxTab{f, t, opened.Context}
}

// js evaluates an expression to a string.
func (p firefoxTab) js(expression string) string {
	p.t.Helper()
	var got struct {
		Result           struct{ Value any }
		ExceptionDetails struct{ Text string }
	}
	p.command(p.t, "script.evaluate", map[string]any{
		"expression": expression, "target": map[string]any{"context": p.context}, "awaitPromise": true, "userActivation": true,
	}, &got)
	text, ok := got.Result.Value.(string)
	if !ok {
		p.t.Fatalf("%s: %v %s", expression, got.Result.Value, got.ExceptionDetails.Text)
	}
	return text
}

// until waits for an expression to be a string that is not empty.
func (p firefoxTab) until(expression string) string {
	p.t.Helper()
	return p.js(`new Promise((resolve) => {
		const look = () => {
			const found = (() => { try { return ` + expression + ` } catch { return "" } })();
			if (!found) return;
			seen.disconnect();
			resolve(found);
		};
		const seen = new MutationObserver(look);
		seen.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
		look();
	})`)
}

// The keys of WebDriver that are no letters.
const (
	webBackspace = "\ue003"
	webTab       = "\ue004"
	webEnter     = "\ue007"
	webShift     = "\ue008"
	webControl   = "\ue009"
)

// press presses one key after the other, while a modifier is held, if it names one.
func (p firefoxTab) press(modifier, keys string) {
	p.t.Helper()
	var actions []map[string]any
	act := func(kind, key string) { actions = append(actions, map[string]any{"type": kind, "value": key}) }
	if modifier != "" {
		act("keyDown", modifier)
	}
	for _, r := range keys {
		act("keyDown", string(r))
		act("keyUp", string(r))
	}
	if modifier != "" {
		act("keyUp", modifier)
	}
	p.command(p.t, "input.performActions", map[string]any{
		"context": p.context, "actions": []any{map[string]any{"type": "key", "id": "keyboard", "actions": actions}},
	}, nil)
}

// activate brings the tab to the front, and waits until keys reach it.
func (p firefoxTab) activate() {
	p.t.Helper()
	p.command(p.t, "browsingContext.activate", map[string]any{"context": p.context}, nil)
	p.js(`new Promise((resolve) => document.hasFocus() ? resolve("") : addEventListener("focus", () => resolve(""), { once: true }))`)
}

// write focuses a field and types into it.
func (p firefoxTab) write(id, text string) {
	p.t.Helper()
	p.activate()
	p.js(`(document.getElementById(` + js(id) + `).focus(), "")`)
	if p.value(id) != "" {
		p.press(webControl, "a")
	}
	p.press("", text)
}

func (p firefoxTab) value(id string) string {
	p.t.Helper()
	return p.js(`document.getElementById(` + js(id) + `).value`)
}

// takesKeys checks what keys do in the page of a call with other.
func (p firefoxTab) takesKeys(other firefoxTab) {
	p.t.Helper()
	p.write("text", "Two LINES, Wörld!"+webBackspace+"?")
	p.press(webShift, webEnter)
	p.press("", "the second")
	if got := p.value("text"); got != "Two LINES, Wörld?\nthe second" {
		p.t.Errorf("the box holds %q", got)
	}
	p.press("", webEnter)
	other.hears("Two LINES, Wörld?\nthe second")
	if got := p.value("text"); got != "" {
		p.t.Errorf("after Enter the box holds %q", got)
	}
	p.press("", "wrong")
	p.press(webControl, "ax")
	p.press(webControl, "vv")
	p.press(webControl, "z")
	if got := p.value("text"); got != "wrong" {
		p.t.Errorf("after two pastes and an undo the box holds %q", got)
	}
	focused := func(modifier string) string {
		p.press(modifier, webTab)
		return p.js(`document.activeElement.id`)
	}
	if a, b := focused(""), focused(webShift); a != "send" || b != "text" {
		p.t.Errorf("Tab leads from the box to %q, and Shift-Tab from there to %q", a, b)
	}
	p.press(webControl, "a")
	p.press("", webBackspace)
}

func (p firefoxTab) call() (code string) {
	p.t.Helper()
	p.activate()
	p.js(`(document.getElementById("new-code").checked = true, document.querySelector("#call button.primary").focus(), "")`)
	p.press("", webEnter)
	return p.until(`!document.getElementById("share").hidden && document.getElementById("the-code").textContent`)
}

func (p firefoxTab) answer(code string) {
	p.t.Helper()
	p.write("code", code+webEnter)
	if p.js(`String(`+ownMaking+`)`) == "true" {
		p.press("", webEnter)
	}
}

func (p firefoxTab) say(text string) {
	p.t.Helper()
	p.write("text", text+webEnter)
}

func (p firefoxTab) hears(text string) {
	p.t.Helper()
	p.until(`[...document.querySelectorAll("#log > .theirs .text")].some((e) => e.textContent === ` + js(text) + `) && "heard"`)
}

func (p firefoxTab) converseWith(program *process) {
	p.t.Helper()
	p.say("Hello from a tab")
	program.hears(p.t, "Hello from a tab")
	program.say(p.t, "Hello from a terminal")
	p.hears("Hello from a terminal")
}
