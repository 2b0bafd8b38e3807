// Command build makes dist, the page that the server serves, from src. It is a module of its
// own, so that the program does not depend on esbuild:
//
//	go run -C signaling/web/build . [DIRECTORY]
//	go run -C signaling/web/build . -parts > parts.js
//	go run -C signaling/web/build . -properties > properties.js
//
// The same sources give the same bytes on every machine. -parts bundles the modules that have tests
// of their own, as a script that defines the global "parts"; -properties, which needs fast-check of npm, what fuzzes them.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	out := "../dist"
	if len(os.Args) > 1 {
		out = os.Args[1]
	}
	var err error
	if name, isScript := strings.CutPrefix(out, "-"); isScript {
		err = script("..", name)
	} else {
		err = build("..", out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

// build makes the page from the sources in web, in the directory out, which it empties.
func build(web, out string) error {
	files := map[string][]byte{} // by name
	page, err := os.ReadFile(filepath.Join(web, "src", "index.html"))
	if err != nil {
		return err
	}
	for _, name := range []string{"main.js", "page.css", "icon.svg"} {
		content, err := asset(web, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		stem, ext, _ := strings.Cut(name, ".")
		hashed := stem + "." + hex.EncodeToString(sum[:6]) + "." + ext
		files["assets/"+hashed] = content
		page = []byte(strings.ReplaceAll(string(page), "{{"+name+"}}", "assets/"+hashed))
	}
	files["index.html"] = regexp.MustCompile(`(?m)^ +`).ReplaceAll(page, nil)
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(out, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func asset(web, name string) ([]byte, error) {
	source := filepath.Join(web, "src", strings.Replace(name, ".js", ".ts", 1))
	if strings.HasSuffix(name, ".svg") {
		return os.ReadFile(source)
	}
	o := options(web, source)
	o.Format = api.FormatESModule
	o.MinifyWhitespace, o.MinifyIdentifiers, o.MinifySyntax = true, true, true
	return bundle(o)
}

// script writes what tests of the page run, as a script that defines a global with the name of its source.
func script(web, name string) error {
	o := options(web, filepath.Join(web, "test", name+".ts"))
	o.Format, o.GlobalName = api.FormatIIFE, name
	content, err := bundle(o)
	if err == nil {
		_, err = os.Stdout.Write(content)
	}
	return err
}

func options(web, source string) api.BuildOptions {
	return api.BuildOptions{
		EntryPoints:   []string{source},
		Bundle:        true,
		Target:        api.ES2022,
		Charset:       api.CharsetUTF8,
		LegalComments: api.LegalCommentsEndOfFile,
		Plugins:       []api.Plugin{{Name: "word list", Setup: loadWords}},
		Alias:         map[string]string{"@noble": filepath.Join(web, "noble")},
	}
}

// loadWords bundles a word list front-coded, which takes a fifth less of the page: before each word stands the number of letters, 9 at
// most, that it shares with the one before.
func loadWords(b api.PluginBuild) {
	b.OnLoad(api.OnLoadOptions{Filter: `\.txt$`}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
		list, err := os.ReadFile(a.Path)
		if err != nil {
			return api.OnLoadResult{}, err
		}
		var coded strings.Builder
		last := ""
		for word := range strings.FieldsSeq(string(list)) {
			shared := 0
			for shared < min(len(word), len(last), 9) && word[shared] == last[shared] {
				shared++
			}
			fmt.Fprint(&coded, shared, word[shared:])
			last = word
		}
		contents := coded.String()
		return api.OnLoadResult{Contents: &contents, Loader: api.LoaderText}, nil
	})
}

func bundle(o api.BuildOptions) ([]byte, error) {
	for name, path := range o.Alias {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		o.Alias[name] = absolute
	}
	r := api.Build(o)
	if len(r.Errors) > 0 {
		return nil, errors.New(strings.Join(api.FormatMessages(r.Errors, api.FormatMessagesOptions{}), ""))
	}
	return r.OutputFiles[0].Contents, nil
}
