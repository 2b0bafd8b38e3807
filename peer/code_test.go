package peer_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"p2pchat/peer"
)

func TestParseCode(t *testing.T) {
	long := strings.Repeat("x", 64)
	tests := map[string]struct {
		text, room, rest, printed string // no room: it is none
	}{
		"a room alone":         {text: "standup", room: "standup", printed: "standup"},
		"a room and a secret":  {text: "417-amber-falcon", room: "417", rest: "amber-falcon", printed: "417-amber-falcon"},
		"capitals":             {text: "417-Amber-FALCON", room: "417", rest: "amber-falcon", printed: "417-amber-falcon"},
		"spaces":               {text: "417 amber falcon", room: "417", rest: "amber-falcon", printed: "417-amber-falcon"},
		"tabs":                 {text: "\t417\tamber falcon\t", room: "417", rest: "amber-falcon", printed: "417-amber-falcon"},
		"spaces around":        {text: "  standup ", room: "standup", printed: "standup"},
		"dots for dashes":      {text: "417.falcon.zebra"},
		"bars for dashes":      {text: "417_Falcon_zebra"},
		"dots of one's own":    {text: "417.my.room", room: "417.my.room", printed: "417.my.room"},
		"a dash before":        {text: "-standup"},
		"a dash behind":        {text: "standup-"},
		"a long dash behind":   {text: "417-amber\u2014"},
		"dashes around":        {text: " - standup - "},
		"a doubled dash":       {text: "417--amber - falcon", room: "417", rest: "amber-falcon", printed: "417-amber-falcon"},
		"every sign there is":  {text: "a.b_c~9", room: "a.b_c~9", printed: "a.b_c~9"},
		"umlauts in a secret":  {text: "42-GRÜN-fuß", room: "42", rest: "grün-fuß", printed: "42-grün-fuß"},
		"64 characters":        {text: long, room: long, printed: long},
		"64 and a secret":      {text: long + "-y", room: long, rest: "y", printed: long + "-y"},
		"65 characters":        {text: long + "x"},
		"nothing":              {},
		"spaces alone":         {text: " \t "},
		"dashes alone":         {text: "--"},
		"a slash":              {text: "a/b"},
		"an umlaut":            {text: "grün-words"},
		"a line break":         {text: "standup\n"},
		"a control character":  {text: "\x00"},
		"no UTF-8":             {text: "\xff"},
		"a link":               {text: "https://chat.example.org/#standup"},
		"a Kelvin sign, for k": {text: "\u212aitchen", room: "kitchen", printed: "kitchen"},
		"a phone's long dash":  {text: "417\u2014amber\u2013falcon", room: "417", rest: "amber-falcon", printed: "417-amber-falcon"},
		"a space that sticks":  {text: "417\u00a0amber falcon", room: "417", rest: "amber-falcon", printed: "417-amber-falcon"},
		"wide letters":         {text: "\uff14\uff11\uff17-\uff41mber", room: "417", rest: "amber", printed: "417-amber"},
		"an umlaut in pieces":  {text: "42-gru\u0308n", room: "42", rest: "grün", printed: "42-grün"},
		"a secret of 256":      {text: "x-" + strings.Repeat("y", 256), room: "x", rest: strings.Repeat("y", 256), printed: "x-" + strings.Repeat("y", 256)},
		"a secret of 257":      {text: "x-" + strings.Repeat("y", 257)},
		"a bell in a secret":   {text: "x-y\a"},
		"a hidden letter":      {text: "x-y\u200b"},
		"call's own line":      {text: "p2pchat: code: 417-amber-falcon", room: "417", rest: "amber-falcon", printed: "417-amber-falcon"},
		"call's line, no code": {text: "p2pchat: code: "},
		"a screen's own line":  {text: "“Code: 417-amber-falcon”.", room: "417", rest: "amber-falcon", printed: "417-amber-falcon"},
		"a full stop behind":   {text: "417-amber-falcon.", room: "417", rest: "amber-falcon", printed: "417-amber-falcon"},
		"a comma behind":       {text: "417-amber-falcon, ", room: "417", rest: "amber-falcon", printed: "417-amber-falcon"},
		"quotes around":        {text: "\"417-amber-falcon\".", room: "417", rest: "amber-falcon", printed: "417-amber-falcon"},
		"a phone's quotes":     {text: "„417 amber falcon“", room: "417", rest: "amber-falcon", printed: "417-amber-falcon"},
		"brackets around":      {text: "(417-amber-falcon)?!", room: "417", rest: "amber-falcon", printed: "417-amber-falcon"},
		"code's quotes":        {text: "`417-amber-falcon`", room: "417", rest: "amber-falcon", printed: "417-amber-falcon"},
		"wide punctuation":     {text: "「417-amber-falcon」。", room: "417", rest: "amber-falcon", printed: "417-amber-falcon"},
		"dots behind":          {text: "417-amber-falcon…", room: "417", rest: "amber-falcon", printed: "417-amber-falcon"},
		"marks in the middle":  {text: "x-what's.up?-now!", room: "x", rest: "what's.up?-now", printed: "x-what's.up?-now"},
		"a room and a stop":    {text: "standup.", room: "standup", printed: "standup"},
		"a dash and a stop":    {text: "417-amber-."},
		"marks alone":          {text: "\"...\""},
		"a secret not UTF-8":   {text: "x-\xff"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := peer.ParseCode(test.text)
			if test.room == "" {
				if !errors.Is(err, peer.ErrCode) {
					t.Errorf("it is %+v and says %v, want %v", c, err, peer.ErrCode)
				}
				return
			}
			if err != nil || c.Room != test.room || c.Secret != test.rest {
				t.Errorf("it is %+v and says %v, want %q and %q", c, err, test.room, test.rest)
			}
			if c.String() != test.printed {
				t.Errorf("it prints as %q, want %q", c, test.printed)
			}
		})
	}
}

