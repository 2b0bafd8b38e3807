package server

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

const usualReply = 128 // bytes: a room's name and a token

// writeJSON is c.JSONBlob without a look for another Content-Type.
func writeJSON(c echo.Context, status int, body []byte) error {
	w := c.Response()
	w.Header()["Content-Type"] = contentJSON
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}

// encodeReply returns a JSON object of strings, and a newline, as a json.Encoder writes it. The list has a name before
// each value.
func encodeReply(list ...string) []byte {
	b := make([]byte, 0, usualReply)
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
