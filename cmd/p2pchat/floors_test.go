package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Who may import whom: docs/architecture.md draws it. A prefix that ends in "/..."
// means all below, too.
var floors = []struct{ these, mayNotImport, because string }{
	{"p2pchat/signaling", "*/...", "the root of signaling is standard library only"},
	{"p2pchat/chat", "*.*/...", "chat is standard library only"},
	{"p2pchat/chat", "p2pchat/chat/screen/...", "a conversation does not know what shows it"},
	{"p2pchat/chat/reliable", "*.*/...", "chat is standard library only"},
	{"p2pchat/chat/reliable", "p2pchat/chat", "numbered frames do not know what is said in them"},
	{"p2pchat/chat/reliable", "p2pchat/chat/transfer", "numbered frames do not know what is said in them"},
	{"p2pchat/chat/transfer", "*.*/...", "chat is standard library only"},
	{"p2pchat/chat/transfer", "p2pchat/chat/reliable", "files do not know how their frames are numbered"},
	{"p2pchat/chat/transfer", "p2pchat/chat", "files do not know the conversation that they are sent in"},
	{"p2pchat/chat/disk", "p2pchat/...", "a file system knows nothing of chat"},
	{"p2pchat/signaling/...", "p2pchat/peer/...", "a server must be unable to open what it carries"},
	{"p2pchat/signaling/...", "p2pchat/chat/...", "a server must be unable to open what it carries"},
	{"p2pchat/signaling/server", "github.com/labstack/echo/v4/middleware", "its templates and expressions would be made at each start of the program"},
	{"p2pchat/signaling/web", "*/...", "the page is files, and what hands them out"},
	{"p2pchat/signaling/relay", "p2pchat/signaling/server", "a relay does not know who hands out its credentials"},
	{"p2pchat/signaling/lan", "p2pchat/...", "a local network does not know who serves there"},
	{"p2pchat/signaling/tracing", "p2pchat/...", "the tracer does not depend on what it traces"},
	{"p2pchat/signaling/server/longpoll", "*/...", "parking a request does not care what it waits for"},
	{"p2pchat/signaling/internal/...", "p2pchat/...", "what many use stands alone"},
	{"p2pchat/signaling/memstore", "p2pchat/signaling/server", "a Store does not know who serves it"},
	{"p2pchat/signaling/natsstore", "p2pchat/signaling/server", "a Store does not know who serves it"},
	{"p2pchat/chat/...", "p2pchat/peer/...", "a conversation does not care what its pipe is made of"},
	{"p2pchat/chat/...", "p2pchat/signaling/...", "a conversation does not care how the two met"},
	{"p2pchat/peer/...", "p2pchat/chat/...", "a connection does not care what is said on it"},
	{"p2pchat/peer/...", "p2pchat/signaling/server", "a peer is handed a Store"},
	{"p2pchat/peer/...", "p2pchat/signaling/memstore", "a peer is handed a Store"},
	{"p2pchat/peer/...", "p2pchat/signaling/natsstore", "a peer is handed a Store"},
	{"p2pchat/peer/pake", "p2pchat/...", "the PAKE stands alone"},
	{"p2pchat/peer/contact", "*/...", "the keys of a contact follow from bytes alone"},
	{"p2pchat/peer/mail", "p2pchat/peer", "a letter needs no connection"},
	{"p2pchat/peer/internal/pionnet", "p2pchat/...", "what is done to pion knows no calls"},
	{"p2pchat/peer/internal/portmap", "p2pchat/...", "a port is mapped for any program"},
	{"p2pchat/peer/internal/portmap", "github.com/...", "what a gateway answers is read with our own bounds"},
	{"p2pchat/peer/internal/quicpath", "p2pchat/...", "a QUIC connection is given its socket and its keys"},
	{"p2pchat/signaling/...", "p2pchat/cmd/...", "the program is built on the libraries"},
	{"p2pchat/peer/...", "p2pchat/cmd/...", "the program is built on the libraries"},
	{"p2pchat/chat/...", "p2pchat/cmd/...", "the program is built on the libraries"},
	{"p2pchat/cmd/p2pchat/internal/bench", "p2pchat/chat/...", "a benchmark measures servers and peers"},
	{"p2pchat/cmd/p2pchat/internal/settings", "p2pchat/...", "a file of names and values knows no flags"},
	{"p2pchat/cmd/p2pchat/internal/proxy", "p2pchat/peer/...", "a proxy does not care what goes through it"},
	{"p2pchat/cmd/p2pchat/internal/certs", "p2pchat/...", "a certificate is the same for any server"},
}