func TestComplete(t *testing.T) {
	for text, want := range map[string][]string{
		"":                         nil,
		"41":                       nil,
		"417-":                     nil,
		"417-falc":                 {"417-falcon-"},
		"417 FALC":                 {"417 falcon-"},
		"417-falcon-zeb":           {"417-falcon-zebra"},
		"417-my-own-words-zeb":     {"417-my-own-words-zebra"},
		"417-zeb-fal":              {"417-zeb-falcon"},
		"417-xyz":                  nil,
		"no/room-fal":              nil,
		"417-falcon-zebra\u200b-a": nil,
	} {
		if got := peer.Complete(text); !slices.Equal(got, want) {
			t.Errorf("%q is completed to %q, want %q", text, got, want)
		}
	}
	if all := peer.Complete("417-a"); len(all) < 50 {
		t.Errorf("%d words begin with a", len(all))
	}
}

func TestUnlisted(t *testing.T) {
	for text, want := range map[string]string{
		"417-falcon-zebra": "", "417-falcom-zebra": "falcom", "417-falcon-zebraa": "zebraa", "417-my-own": "my",
		"417": "", "417-falcom": "", "417-falcon-zebra-falcom": "", "standup-falcom-zebra": "",
	} {
		c, err := peer.ParseCode(text)
		if got := c.Unlisted(); err != nil || got != want {
			t.Errorf("of %q it is %q, want %q; %v", text, got, want, err)
		}
	}
}

// What parses prints, and parses to the same.
func FuzzParseCode(f *testing.F) {
	for _, seed := range []string{"standup", "417-amber-falcon", " A\t-b ", "grün", "1-ß-İ", "-", "\xff-\xff", "\u212a", "x-\u0130", "x-\u00b4y", "x-\uff0d\u0344", "“x-y.z”…)", "x-(", "x-' .", "x\u2014\u01c5\u0345"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := peer.ParseCode(text)
		if err != nil {
			if !errors.Is(err, peer.ErrCode) {
				t.Errorf("%q says %v, want %v", text, err, peer.ErrCode)
			}
			return
		}
		again, err := peer.ParseCode(c.String())
		if err != nil || again != c {
			t.Errorf("%q is %+v, which prints as %q, which is %+v, %v", text, c, c, again, err)
		}
	})
}
