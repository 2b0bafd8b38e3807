package chat

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// strangersFile has bytes of a stranger with what this package reads of them. The page has to read the same: its test is
// TestPageReadsAsTheProgram in cmd/p2pchat.
const strangersFile = "testdata/strangers.json"

// A strangersInput is one input, and what is read of it.
type strangersInput struct {
	Form  string // frame or letter
	In    string // in hex
	Reads string // refused, or its fields
	Odd   bool   `json:",omitempty"` // JSON of which the page may read something else: see isOdd
}

// TestStrangersBytes checks that what was recorded is still read like that. P2PCHATTEST_STRANGERS=FILE writes another set there, of
// P2PCHATTEST_COUNT inputs; with the name of strangersFile it replaces the recorded one.
func TestStrangersBytes(t *testing.T) {
	if path := os.Getenv("P2PCHATTEST_STRANGERS"); path != "" {
		count, err := strconv.Atoi(cmp.Or(os.Getenv("P2PCHATTEST_COUNT"), "300"))
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) //nolint:gosec // no secret
		var lines []string
		for range count {
			line, err := json.Marshal(readOf(spoiled(r)))
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, string(line))
		}
		if err := os.WriteFile(path, []byte("[\n"+strings.Join(lines, ",\n")+"\n]\n"), 0o644); err != nil { //nolint:gosec // the path is of the person who runs the test
			t.Fatal(err)
		}
	}
	var all []strangersInput
	b, err := os.ReadFile(strangersFile)
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	refused, odd, forms := 0, 0, map[string]int{}
	for _, want := range all {
		in, err := hex.DecodeString(want.In)
		if err != nil {
			t.Fatal(err)
		}
		if got := readOf(want.Form, in); got != want {
			t.Errorf("%q is read as %+v, and was as %+v", in, got, want)
		}
		forms[want.Form]++
		if want.Reads == "refused" {
			refused++
		}
		if want.Odd {
			odd++
		}
	}
	if len(forms) != 2 || refused < len(all)/10 || refused > len(all)*9/10 || odd > len(all)/2 {
		t.Errorf("of %v, %d are refused and %d odd: that compares too little", forms, refused, odd)
	}
}

// readOf returns what this package reads of an input.
func readOf(form string, in []byte) strangersInput {
	i := strangersInput{Form: form, In: hex.EncodeToString(in), Reads: "refused"}
	if form == "letter" {
		var l letter
		c := New(Config{})
		if _, err := c.Open(in); err == nil && json.Unmarshal(in, &l) == nil {
			i.Reads = fields(l.Conversation, l.First, l.Heard, l.Of, messagesOf(l))
		}
		i.Odd = isOdd(in, reflect.TypeFor[letter]())
		return i
	}
	f, err := decode(in)
	switch {
	case len(in) > 0 && kind(in[0]) == kindHello:
		if err == nil {
			i.Reads = fields(f.hello.Conversation, f.hello.Name, f.hello.First, f.hello.Heard, f.hello.Of, f.hello.Contacts, f.hello.Holds)
		}
		i.Odd = isOdd(in[1:], reflect.TypeFor[hello]())
	case err == nil && f.seq < 1<<53: // a number of the page has no more bits
		i.Reads = fmt.Sprintf("%d %d %x", f.kind, f.seq, f.text)
	}
	return i
}

func messagesOf(l letter) [][]any {
	list := [][]any{}
	for _, f := range l.Frames {
		list = append(list, []any{f.Seq, f.Part, f.Text})
	}
	return list
}

func fields(all ...any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // as in the page
	if err := e.Encode(all); err != nil {
		panic(err) // of strings, numbers and booleans
	}
	return strings.TrimSpace(b.String())
}

var (
	oddNumber    = regexp.MustCompile(`^-|^\d+[.eE]|^\d{16}`)
	oddCharacter = regexp.MustCompile(`\\u[dD][89a-fA-F]|[\x{2028}\x{2029}]|\\u202[89]|\\u007f|\x7f`)
)