// One library, one door.
var doors = map[string]string{
	"github.com/labstack/echo/v4":          "p2pchat/signaling/server",
	"github.com/rs/cors":                   "p2pchat/signaling/server",
	"github.com/pion":                      "p2pchat/peer or p2pchat/peer/internal/pionnet or p2pchat/peer/survey or p2pchat/signaling/relay or p2pchat/signaling/lan",
	"github.com/quic-go":                   "p2pchat/peer/internal/quicpath",
	"github.com/VictoriaMetrics/metrics":   "p2pchat/signaling/server",
	"github.com/nats-io":                   "p2pchat/signaling/natsstore",
	"github.com/pelletier":                 "p2pchat/cmd/p2pchat/internal/settings",
	"golang.org/x/time":                    "p2pchat/signaling/relay or p2pchat/signaling/internal/ratelimit",
	"github.com/spf13":                     "p2pchat/cmd/p2pchat",
	"charm.land":                           "p2pchat/chat/screen/tui",
	"github.com/charmbracelet":             "p2pchat/chat/screen/tui",
	"github.com/skip2":                     "p2pchat/chat/screen",
	"github.com/hinshun":                   "no package: it is for tests",
	"golang.org/x/image":                   "no package: it is for tests",
	"golang.org/x/term":                    "p2pchat/cmd/p2pchat",
	"filippo.io":                           "p2pchat/peer/pake",
	"golang.org/x/crypto":                  "p2pchat/peer or p2pchat/peer/mail or p2pchat/cmd/p2pchat/internal/certs",
	"golang.org/x/crypto/acme":             "p2pchat/cmd/p2pchat/internal/certs",
	"golang.org/x/crypto/chacha20poly1305": "p2pchat/peer or p2pchat/peer/mail",
	"golang.org/x/text":                    "p2pchat/peer",
	"github.com/sethvargo":                 "p2pchat/peer",
	"github.com/rogpeppe":                  "no package: it is for tests",
	"github.com/creack":                    "no package: it is for tests",
	"github.com/chromedp":                  "no package: it is for tests",
	"github.com/makiuchi-d":                "no package: it is for tests",
	"github.com/pb33f":                     "no package: it is for tests",
	"google.golang.org/protobuf":           "p2pchat/signaling/tracing or p2pchat/signaling/tracing/tracetest",
	"go.opentelemetry.io":                  "p2pchat/signaling/tracing/tracetest",
	"github.com/letsencrypt":               "no package: it is for tests",
	"github.com/miekg":                     "no package: it is for tests",
	"github.com/anishathalye":              "no package: it is for tests",
	"golang.org/x/net/http/httpproxy":      "p2pchat/cmd/p2pchat/internal/proxy",
	"golang.org/x/net/proxy":               "p2pchat/cmd/p2pchat/internal/proxy",
	"github.com/armon":                     "p2pchat/cmd/p2pchat/internal/proxy/proxytest",
	"go.uber.org/goleak":                   "p2pchat/signaling/storetest",
}

func TestImportsKeepTheFloors(t *testing.T) {
	t.Parallel()
	packages := listPackages(t)
	if len(packages) < 7 {
		t.Fatalf("go list found %d packages", len(packages))
	}
	for pkg, imports := range packages {
		for _, i := range imports {
			for _, f := range floors {
				if within(pkg, f.these) && within(i, f.mayNotImport) && i != pkg {
					t.Errorf("%s imports %s, but %s", pkg, i, f.because)
				}
			}
			for library, door := range doors {
				if within(i, library+"/...") && !slices.Contains(strings.Split(door, " or "), pkg) {
					t.Errorf("%s imports %s, whose door is %s", pkg, i, door)
				}
			}
		}
	}
}

// The table of docs/architecture.md has each package once, but for those that only tests import, and names only files that exist.
func TestArchitectureHasEveryPackage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9/]+)` \\| (.*)$").FindAllStringSubmatch(string(page), -1) {
		rows["p2pchat/"+m[1]]++
		for _, file := range regexp.MustCompile("`([a-z0-9_*]+\\.(?:go|ts|yaml))`").FindAllStringSubmatch(m[2], -1) {
			here, _ := filepath.Glob(filepath.Join("../..", m[1], file[1])) // the patterns are well-formed
			page, _ := filepath.Glob(filepath.Join("../..", m[1], "src", file[1]))
			if len(here)+len(page) == 0 {
				t.Errorf("%s has no file %s", m[1], file[1])
			}
		}
	}
	forTests := []string{"p2pchat/chat/internal/chattest", "p2pchat/cmd/p2pchat/internal/proxy/proxytest", "p2pchat/signaling/tracing/tracetest"}
	for pkg := range listPackages(t) {
		if n := rows[pkg]; n != 1 && !slices.Contains(forTests, pkg) {
			t.Errorf("%s has %d rows", pkg, n)
		}
		delete(rows, pkg)
	}
	for row := range rows {
		t.Errorf("%s has a row, and is no package", row)
	}
}

// within tells whether pkg is meant by pattern: "*.*/..." is every other module, and "*/..." is all that is not
// standard.
func within(pkg, pattern string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	switch pattern {
	case "*.*/...":
		return strings.Contains(first, ".")
	case "*/...":
		return strings.Contains(first, ".") || first == "p2pchat"
	}
	root, below := strings.CutSuffix(pattern, "...")
	root = strings.TrimSuffix(root, "/")
	return pkg == root || below && (root == "" || strings.HasPrefix(pkg, root+"/"))
}

// listPackages is every package of this module with what it imports, tests left out.
func listPackages(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "p2pchat/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := map[string][]string{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = slices.Clone(p.Imports)
	}
}
