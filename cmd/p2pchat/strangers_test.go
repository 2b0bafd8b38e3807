package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"
)

// Plain WebRTC programs of other makes, in testdata/strangers: small clients that know the
// diagram of the signaling API and nothing of p2pchat.
var strangers = []stranger{
	{name: "libdatachannel", command: []string{"node", "libdatachannel.mjs"}, needs: "node-datachannel"},
	{name: "wrtc", command: []string{"node", "w3c.mjs", "@roamhq/wrtc"}, needs: "@roamhq/wrtc"},
	{name: "werift", command: []string{"node", "w3c.mjs", "werift"}, needs: "werift"},
	{name: "aiortc", command: []string{"/usr/bin/python3", "aiortc_client.py"}, needs: "import aiortc"},
	{name: "webrtcbin", command: []string{"/usr/bin/python3", "webrtcbin.py"}, needs: `import gi; gi.require_version("Gst", "1.0"); gi.require_version("GstWebRTC", "1.0"); from gi.repository import Gst; Gst.init(None); assert all(Gst.ElementFactory.find(e) for e in ("webrtcbin", "nicesrc"))`},
	{name: "Chromium", browser: "chromium"},
	{name: "Firefox", browser: "firefox-esr"},
}

const strangersFolder = "testdata/strangers"

// A stranger is one of these programs.
type stranger struct {
	name    string
	command []string // empty: it is a browser
	browser string
	needs   string // a package of npm, or what Python must be able to run
}

// missing says why it cannot be run here; empty if it can.
func (s stranger) missing() string {
	switch program := cmp.Or(append(s.command, s.browser)...); {
	case exec.Command("sh", "-c", `command -v "$0"`, program).Run() != nil: //nolint:gosec // of the table
		return program + " is not installed"
	case program == "node":
		if _, err := os.Stat(filepath.Join(strangersFolder, "node_modules", s.needs)); err != nil {
			return "npm has not installed " + s.needs
		}
	case s.browser == "":
		if out, err := exec.Command(program, "-c", s.needs).CombinedOutput(); err != nil { //nolint:gosec // of the table
			return "Debian's packages are not installed: " + lastLine(string(out))
		}
	}
	return ""
}

func lastLine(text string) string {
	lines := regexp.MustCompile(`[^\n]+`).FindAllString(text, -1)
	if lines == nil {
		return ""
	}
	return lines[len(lines)-1]
}

// A visitor is a stranger that is running: what is written to in it sends, and out is what it
// has received.
type visitor struct {
	in       io.WriteCloser
	out, err *transcript
	ended    <-chan struct{}
	code     func() int // once it has ended
}

// start has it call or answer p2pchat, in a network namespace if there is one. A browser
// loads it from page.
func (s stranger) start(t *testing.T, namespace, role, server, manner string, page net.Listener) *visitor {
	t.Helper()
	if s.browser != "" {
		return s.browse(t, namespace, role, server, manner, page)
	}
	p := s.run(t, namespace, strangersFolder, append(append([]string{}, s.command...), role, server, manner)...)
	return &visitor{in: p.in, out: p.out, err: p.err, ended: p.ended, code: func() int { return p.cmd.ProcessState.ExitCode() }}
}

func (s stranger) run(t *testing.T, namespace, folder string, command ...string) *process {
	t.Helper()
	if namespace != "" {
		command = append([]string{"ip", "netns", "exec", namespace}, command...)
	}
	p, err := begin(exec.Command(command[0], command[1:]...), folder, append(os.Environ(), "HOME="+t.TempDir())) //nolint:gosec // of the table
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.ended
	})
	return p
}

// A browserPage is the server of testdata/strangers/page.html.
type browserPage struct {
	visitor
	lines  chan string // which the page is to say; closed: it is to leave
	closed chan struct{}
	once   sync.Once
}

func (b *browserPage) Write(text []byte) (int, error) {
	b.lines <- string(text[:len(text)-1]) // a line
	return len(text), nil
}

func (b *browserPage) Close() error {
	close(b.lines)
	return nil
}

