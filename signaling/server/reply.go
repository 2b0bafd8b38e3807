package server

import (
	"encoding/json"
	"unicode/utf8"
)

// appendReply appends a JSON object of strings to b, and a newline, as a json.Encoder writes it. The list has
// a name before each value.
func appendReply(b []byte, list ...string) []byte {
	for i, one := range list {
		switch {
		case i == 0:
			b = append(b, '{')
		case i%2 == 0:
			b = append(b, ',')
		default:
			b = append(b, ':')
		}
		b = appendString(b, one)
	}
	return append(b, "}\n"...)
}

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	for _, c := range []byte(s) {
		if c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			escaped, _ := json.Marshal(s) // a string can always be encoded
			return append(b, escaped...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
