package server

import (
	"errors"
	"iter"
	"strconv"
	"strings"
	"time"

	"p2pchat/signaling"
)

// preferredWait finds the preference wait=N of RFC 7240, section 4.3, capped at
// maxWait. One that cannot be understood is ignored, as section 2 asks.
func preferredWait(prefer []string) (wait time.Duration, asked bool) {
	for preference := range elements(prefer) {
		preference, _, _ = strings.Cut(preference, ";")
		name, value, _ := strings.Cut(preference, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "wait") {
			continue
		}
		n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return 0, false // the first one counts, and this is it
		}
		return min(time.Duration(n)*time.Second, maxWait), true // n is the highest there is, if out of range
	}
	return 0, false
}

// tags reads a list of entity tags (RFC 9110, section 8.8.3), weak or strong.
func tags(values []string) []signaling.Version {
	var list []signaling.Version
	for t := range elements(values) {
		t = strings.Trim(strings.TrimPrefix(strings.TrimSpace(t), "W/"), `"`)
		if t != "" {
			list = append(list, signaling.Version(t))
		}
	}
	return list
}

// elements splits a list (RFC 9110, section 5.6.1) at the commas outside of quotes.
func elements(values []string) iter.Seq[string] {
	quoted := false
	return strings.FieldsFuncSeq(strings.Join(values, ","), func(r rune) bool {
		quoted = quoted != (r == '"')
		return r == ',' && !quoted
	})
}

func tag(v signaling.Version) string { return `"` + string(v) + `"` }

// bearer is the token of RFC 6750, section 2.1, or nothing.
func bearer(authorization string) string {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
