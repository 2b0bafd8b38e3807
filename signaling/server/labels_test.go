package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every limit and every operation that the code names has its counter: without one, counting would panic.
func TestEveryLabelHasItsCounter(t *testing.T) {
	t.Parallel()
	named := labelsOfTheCode(t)
	m := newMetrics(&Server{}, nil)
	for _, test := range []struct {
		what         string
		named, known []string
	}{
		{"limits", named["limit"], slices.Sorted(maps.Keys(m.limits))},
		{"operations that took time", named["operation"], slices.Sorted(maps.Keys(m.store))},
		{"operations that failed", named["operation"], slices.Sorted(maps.Keys(m.failures))},
		{"events of calls", named["call"], slices.Sorted(maps.Keys(m.calls))},
	} {
		slices.Sort(test.named)
		if len(test.named) == 0 || !slices.Equal(test.named, test.known) {
			t.Errorf("of %s, the code names %q, and the metrics have %q", test.what, test.named, test.known)
		}
	}
}

// labelsOfTheCode returns the values of the constants limit… and call…, and the names with which operations begin.
func labelsOfTheCode(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	add := func(kind string, value ast.Expr) {
		literal, ok := value.(*ast.BasicLit)
		if !ok {
			t.Fatalf("a value of %s is no literal", kind)
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		found[kind] = append(found[kind], text)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "begin" {
					add("operation", n.Args[1])
				}
			case *ast.GenDecl:
				if n.Tok == token.CONST {
					addConstants(n, add)
				}
			}
			return true
		})
	}
	return found
}

func addConstants(d *ast.GenDecl, add func(kind string, value ast.Expr)) {
	for _, spec := range d.Specs {
		s := spec.(*ast.ValueSpec)
		for i, name := range s.Names {
			for _, kind := range []string{"limit", "call"} {
				if rest, ok := strings.CutPrefix(name.Name, kind); ok && rest != "" && rest[0] < 'a' {
					add(kind, s.Values[i])
				}
			}
		}
	}
}
