package server

import (
	"fmt"
	"testing"
	"time"

	"p2pchat/signaling"
)

func TestPreferredWait(t *testing.T) {
	for _, test := range []struct {
		says   string
		prefer []string
		wait   time.Duration
		asked  bool
	}{
		{"nothing asks for nothing", nil, 0, false},
		{"an empty header asks for nothing", []string{""}, 0, false},
		{"a number is seconds", []string{"wait=10"}, 10 * time.Second, true},
		{"zero is a wish too", []string{"wait=0"}, 0, true},
		{"a minute is the most", []string{"wait=61"}, time.Minute, true},
		{"a number beyond all numbers is a minute", []string{"wait=99999999999999999999999"}, time.Minute, true},
		{"the name's case does not matter", []string{"Wait=10"}, 10 * time.Second, true},
		{"there may be space around everything", []string{" wait = 10 ; foo=bar "}, 10 * time.Second, true},
		{"the value may be quoted", []string{`wait="10"`}, 10 * time.Second, true},
		{"others may stand before it", []string{"respond-async, wait=10"}, 10 * time.Second, true},
		{"others may stand in another header", []string{"respond-async", "wait=10"}, 10 * time.Second, true},
		{"the first one counts", []string{"wait=10, wait=20"}, 10 * time.Second, true},
		{"a first one that makes no sense counts", []string{"wait=x, wait=20"}, 0, false},
		{"a word is ignored", []string{"wait=x"}, 0, false},
		{"a negative number is ignored", []string{"wait=-1"}, 0, false},
		{"a sign is ignored", []string{"wait=+1"}, 0, false},
		{"a fraction is ignored", []string{"wait=1.5"}, 0, false},
		{"no value is ignored", []string{"wait"}, 0, false},
		{"an empty value is ignored", []string{"wait="}, 0, false},
		{"another name that begins with it is another", []string{"waiting=10"}, 0, false},
		{"within quotes it is not one", []string{`foo="a, wait=10"`}, 0, false},
		{"behind quotes with a comma it is one", []string{`foo="a, b", wait=10`}, 10 * time.Second, true},
	} {
		t.Run(test.says, func(t *testing.T) {
			wait, asked := preferredWait(test.prefer)
			if wait != test.wait || asked != test.asked {
				t.Errorf("%q: %v, %t; want %v, %t", test.prefer, wait, asked, test.wait, test.asked)
			}
		})
	}
}

func TestTags(t *testing.T) {
	for _, test := range []struct {
		says   string
		values []string
		want   []signaling.Version
	}{
		{"no header is no tag", nil, nil},
		{"an empty header is no tag", []string{"", " , "}, nil},
		{"one is a list of one", []string{`"a"`}, []signaling.Version{"a"}},
		{"a weak one is as good", []string{`W/"a"`}, []signaling.Version{"a"}},
		{"a list has them all", []string{`"a", W/"b","c"`}, []signaling.Version{"a", "b", "c"}},
		{"several headers are one list", []string{`"a"`, `"b"`}, []signaling.Version{"a", "b"}},
		{"a comma within one does not part it", []string{`"a,b", "c"`}, []signaling.Version{"a,b", "c"}},
		{"a star is passed on", []string{"*"}, []signaling.Version{"*"}},
	} {
		t.Run(test.says, func(t *testing.T) {
			if got := tags(test.values); fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("%q: %q, want %q", test.values, got, test.want)
			}
		})
	}
}

func TestBearer(t *testing.T) {
	for _, test := range []struct{ says, authorization, want string }{
		{"no header is no token", "", ""},
		{"a bearer's token is found", "Bearer abc", "abc"},
		{"the scheme's case does not matter", "bEARER abc", "abc"},
		{"space around it is not of it", "Bearer  abc ", "abc"},
		{"another scheme has none", "Basic abc", ""},
		{"the scheme alone has none", "Bearer", ""},
	} {
		t.Run(test.says, func(t *testing.T) {
			if got := bearer(test.authorization); got != test.want {
				t.Errorf("%q: %q, want %q", test.authorization, got, test.want)
			}
		})
	}
}
