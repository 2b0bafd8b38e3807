package server

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi-validator/paths"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"p2pchat/signaling"
	"p2pchat/signaling/memstore"
)

// document is openapi.yaml, read once for all tests.
var document = sync.OnceValues(func() (*v3.Document, validator.Validator) {
	d, err := libopenapi.NewDocument(openAPI)
	if err != nil {
		panic(err)
	}
	v, errs := validator.NewValidator(d)
	if len(errs) > 0 {
		panic(errs[0])
	}
	if ok, errs := v.ValidateDocument(); !ok {
		panic(failures(errs))
	}
	model, err := d.BuildV3Model()
	if err != nil {
		panic(err)
	}
	return &model.Model, v
})

// A contract is an http.RoundTripper that holds what passes against openapi.yaml:
// every response is one that the document knows, and the document calls a request
// valid exactly if the server does.
type contract struct {
	t    testing.TB
	next http.RoundTripper

	mu   sync.Mutex // guards what follows
	seen map[string]bool
}

func (c *contract) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	res, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(got))
	req = req.Clone(req.Context())
	req.Body = io.NopCloser(bytes.NewReader(body))
	c.check(req, body, res)
	res.Body = io.NopCloser(bytes.NewReader(got))
	return res, nil
}

func (c *contract) check(req *http.Request, body []byte, res *http.Response) {
	name := req.Method + " " + req.URL.Path + " " + strconv.Itoa(res.StatusCode)
	switch {
	case req.Method == http.MethodHead, res.StatusCode == http.StatusForbidden, res.StatusCode == http.StatusUnsupportedMediaType:
		return // they are told of once, and stand at no operation
	}
	model, valid := document()
	item, _, path := paths.FindPath(req, model, config.NewValidationOptions())
	if item == nil || item.GetOperations().GetOrZero(strings.ToLower(req.Method)) == nil {
		if res.StatusCode != http.StatusNotFound && res.StatusCode != http.StatusMethodNotAllowed {
			c.t.Errorf("%s: the document does not know this operation", name)
		}
		return
	}
	if strings.Contains(path, "{room}") && strings.Contains(req.URL.Path, "//") {
		return // a room without a name: the validator's two ways to find a path disagree on it
	}
	c.mu.Lock()
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	c.seen[req.Method+" "+path+" "+strconv.Itoa(res.StatusCode)] = true
	c.mu.Unlock()

	if res.StatusCode == http.StatusInternalServerError {
		return // may come from everywhere, and stands at no operation
	}
	if ok, errs := valid.ValidateHttpResponse(req, res); !ok {
		c.t.Errorf("%s: the response is not as documented: %s", name, failures(errs))
	}
	ok, errs := valid.ValidateHttpRequestSync(req)
	switch refused := res.StatusCode == http.StatusBadRequest; {
	case refused && ok && utf8.Valid(body): // the validator's JSON need not be UTF-8
		c.t.Errorf("%s: the document calls this request valid", name)
	case !ok && !refused && res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusRequestEntityTooLarge:
		c.t.Errorf("%s: the document calls this request invalid: %s", name, failures(errs))
	}
}

func failures(errs []*errors.ValidationError) string {
	var list []string
	for _, e := range errs {
		list = append(list, e.Error())
	}
	return strings.Join(list, "; ")
}

// operations are those of the document, by method and path.
func operations() map[string]*v3.Operation {
	model, _ := document()
	all := map[string]*v3.Operation{}
	for path, item := range model.Paths.PathItems.FromOldest() {
		for method, operation := range item.GetOperations().FromOldest() {
			all[strings.ToUpper(method)+" "+path] = operation
		}
	}
	return all
}

