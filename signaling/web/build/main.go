// Command build makes dist, the page as it is served, of src. It is a module of its
// own, so that esbuild is no dependency of the program:
//
//	go run -C signaling/web/build . [DIRECTORY]
//	go run -C signaling/web/build . -parts > parts.js
//
// The same sources give the same bytes, on every machine. -parts bundles what tests reach
// into, as a script that makes the global "parts".
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	out := "../dist"
	if len(os.Args) > 1 {
		out = os.Args[1]
	}
	var err error
	if out == "-parts" {
		err = parts("..")
	} else {
		err = build("..", out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

// build makes the page of the sources in web, in the directory out, which it empties.
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
	files["index.html"] = page
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

func parts(web string) error {
	o := options(web, filepath.Join(web, "test", "parts.ts"))
	o.Format, o.GlobalName = api.FormatIIFE, "parts"
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
		Loader:        map[string]api.Loader{".txt": api.LoaderText},
		Alias:         map[string]string{"@noble": filepath.Join(web, "noble")},
	}
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
