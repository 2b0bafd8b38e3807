package signaling

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestProblems is in the package itself because it tests the table.
func TestProblems(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range problems {
		t.Run(row.name+" crosses the wire", func(t *testing.T) {
			p, ok := ProblemOf(fmt.Errorf("while doing something: %w", row.err))
			if !ok || p.Status != row.status || p.Type != urn+row.name {
				t.Fatalf("%v travels as %+v, %v", row.err, p, ok)
			}
			body, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			var back Problem
			if err := json.Unmarshal(body, &back); err != nil {
				t.Fatal(err)
			}
			for _, other := range problems {
				if is := errors.Is(back, other.err); is != errors.Is(other.err, row.err) {
					t.Errorf("what arrives is %v: %v", other.err, is)
				}
			}
			if again, ok := ProblemOf(back); !ok || again.Type != p.Type {
				t.Errorf("it is forwarded as %+v", again)
			}
		})
		t.Run(row.name+" is a sentence", func(t *testing.T) {
			for _, text := range []string{row.detail, capital(row.err.Error()) + "."} {
				if text != capital(text) || !strings.HasSuffix(text, ".") || strings.Contains(text, urn) {
					t.Errorf("%q is not a sentence", text)
				}
			}
		})
		if seen[row.name] || row.status < 300 || http.StatusText(row.status) == "" {
			t.Errorf("%s: a name twice, or no status of a refusal: %d", row.name, row.status)
		}
		seen[row.name] = true
	}
	t.Run("an invalid request says why", func(t *testing.T) {
		_, err := ParseCandidates([]byte(`[{}, 7]`))
		p, ok := ProblemOf(err)
		if want := "Element 1: a JSON object was expected, not a number."; !ok || p.Detail != want || p.Error() != want {
			t.Errorf("the detail is %q, want %q", p.Detail, want)
		}
	})
	t.Run("other errors are no problems", func(t *testing.T) {
		for _, err := range []error{nil, errors.New("disk on fire"), ErrForeign, ErrUnreachable} {
			if p, ok := ProblemOf(err); ok {
				t.Errorf("%v travels as %+v", err, p)
			}
		}
		if err := (Problem{Type: urn + "new", Title: "New"}); errors.Unwrap(err) != nil || err.Error() != "New" {
			t.Errorf("an unknown problem is %v: %v", errors.Unwrap(err), err)
		}
	})
}