func TestOpenAPI(t *testing.T) {
	model, _ := document()
	outcomes := map[string]bool{}
	for name, operation := range operations() {
		for status := range operation.Responses.Codes.FromOldest() {
			outcomes[name+" "+status] = true
		}
	}

	t.Run("the document and the router know the same routes", func(t *testing.T) {
		routes := map[string]bool{}
		for _, r := range New(memstore.New(memstore.Limits{}), Config{}).echo.Routes() {
			if r.Method == http.MethodHead { // wherever GET is: see TestHead
				continue
			}
			if r.Path != "/" && r.Path != "/assets/*" { // the page for browsers
				routes[r.Method+" "+strings.NewReplacer(":room", "{room}", ":box", "{box}").Replace(r.Path)] = true
			}
		}
		documented := map[string]bool{}
		for name := range operations() {
			documented[name] = true
		}
		same(t, "documented, but no route", documented, routes)
		same(t, "a route, but not documented", routes, documented)
	})

	t.Run("every documented status of every operation happens, as documented", func(t *testing.T) {
		seen := map[string]bool{}
		for _, room := range []string{"", "/rooms/blue"} {
			maps.Copy(seen, walk(t, room))
		}
		maps.Copy(seen, walkMail(t))
		maps.Copy(seen, walkListen(t))
		same(t, "documented, but it never happened", outcomes, seen)
		same(t, "it happened, but is not documented", seen, outcomes)
	})

	t.Run("the document lists every kind of problem", func(t *testing.T) {
		kinds := model.Components.Schemas.GetOrZero("Problem").Schema().Properties.GetOrZero("type").Schema().Enum
		listed := map[string]bool{}
		for _, k := range kinds {
			listed[k.Value] = true
		}
		known := map[string]bool{"about:blank": true}
		for _, err := range []error{
			signaling.ErrNoRoom, signaling.ErrNoOffer, signaling.ErrNoAnswer, signaling.ErrClosed, signaling.ErrTurnedDown, signaling.ErrOccupied,
			signaling.ErrAnswered, signaling.ErrSuperseded, signaling.ErrWrongToken, signaling.ErrListFull, signaling.ErrGap, signaling.ErrServerFull,
			signaling.ErrInvalid, signaling.ErrTooLarge, signaling.ErrDraining, signaling.ErrUnavailable, signaling.ErrNoKey, signaling.ErrTooMany, signaling.ErrGuesses, signaling.ErrTooManyRooms,
			signaling.ErrMailOff, signaling.ErrBoxFull, signaling.ErrBlockExists, signaling.ErrClientMail, signaling.ErrMailFull,
			signaling.ErrOtherSite, signaling.ErrOtherHost, signaling.ErrNotJSON,
		} {
			p, _ := signaling.ProblemOf(err)
			known[p.Type] = true
		}
		for _, status := range []int{http.StatusNotFound, http.StatusMethodNotAllowed} {
			p, _ := httpProblem(status)
			known[p.Type] = true
		}
		same(t, "a problem, but not listed", known, listed)
		same(t, "listed, but no problem", listed, known)
	})
}

