package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"p2pchat/peer"
)

// Parts of the page, by themselves, in the browser that runs them.
func TestPageParts(t *testing.T) {
	t.Parallel()
	p := scripted(t, "parts")

	t.Run("the key exchange passes the vectors of peer/pake", func(t *testing.T) { testPageVectors(t, p.in(t)) })
	t.Run("letters of an earlier conversation that come late are shown unless they were shown before", func(t *testing.T) {
		got := eval[[]string](p.in(t), `(() => {
			const shown = [];
			const reader = { message: (_, from, text) => { shown.push(from + " " + text); }, delivered: () => {}, keeping: () => {} };
			const page = (heard) => new parts.Conversation("Ben", reader, { able: true }, { name: "ann", heard });
			const letter = (conversation, first, ...texts) => ({
				hello: { conversation, name: "", first, heard: 0, of: "" }, written: new Date(), messages: texts.map((text, n) => ({ seq: first + n, part: false, text })),
			});
			const a = page();
			a.open(letter("one", 1, "1"));
			a.open(letter("two", 1, "a"));
			a.open(letter("one", 1, "1"));
			const b = page(JSON.parse(JSON.stringify(a.heard))); // the next tab
			b.open(letter("two", 1, "a"));
			b.open(letter("one", 1, "1"));
			shown.push(b.heard.conversation);
			b.open(letter("one", 1, "1", "2"));
			b.open(letter("two", 1, "a", "b"));
			for (let n = 0; n < 20; n++) b.open(letter("later " + n, 1, String(n)));
			shown.push("remembers " + b.heard.before.length);
			return shown;
		})()`)
		want := []string{"ann 1", "ann a", "two", "ann 2", "ann b"}
		for n := range 20 {
			want = append(want, fmt.Sprint("ann ", n))
		}
		if want = append(want, "remembers 8"); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("where two meet again follows as in the program", func(t *testing.T) {
		p := p.in(t)
		var vectors []struct{ Key, Secret, Room, Next string }
		b, err := os.ReadFile("../../peer/testdata/next.json")
		if err == nil {
			err = json.Unmarshal(b, &vectors)
		}
		if err != nil || len(vectors) == 0 {
			t.Fatalf("%d vectors: %v", len(vectors), err)
		}
		for _, v := range vectors {
			got := eval[[]string](p, fmt.Sprintf(`(() => {
				const next = new parts.SessionKeys({ room: "417", secret: %s }, "answer", new Uint8Array(16), un(%q), undefined, new Uint8Array(16)).next();
				return [next.room, next.secret];
			})()`, js(v.Secret), v.Key))
			if want := []string{v.Room, v.Next}; !slices.Equal(got, want) {
				t.Errorf("after %q the page meets again at %q, want %q", v.Secret, got, want)
			}
		}
	})
	t.Run("the keys of contacts follow as in the program", func(t *testing.T) { testPageContactVectors(t, p.in(t)) })
	t.Run("letters hold what those of the program hold", func(t *testing.T) { testPageLetterVectors(t, p.in(t)) })
	t.Run("letters are sealed as in the program", func(t *testing.T) { testPageMailVectors(t, p.in(t)) })
	t.Run("ML-KEM-768 is the program's", func(t *testing.T) {
		p := p.in(t)
		var vectors []struct{ Seed, M, EK, CT, Shared string }
		b, err := os.ReadFile("../../peer/testdata/mlkem768.json")
		if err == nil {
			err = json.Unmarshal(b, &vectors)
		}
		if err != nil || len(vectors) == 0 {
			t.Fatalf("%d vectors: %v", len(vectors), err)
		}
		for _, v := range vectors {
			got := eval[[]string](p, fmt.Sprintf(`(() => {
				const { publicKey, secretKey } = parts.ml_kem768.keygen(un(%q));
				const { cipherText, sharedSecret } = parts.ml_kem768.encapsulate(publicKey, un(%q));
				return [publicKey, cipherText, sharedSecret, parts.ml_kem768.decapsulate(cipherText, secretKey)].map(parts.hex);
			})()`, v.Seed, v.M))
			if want := []string{v.EK, v.CT, v.Shared, v.Shared}; !slices.Equal(got, want) {
				t.Errorf("of the seed %s the page makes %.120q, want %.120q", v.Seed, got, want)
			}
		}
	})
	t.Run("the words are those of the program", func(t *testing.T) {
		p := p.in(t)
		var want []string
		for letter := 'a'; letter <= 'z'; letter++ {
			for _, c := range peer.Complete("1-" + string(letter)) {
				want = append(want, strings.Trim(c, "1-"))
			}
		}
		if got := eval[[]string](p, "parts.words"); !slices.Equal(got, want) || len(got) != 1295 {
			t.Errorf("%d words, of which %d are the program's", len(got), len(want))
		}
	})
	t.Run("codes are read as the program does", func(t *testing.T) {
		p := p.in(t)
		for _, text := range []string{
			"417-falcon-zebra", " 417 Falcon  ZEBRA\t", "417–falcon—zebra", "standup", "Lobby", "a.b_c~d", "standup-correct-horse-battery", "STANDUP-ÜBER-İstanbul-ΣΑΣ",
			"", "   ", "-", "-falcon", "417-", "417-falcon-", "417--falcon", "äbc-x", "417.falcon.zebra", "417_falcon~zebra", "417.falcon.wrong", "417-fal\u200bcon", "417-ﬁx-①",
			"４１７-ｆａｌｃｏｎ", "a\nb", "a-b\nc", strings.Repeat("a", 64), strings.Repeat("a", 65), "x-" + strings.Repeat("é", 128), "x-" + strings.Repeat("é", 129), "x-😀", "x-a\u00a0b", "x-a\u0301",
			"417-falcon-zebra.", "“417-falcon-zebra”, ", "(417 falcon zebra)?!", "`417-falcon-zebra`…", "「417-falcon-zebra」。", "standup.", "417-falcon-.", "\"...\"", "x-what's.up?-now!", "x-(",
			"p2pchat: code: 417-falcon-zebra", "“Code: 417-falcon-zebra”.", "code:", "code 417-falcon-zebra",
		} {
			want, err := peer.ParseCode(text)
			got := eval[string](p, `(() => { try { return parts.print(parts.parse(`+js(text)+`)) } catch (e) { return "refused: " + e.message } })()`)
			if refused := strings.HasPrefix(got, "refused: "); refused != (err != nil) || !refused && got != want.String() {
				t.Errorf("%q is %q to the page, and %q (%v) to the program", text, got, want, err)
			}
			if err == nil {
				doubt, odd := eval[string](p, `parts.doubt(parts.parse(`+js(text)+`)) ?? ""`), want.Unlisted()
				if (doubt == "") != want.IsGenerated() || odd != "" && !strings.HasPrefix(doubt, "“"+odd+"” is not a code word") {
					t.Errorf("of %q the page says %q; the program doubts %q, and takes it for generated: %v", text, doubt, odd, want.IsGenerated())
				}
			}
		}
	})
	t.Run("a stranger's bytes are read as the program does", func(t *testing.T) { testPageStrangers(t, p.in(t)) })
	t.Run("links and commands are read as the program does", func(t *testing.T) {
		p := p.in(t)
		for _, text := range []string{
			"417-falcon-zebra", "", "http://chat.example.org/#417-falcon-zebra", "https://chat.example.org:8443/chat/#standup-%C3%BCber", "(https://chat.example.org/#417-falcon-zebra).",
			"p2pchat answer", "p2pchat answer 417-falcon-zebra --server http://chat.example.org:3000", "$ p2pchat answer 417 falcon zebra", "type: `p2pchat answer 417-falcon-zebra`", "p2pchat answer --qr 417-falcon-zebra",
			"xp2pchat answer 1-2", "p2pchat answers 1-2", "“p2pchat answer 1-a-b --server 'https://chat.example.org/x/'”", "http://chat.example.org/", "p2pchat demo",
			"clear; p2pchat answer a-b-x; echo rc=$?", "p2pchat answer a-b-x --server http://h:1&& ls", `p2pchat answer 'standup-it'\''s&you' --server "http://h:1"|tee`,
			"'p2pchat answer a-b-x'; it's open", "p2pchat answer a-b-x 'so; what", `p2pchat answer "standup-i&you"`,
		} {
			code, server := invitation(text)
			got := eval[[]string](p, `((i) => { try { return [parts.print(parts.parse(i.code)), i.server] } catch { return ["", i.server] } })(parts.invitation(`+js(text)+`))`)
			want := ""
			if c, err := peer.ParseCode(code); err == nil {
				want = c.String()
			}
			if got[0] != want || got[1] != strings.TrimRight(server, "/") {
				t.Errorf("%q is %q to the page, and %q at %q to the program", text, got, want, server)
			}
		}
	})
	t.Run("names are made proper", func(t *testing.T) {
		p := p.in(t)
		var vectors []struct{ Name, Proper string }
		file, err := os.ReadFile("../../chat/testdata/names.json")
		if err == nil {
			err = json.Unmarshal(file, &vectors)
		}
		if err != nil || len(vectors) == 0 {
			t.Fatalf("%d names: %v", len(vectors), err)
		}
		for _, v := range vectors {
			if got := eval[string](p, `parts.properName(`+js(v.Name)+`)`); got != v.Proper {
				t.Errorf("%q is called %q, want %q", v.Name, got, v.Proper)
			}
		}
		for name, want := range map[string]string{"../../etc/passwd": "passwd", `C:\x\y.txt`: "y.txt", "..": "file", "": "file", "a\u202etxt.exe": "atxt.exe", "con<>|?*": "con<>|?*", "10:30.log": "10:30.log", "می\u200cخواهم": "می\u200cخواهم", "\u200b": "file", ".profile": "profile"} {
			if got := eval[string](p, `parts.properFile(`+js(name)+`)`); got != want {
				t.Errorf("the file %q is called %q", name, got)
			}
		}
	})
	t.Run("a code takes three wrong answers in its life, whatever the server does", func(t *testing.T) {
		p := p.in(t)
		for _, side := range []string{"offer", "answer"} {
			if got, want := eval[string](p, "("+guessingServer+")("+js(side)+")"), map[string]string{
				"offer":  "3 offers; wrong 2, wrong 1, wrong 0; burnt, burnt",
				"answer": "3 answers; unproven, unproven, unproven; impostor, impostor",
			}[side]; got != want {
				t.Errorf("with a code for its %s the page had %q, want %q", side, got, want)
			}
		}
		if got := eval[string](p, `(() => {
			const saved = [], g = new parts.Guesses(1, (n) => saved.push(n)), full = new parts.Guesses(0, () => { throw new Error("full") });
			g.spend(); g.refund(); g.spend(); g.spend();
			return [g.burnt, saved.join(), full.spend(), full.burnt].join(" ");
		})()`); got != "true 2,1,2,3 false true" {
			t.Errorf("the count is %s", got)
		}
	})
	t.Run("a conversation is left by legal steps alone", func(t *testing.T) {
		p := p.in(t)
		legal := map[[2]string]string{
			{"open", "leave"}: "leaving", {"open", "heard"}: "answering", {"leaving", "said"}: "said", {"leaving", "heard"}: "answering",
			{"said", "heard"}: "closing", {"answering", "said"}: "answered", {"said", "moved"}: "leaving", {"answered", "moved"}: "answering",
		}
		for _, from := range []string{"open", "leaving", "said", "answering", "closing", "answered"} {
			for _, step := range []string{"leave", "said", "heard", "moved"} {
				if got := eval[string](p, fmt.Sprintf(`parts.after(%q, %q) ?? ""`, from, step)); got != legal[[2]string{from, step}] {
					t.Errorf("%s is left by %s to %q", from, step, got)
				}
			}
		}
	})
	t.Run("a hello is waited for while the other side rings", func(t *testing.T) {
		p := p.in(t)
		// The clock and the timer are the test's. A ringing frame comes every 3 s; then none, declined, or no end.
		run := `((rings, decline) => {
			const real = [window.setTimeout, window.clearTimeout, performance.now];
			let now = 0, timer, ended = "", rang = 0;
			window.setTimeout = (f, ms) => { timer = { f, at: now + ms }; return 1; };
			window.clearTimeout = () => { timer = undefined; };
			performance.now = () => now;
			const pass = (ms) => { for (const until = now + ms; timer && timer.at <= until && !ended;) { now = timer.at; timer.f(); } if (!ended) now += ms; };
			try {
				const wait = new parts.HelloWait({ end: (why) => { ended ||= why.kind + " " + now / 1000; } }, () => rang++, () => {});
				const frame = (kind, text) => wait.handle({ kind, seq: 0, body: new TextEncoder().encode(text) });
				for (let i = 0; i < rings && !ended; i++) { pass(3000); frame(16, ""); }
				if (decline !== undefined) frame(17, decline);
				pass(10_000);
				return ended + ", " + rang + ", " + frame(2, "hi");
			} finally { [window.setTimeout, window.clearTimeout, performance.now] = real; }
		})`
		for call, want := range map[string]string{
			`(0)`: "silent 10, 0, false", `(5)`: "unanswered 25, 1, false", `(99)`: "unanswered 120, 1, false",
			`(4, "")`: "declined 12, 1, false", `(4, "unanswered")`: "unanswered 12, 1, false", `(0, "")`: "declined 0, 0, false",
		} {
			if got := eval[string](p, run+call); got != want {
				t.Errorf("%s ends with %q, want %q", call, got, want)
			}
		}
	})
	t.Run("pieces of a file are put in order, and bounded", func(t *testing.T) { testPagePieces(t, p.in(t)) })
	t.Run("what a server and the other side name is bounded", func(t *testing.T) { testPageBounds(t, p.in(t)) })
	t.Run("QR codes are read by another program", func(t *testing.T) {
		p := p.in(t)
		for _, length := range []int{1, 10, 14, 15, 26, 27, 42, 62, 84, 106, 107, 122, 152, 180, 181, 213} {
			text := "https://chat.example.org:3000/#417-falcon-zebra/"
			text = strings.Repeat(text, 5)[:length]
			rows := eval[[][]bool](p, `parts.qr(`+js(text)+`)`)
			if got := readQR(t, rows); got != text {
				t.Errorf("%d characters in %d rows are read as %q", length, len(rows), got)
			}
		}
		if eval[bool](p, `parts.qr("x".repeat(214)) !== undefined`) {
			t.Error("a text that is too long has a code")
		}
	})
}

// guessingServer runs one side of a page at a server that guesses each time that it is asked, and
// tries once more when the session has ended.
const guessingServer = `async (side) => {
	const code = { room: "417", secret: "falcon-zebra" }, guess = { room: "417", secret: "a-guess" };
	const pc = new RTCPeerConnection();
	pc.createDataChannel("chat");
	const sdp = (await pc.createOffer()).sdp.replaceAll("setup:actpass", side === "offer" ? "setup:active" : "setup:actpass");
	pc.close();
	let offer, written = 0, reads = 0;
	const never = (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
	const write = async (t, body) => { offer = JSON.parse(body); written++; return "v"; };
	const store = {
		origin: "http://localhost", watch: async () => {}, close: async () => {}, iceServers: async () => [], offer: write, reoffer: write,
		answer: async () => { written++; throw new parts.Failure("superseded", "another offer"); },
		addCandidates: async () => 1, candidates: (t, of, after, wait, signal) => never(signal),
		description: async () => {
			if (++reads > 20) throw new parts.Failure("unreachable", "enough");
			const d = side === "offer" ? parts.respond(guess, offer, sdp)[1] : new parts.Proposal(guess, sdp).document;
			return { body: JSON.stringify(d), version: "v" + reads };
		},
	};
	const told = [], ends = [];
	const listener = { waiting() {}, connecting() {}, slow() {}, taken() {}, wrongCode: (left) => told.push("wrong " + left), retrying: () => told.push("unproven") };
	const session = new parts.Session(store, side, code, false, listener);
	for (let i = 0; i < 2; i++) {
		const life = new AbortController();
		await session.pipe(life.signal).catch((e) => ends.push(e.kind ?? String(e)));
		life.abort();
	}
	return written + (side === "offer" ? " offers; " : " answers; ") + told.join(", ") + "; " + ends.join(", ");
}`

// pageScript returns a script that defines what signaling/web/test exports under that name.
func pageScript(t *testing.T, name string) string {
	t.Helper()
	script, err := exec.CommandContext(t.Context(), "go", "run", "-C", "../../signaling/web/build", ".", "-"+name).Output() //nolint:gosec // a name in this package
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}

// scripted returns a blank tab with the page's modules that signaling/web/test exports under that name.
func scripted(t *testing.T, name string) *tab {
	t.Helper()
	b, script := sharedBrowser(t), pageScript(t, name)
	ctx, cancel := chromedp.NewContext(b)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	p := &tab{t: t, ctx: ctx}
	p.do(chromedp.Navigate("about:blank"), chromedp.Evaluate[chromedp.Void](script+";globalThis."+name+" = "+name+`;
		globalThis.un = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (h) => parseInt(h, 16)); 0`))
	return p
}

// in returns the same tab, whose errors are those of t.
func (p *tab) in(t *testing.T) *tab { return &tab{t: t, ctx: p.ctx} }

func testPageVectors(t *testing.T, p *tab) {
	var v struct {
		Run    map[string]string `json:"G_25519"`
		Points map[string]string `json:"X25519_points"`
	}
	file, err := os.ReadFile("../../peer/pake/testdata/cpace-x25519-sha512.json")
	if err == nil {
		err = json.Unmarshal(file, &v)
	}
	if err != nil || len(v.Points) != 12 {
		t.Fatalf("%d points: %v", len(v.Points), err)
	}
	of := func(name string) string { return `un("` + v.Run[name] + `")` }
	equal := func(what, expression, want string) {
		t.Helper()
		if got := eval[string](p, "parts.hex("+expression+")"); !strings.EqualFold(got, v.Run[want]) {
			t.Errorf("%s is %s, want %s", what, got, v.Run[want])
		}
	}
	public := of("PRS") + "," + of("CI") + "," + of("sid")
	equal("the generator", "parts.generator("+public+")", "g")
	p.do(chromedp.Evaluate[chromedp.Void](`
		globalThis.a = new parts.Party("initiator", ` + public + "," + of("ya") + `);
		globalThis.b = new parts.Party("responder", ` + public + "," + of("yb") + `);
		globalThis.ka = a.finish(` + of("ADa") + "," + of("Yb") + "," + of("ADb") + `);
		globalThis.kb = b.finish(` + of("ADb") + "," + of("Ya") + "," + of("ADa") + `); 0`))
	equal("the initiator's share", "a.share", "Ya")
	equal("the responder's share", "b.share", "Yb")
	equal("the point that both know", "parts.multiply("+of("ya")+","+of("Yb")+")", "K")
	equal("the initiator's secret", "ka.secret", "ISK_IR")
	equal("the responder's secret", "kb.secret", "ISK_IR")
	if !eval[bool](p, "ka.confirms(kb.tag) && kb.confirms(ka.tag) && !ka.confirms(ka.tag) && !kb.confirms(kb.tag) && !ka.confirms(new Uint8Array())") {
		t.Error("the two do not confirm each other, or a tag that is not the other side's confirms")
	}
	if !eval[bool](p, `(() => { try { a.finish(new Uint8Array(), b.share, new Uint8Array()); return false } catch { return true } })()`) {
		t.Error("a run goes on when it is over")
	}
	refused := []string{"Invalid Y0", "Invalid Y1", "Invalid Y2", "Invalid Y3", "Invalid Y4", "Invalid Y5", "Invalid Y7"}
	for name, point := range v.Points {
		want := slices.Contains(refused, name)
		if got := eval[bool](p, fmt.Sprintf(`(() => { try { parts.multiply(un(%q), un(%q)); return false } catch { return true } })()`, v.Run["ya"], point)); got != want {
			t.Errorf("%s is refused: %v, want %v", name, got, want)
		}
	}
	if lv := eval[string](p, `parts.hex(parts.lv(un("31323334"), un("35"), un(""), un("363738"), new Uint8Array(300)))`); lv != "043132333401350003363738ac02"+hex.EncodeToString(make([]byte, 300)) {
		t.Errorf("lv is %s", lv)
	}
}

// readQR reads a code from a picture of it.
func readQR(t *testing.T, rows [][]bool) string {
	t.Helper()
	const scale, quiet = 4, 4
	side := (len(rows) + 2*quiet) * scale
	picture := image.NewGray(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			column, row := x/scale-quiet, y/scale-quiet
			if row < 0 || row >= len(rows) || column < 0 || column >= len(rows) || !rows[row][column] {
				picture.SetGray(x, y, color.Gray{Y: 255})
			}
		}
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		t.Fatal(err)
	}
	found, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
	if err != nil {
		return err.Error()
	}
	return found.GetText()
}