// isOdd reports whether JSON has what encoding/json and browsers read differently, and no encoder of either writes: null in the place of a
// value, numbers with a fraction or above 2⁵³, other capitals in a name, half surrogates. Members that the page does not look at count, too.
func isOdd(in []byte, of reflect.Type) bool {
	var members map[string]json.RawMessage
	if !utf8.Valid(in) || oddCharacter.Match(in) || json.Unmarshal(in, &members) != nil || members == nil {
		return true
	}
	for name, value := range members {
		field, known := fieldOf(of, name)
		if _, otherwise := fieldOf(of, strings.ToLower(name)); !known && otherwise {
			return true
		}
		if !known {
			continue
		}
		unread := slices.Contains([]string{"parts", "bundles", "purpose", "stripes", "haves", "written", "part"}, name)
		if string(value) == "null" || oddNumber.Match(value) || unread && json.Unmarshal(value, reflect.New(field.Type).Interface()) != nil {
			return true
		}
		if field.Type.Kind() != reflect.Slice {
			continue
		}
		var list []json.RawMessage
		if json.Unmarshal(value, &list) != nil {
			continue // both refuse it
		}
		for _, one := range list {
			if isOdd(one, field.Type.Elem()) {
				return true
			}
		}
	}
	return false
}

func fieldOf(of reflect.Type, name string) (reflect.StructField, bool) {
	if of.Kind() != reflect.Struct {
		return reflect.StructField{}, false
	}
	for f := range of.Fields() {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// spoiled returns a frame or a letter: as it is written, with other values, or with other bytes.
func spoiled(r *rand.Rand) (form string, in []byte) {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	value := func() string {
		return pick(`""`, `"x"`, `"Ann"`, `"\u0000<é"`, `0`, `1`, `7`, `9007199254740991`, `-1`, `1.5`, `1e3`, `18446744073709551615`, `true`, `false`, `null`, `[]`, `{}`, `[1]`, `"\ud800"`)
	}
	object := func(members map[string]string) string {
		var list []string
		for _, name := range slices.Sorted(maps.Keys(members)) {
			v := members[name]
			switch r.IntN(8) {
			case 0:
				continue
			case 1:
				v = value()
			}
			list = append(list, strconv.Quote(name)+":"+v)
		}
		return "{" + strings.Join(list, ",") + "}"
	}
	switch r.IntN(3) {
	case 0:
		form = "letter"
		var frames []string
		for n := range r.IntN(3) {
			frames = append(frames, object(map[string]string{"seq": strconv.Itoa(n + 1), "text": `"one"`, "part": pick("true", "false")}))
		}
		in = []byte(object(map[string]string{"conversation": `"c"`, "first": "1", "of": `"d"`, "heard": "2", "written": `"2026-01-01T00:00:00Z"`, "frames": "[" + strings.Join(frames, ",") + "]"}))
	case 1:
		form = "frame"
		in = append([]byte{byte(kindHello)}, object(map[string]string{"conversation": `"c"`, "name": `"Ann"`, "first": "1", "heard": "2", "of": `"d"`, "contacts": "true", "holds": `"k"`, "parts": "true", "purpose": `""`})...)
	default:
		form = "frame"
		f := frame{kind: kind(r.IntN(20)), seq: r.Uint64() >> r.IntN(64), text: pick("", "hi", "é", "\xc3", wordsDiffer, unanswered, `{"id":1}`)} //nolint:gosec // less than 20
		if f.kind == kindHello {
			f.kind = kindMessage
		}
		in, _ = f.encode() // no hello: it has no error
	}
	for range max(0, r.IntN(4)-2) {
		switch at := r.IntN(len(in)); r.IntN(3) {
		case 0:
			in[at] = byte(r.Uint32()) //nolint:gosec // any byte
		case 1:
			in = in[:at+1]
		case 2:
			in = slices.Insert(in, at, byte(r.Uint32())) //nolint:gosec // any byte
		}
	}
	return form, in
}
