package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const maxWeight = 80 << 10 // of the whole page, compressed

// A reply is the handler's response.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func get(t *testing.T, method, path string, header ...string) reply {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.Bytes()}
}

// paths returns the paths of all files of the page.
func paths(t *testing.T) (list []string) {
	t.Helper()
	err := fs.WalkDir(dist, "dist", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, strings.TrimPrefix(name, "dist"))
		}
		return err
	})
	if err != nil || len(list) != 4 {
		t.Fatalf("the page is %v: %v", list, err)
	}
	return list
}

// An event handler property that returns false cancels the event: a key, a click, a drop.
func TestHandlersReturnNothing(t *testing.T) {
	t.Parallel()
	sources, err := filepath.Glob("src/*.ts")
	if err != nil || len(sources) == 0 {
		t.Fatalf("the sources are %v: %v", sources, err)
	}
	expression := regexp.MustCompile(`\bon[a-z]+ = (async )?(\w+|\([^)]*\)) => [^{]`)
	for _, name := range sources {
		source, err := os.ReadFile(name) //nolint:gosec // a file of this package
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range expression.FindAllString(string(source), -1) {
			t.Errorf("%s: %q returns its value, and false cancels the event: use a block", name, found)
		}
	}
}

func TestTheSameSourcesGiveTheSamePage(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "run", "-C", "build", ".", out) //nolint:gosec // a folder of the test
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	names := paths(t)
	for _, name := range names {
		built, err := os.ReadFile(filepath.Join(out, name)) //nolint:gosec // a folder of the test
		if err != nil {
			t.Fatal(err)
		}
		if kept, err := dist.ReadFile("dist" + name); err != nil || !bytes.Equal(kept, built) {
			t.Errorf("%s is not what its sources give (%v): go run -C signaling/web/build .", name, err)
		}
	}
}

func TestWeight(t *testing.T) {
	t.Parallel()
	weight := 0
	for _, path := range paths(t) {
		r := get(t, http.MethodGet, path, "Accept-Encoding: gzip")
		if r.header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: %v", path, r.header)
		}
		weight += len(r.body)
		z, err := gzip.NewReader(bytes.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if plain := get(t, http.MethodGet, path).body; !bytes.Equal(plain, unpacked) {
			t.Errorf("%s is another one when it is compressed", path)
		}
	}
	t.Logf("%d bytes", weight)
	if weight > maxWeight {
		t.Errorf("the page has %d bytes, compressed; %d are the most", weight, maxWeight)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	kinds := map[string]string{".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
	for _, path := range append(paths(t), "/", "/assets/none.js", "/assets/", "/../web.go") {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r := get(t, method, path, "X-Forwarded-Proto: https")
			for name, want := range map[string]string{
				"Content-Security-Policy": Policy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
			} {
				if got := r.header.Get(name); got != want {
					t.Errorf("%s %s: %s is %q", method, path, name, got)
				}
			}
			if method == http.MethodHead && r.status == http.StatusOK && len(r.body) > 0 {
				t.Errorf("HEAD %s has a body", path)
			}
			cache, kind := "no-store", "text/plain; charset=utf-8"
			switch {
			case r.status != http.StatusOK:
			case path == "/", path == "/index.html":
				cache, kind = "no-cache", kinds[".html"]
			default:
				cache, kind = "public, max-age=31536000, immutable", kinds[filepath.Ext(path)]
			}
			if r.header.Get("Cache-Control") != cache || r.header.Get("Content-Type") != kind {
				t.Errorf("%s %s: %v", method, path, r.header)
			}
		}
	}
	if got := get(t, http.MethodGet, "/").header.Get("Cross-Origin-Opener-Policy"); got != "" {
		t.Errorf("on plain http Cross-Origin-Opener-Policy is %q, which browsers complain of", got)
	}
	for path, want := range map[string]int{"/": http.StatusOK, "/assets/none.js": http.StatusNotFound, "/assets/": http.StatusNotFound, "/../web.go": http.StatusNotFound} {
		if got := get(t, http.MethodGet, path).status; got != want {
			t.Errorf("%s is answered with %d", path, got)
		}
	}
	if r := get(t, http.MethodPost, "/"); r.status != http.StatusMethodNotAllowed {
		t.Errorf("POST / is answered with %d", r.status)
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	for _, never := range []string{"unsafe", "*", "http", "data:", "blob:", "nonce"} {
		if strings.Contains(strings.Replace(Policy, "img-src 'self' blob:", "", 1), never) {
			t.Errorf("the policy allows %q: %s", never, Policy)
		}
	}
	directives := strings.Split(Policy, "; ")
	for _, always := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'", "trusted-types 'none'"} {
		if !slices.Contains(directives, always) {
			t.Errorf("the policy lacks %q: %s", always, Policy)
		}
	}
	page, err := dist.ReadFile("dist/index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, inline := range []string{`<script>`, `<style`, ` style=`, `\son[a-z]+=`, `javascript:`, `{{`} {
		if found := regexp.MustCompile(inline).Find(page); found != nil {
			t.Errorf("the page has %q, which its policy forbids", found)
		}
	}
	if strings.Contains(string(page), `="/`) {
		t.Error("the page refers to the root, and a server may be behind a path")
	}
	refers := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllSubmatch(page, -1)
	if len(refers) != 3 {
		t.Errorf("the page refers to %q", refers)
	}
	for _, r := range refers {
		if got := get(t, http.MethodGet, "/"+string(r[1])); got.status != http.StatusOK {
			t.Errorf("%s is answered with %d", r[1], got.status)
		}
	}
}

// Text of strangers must never become anything but text.
func TestSourcesMakeNoMarkup(t *testing.T) {
	t.Parallel()
	sources, err := filepath.Glob("src/*.ts")
	if err != nil || len(sources) < 15 {
		t.Fatalf("%d sources: %v", len(sources), err)
	}
	sinks := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|setHTML|parseFromString|createContextualFragment|srcdoc|document\.write|\beval\(|new Function|setAttribute\("on`)
	for _, name := range sources {
		b, err := os.ReadFile(name) //nolint:gosec // one of the sources
		if err != nil {
			t.Fatal(err)
		}
		if found := sinks.Find(b); found != nil {
			t.Errorf("%s has %q", name, found)
		}
	}
}