func (b *browserPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // or it is cut short, and the test says so
	switch r.URL.Path {
	case "/line":
		select {
		case line, ok := <-b.lines:
			if !ok {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			_, _ = io.WriteString(w, line) // the page may be gone
		case <-r.Context().Done():
		}
	case "/heard":
		_, _ = fmt.Fprintf(b.out, "%s\n", body)
	case "/note":
		_, _ = fmt.Fprintf(b.err, "%s\n", body)
	case "/closed":
		b.once.Do(func() {
			b.out.end()
			close(b.closed)
		})
	default:
		http.FileServer(http.Dir(strangersFolder)).ServeHTTP(w, r)
	}
}

// browse opens the page in a browser of its own, with default preferences.
func (s stranger) browse(t *testing.T, namespace, role, server, manner string, listener net.Listener) *visitor {
	t.Helper()
	b := &browserPage{lines: make(chan string, 10), closed: make(chan struct{})}
	b.visitor = visitor{in: b, out: newTranscript(), err: newTranscript(), ended: b.closed, code: func() int {
		if b.out.String() == "" {
			return 1
		}
		return 0
	}}
	web := &httptest.Server{Listener: listener, Config: &http.Server{Handler: b}} //nolint:gosec // of a test
	web.Start()
	t.Cleanup(web.Close)
	t.Cleanup(web.CloseClientConnections)
	profile := t.TempDir()
	address := web.URL + "/page.html?" + url.Values{"role": {role}, "server": {server}, "manner": {manner}}.Encode()
	args := []string{s.browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir=" + profile}
	if s.browser == "firefox-esr" {
		args = []string{s.browser, "--headless", "--no-remote", "--profile", profile}
	}
	if namespace == "" && loopbackAlone() {
		args = append(args, alone[s.browser]...)
		writeFile(t, filepath.Join(profile, "user.js"), `user_pref("media.peerconnection.ice.loopback", true);
user_pref("media.peerconnection.ice.obfuscate_host_addresses", false);
`)
	}
	s.run(t, namespace, profile, append(args, address)...)
	return &b.visitor
}

// What Chromium has to be told on a machine that has no address but loopback.
var alone = map[string][]string{"chromium": {"--allow-loopback-in-peer-connection", "--disable-features=WebRtcHideLocalIpsWithMdns"}}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hears waits for a line that v has received.
func (v *visitor) hears(t *testing.T, line string) {
	t.Helper()
	if _, err := v.out.wait(regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(line) + `$`)); err != nil {
		t.Fatalf("the stranger: %v\nits stderr:\n%s", err, v.err)
	}
}

// meets has the two talk, and one of them leave. It returns what the program tells of the
// connection.
func (v *visitor) meets(t *testing.T, program *process, strangerLeaves bool) (took int, path string) {
	t.Helper()
	found, err := program.out.wait(regexp.MustCompile(`\{[^\n]*"type":"connected"[^\n]*\}`))
	if err != nil {
		t.Fatalf("%v\nits stderr:\n%s\nthe stranger's:\n%s", err, program.err, v.err)
	}
	var connected struct {
		Path string `json:"path"`
		Took int    `json:"took_ms"`
	}
	if err := json.Unmarshal([]byte(found[0]), &connected); err != nil {
		t.Fatal(err)
	}
	writeTo(t, v.in, "Hello from afar\n")
	if _, err := program.out.wait(regexp.MustCompile(`"text":"Hello from afar"`)); err != nil {
		t.Fatalf("%v\nthe stranger's stderr:\n%s", err, v.err)
	}
	writeTo(t, program.in, `{"type":"message","text":"hello back"}`+"\n"+`{"type":"message","text":"and again"}`+"\n")
	v.hears(t, "hello back")
	v.hears(t, "and again")
	if strangerLeaves {
		if err := v.in.Close(); err != nil {
			t.Fatal(err)
		}
	} else {
		writeTo(t, program.in, `{"type":"leave"}`+"\n")
	}
	program.finish(t)
	if code := program.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the program ended with exit code %d: %s", code, program.out)
	}
	waitFor(t, v.ended, "the stranger to end")
	if code := v.code(); code != 0 {
		t.Errorf("the stranger ended with exit code %d: %s", code, v.err)
	}
	return connected.Took, connected.Path
}

func writeTo(t *testing.T, to io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(to, text); err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("waited too long for %s", what)
	}
}

// Each of them calls p2pchat and answers it, and sends its candidates as they come, or all in
// its description and never asks for the other side's: 'task test:strangers'.
func TestStrangers(t *testing.T) {
	if os.Getenv("P2PCHATTEST_STRANGERS") == "" {
		t.Skip("task test:strangers runs this one, and installs what it needs")
	}
	for _, s := range strangers {
		t.Run(s.name, func(t *testing.T) {
			if why := s.missing(); why != "" {
				t.Skipf("NOT RUN: %s: %s", s.name, why)
			}
			for _, role := range []string{"call", "answer"} {
				for _, manner := range []string{"trickle", "deaf"} {
					t.Run(role+" "+manner, func(t *testing.T) {
						t.Parallel()
						page, err := net.Listen("tcp", "127.0.0.1:0")
						if err != nil {
							t.Fatal(err)
						}
						t.Cleanup(func() { _ = page.Close() }) // the page may have been served
						server := serving(t, "--cors-origin", "http://"+page.Addr().String())
						program := launch(t, map[string]string{"call": "answer", "answer": "call"}[role], "--server", server, "--ui", "json")
						v := s.start(t, "", role, server, manner, page)
						took, path := v.meets(t, program, manner == "trickle")
						t.Logf("%s: %s, %s: %d ms (%s)", s.name, role, manner, took, path)
					})
				}
			}
		})
	}
}