// walk provokes on the documents of one room ("" for the flat paths) whatever can
// happen there, and on the server itself, and returns what happened.
func walk(t *testing.T, room string) map[string]bool {
	const caller, callee, nobody = "Authorization: Bearer caller", "Authorization: Bearer callee", "Authorization: Bearer nobody"
	s := open(t, memstore.Limits{Rooms: 1, Candidates: 2}, Config{MaxBody: 1 << 10})
	huge := `{"type":"offer","sdp":"` + strings.Repeat("v", 1<<10) + `"}`
	lists := []string{"/offer-candidate", "/offer-candidates", "/answer-candidate", "/answer-candidates"}
	whose := map[bool]string{true: caller, false: callee}
	reads := []string{"/offer", "/answer", "/offer-candidates?after=9", "/answer-candidates?after=9"}
	address := "/rooms/lobby" // for what has no flat path
	if room != "" {
		address = room
	}

	// A server that has no more room.
	s.post("/rooms/other/offer", anOffer, caller).is(201)
	s.post(room+"/offer", anOffer).is(503)
	s.send("DELETE", "/rooms/other", "", caller).is(204)

	// Nothing there yet.
	for _, path := range reads {
		s.get(room + path).is(404)
	}
	for _, path := range lists {
		s.post(room+path, aCandidate, caller).is(404)
		s.post(room+path, `null`, caller).is(400)
		s.post(room+path, huge, caller).is(413)
	}
	s.post(room+"/answer", anAnswer).is(404)
	s.send("PUT", room+"/offer", anOffer, caller).is(404)
	s.send("DELETE", address, "").is(404)
	s.get(address + "/ice-servers").is(404)

	// What makes no sense.
	for _, request := range []string{"POST /offer", "PUT /offer", "POST /answer"} {
		method, path, _ := strings.Cut(request, " ")
		s.send(method, room+path, `[]`, caller).is(400)
		s.send(method, room+path, huge, caller).is(413)
	}
	s.get(room + "/offer-candidates?after=-1").is(400)
	s.get(room + "/answer-candidates?after=one").is(400)
	if room != "" {
		for _, path := range []string{"/offer", "/answer", "/ice-servers"} {
			s.get("/rooms/a-dash" + path).is(400)
		}
		s.send("DELETE", "/rooms/a-dash", "").is(400)
	}

	// A meeting.
	s.post(room+"/offer", anOffer, caller).is(201)
	s.post(room+"/answer", anAnswer, "If-Match: \"another\"").is(412)
	s.post(room+"/answer", anAnswer, callee).is(201)
	for _, path := range lists {
		mine := whose[strings.HasPrefix(path, "/offer")]
		s.post(room+path, aCandidate, nobody).is(401)
		s.post(room+path, aCandidate, mine).is(201)
		s.post(room+path+"?at=9", aCandidate, mine).is(409)
	}
	for _, path := range reads {
		s.get(room + path).is(200)
	}
	for _, path := range []string{"/offer", "/answer"} {
		s.get(room+path, "If-None-Match: *").is(304)
	}
	for i := range guestBurst {
		s.get(address+"/ice-servers", []string{callee, nobody}[i%2]).is(200)
	}
	s.get(address+"/ice-servers", callee).is(429)
	if room != "" {
		s.post(room+"/offer", anOffer).is(409)
		s.post(room+"/answer", anAnswer).is(409)
	}
	s.send("PUT", room+"/offer", anOffer, nobody).is(401)
	s.send("PUT", room+"/offer", description("offer", 2), caller).is(200)
	s.get(room+"/offer", callee).is(200)
	for _, path := range reads[1:] {
		s.get(room+path, callee).is(410)
	}

	// The server itself, and its end.
	for _, path := range []string{"/ice-servers", "/healthz", "/readyz", "/openapi.yaml"} {
		s.get(path).is(200)
	}
	s.Drain()
	s.get("/readyz").is(503)
	for _, path := range reads {
		s.get(room+path, "Prefer: wait=1", "If-None-Match: *").is(503)
	}
	s.send("DELETE", address, "", nobody).is(401)
	s.send("DELETE", address, "", caller).is(204)
	s.get(address+"/ice-servers", "Prefer: wait=1").is(503)

	// A server with an access key.
	locked := open(t, memstore.Limits{}, Config{AccessKey: "sesame"})
	locked.post(room+"/offer", anOffer).is(401)
	locked.send("PUT", room+"/offer", anOffer).is(401)
	locked.get("/ice-servers").is(401)

	// A server whose store cannot be reached.
	lost := openStore(t, gone{}, Config{Mail: MailConfig{Boxes: goneMail{}}, Ready: func() error { return signaling.ErrUnavailable }})
	lost.each(func(path string, r reply) {
		switch path {
		case "/ice-servers", "/healthz", "/openapi.yaml":
			r.is(200)
		default:
			r.has("Retry-After", "1").problem(503, "unavailable")
		}
	})

	// A server that was asked too often.
	busy := open(t, memstore.Limits{}, Config{Rate: Rate{Client: 1e-3, Burst: 1}})
	busy.get("/openapi.yaml").is(200)
	busy.each(func(path string, r reply) {
		switch path {
		case "/healthz", "/readyz":
			r.is(200)
		default:
			r.has("Retry-After", "1000").problem(429, "too-many")
		}
	})

	happened := map[string]bool{}
	for _, c := range []*contract{s.seen, locked.seen, lost.seen, busy.seen} {
		c.mu.Lock()
		maps.Copy(happened, c.seen)
		c.mu.Unlock()
	}
	return happened
}

// each makes a request of each operation, in the room blue.
func (s *site) each(check func(path string, r reply)) {
	for name := range operations() {
		method, path, _ := strings.Cut(name, " ")
		path = strings.NewReplacer("{room}", "blue", "{box}", aBox.Name).Replace(path)
		body, header := "", "X-Token: none"
		switch {
		case path == aBox.path() && method == http.MethodPost:
			body, header = aBlock(1), aBox.put()
		case path == aBox.path():
			path, header = path+"?through=1", aBox.take()
		case method == http.MethodGet, method == http.MethodDelete:
		case path == "/listen":
			body = wants(longName(1))
		case strings.Contains(path, "candidate"):
			body = aCandidate
		case strings.HasSuffix(path, "offer"):
			body = anOffer
		default:
			body = anAnswer
		}
		check(path, s.send(method, path, body, header))
	}
}

func same(t *testing.T, complaint string, these, those map[string]bool) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(these)) {
		if !those[name] {
			t.Errorf("%s: %s", complaint, name)
		}
	}
}
