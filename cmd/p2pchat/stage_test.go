package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// A stage holds the processes of one script. Its commands:
//
//	run NAME ARGS…          starts p2pchat ARGS… under that name
//	say NAME TEXT           types a line into it
//	eof NAME                ends its input
//	sees NAME out REGEXP    waits until its stdout (or err: stderr) has a match; the
//	     [VARIABLE]         first group goes into VARIABLE
//	signal NAME SIGNAL      sends INT, TERM, KILL, STOP or CONT
//	ends NAME CODE          waits for its end and checks the exit code; its whole
//	                        output is then in the files NAME.out and NAME.err
//	certify NAME HOST…      writes a certificate that is its own authority, NAME.pem, and
//	                        its key, NAME.key
type stage struct {
	dir  string
	cast map[string]*process
}

type stageKey struct{}

func newStage(e *testscript.Env) *stage {
	s := &stage{dir: e.WorkDir, cast: map[string]*process{}}
	e.Defer(func() {
		for _, p := range s.cast {
			_ = p.cmd.Process.Kill() // it may have ended
			<-p.ended
		}
	})
	return s
}

func onStage(command func(*stage, *testscript.TestScript, []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) == 0 {
			ts.Fatalf("usage: see stage in stage_test.go")
		}
		ts.Check(command(ts.Value(stageKey{}).(*stage), ts, args))
	}
}

func (s *stage) run(ts *testscript.TestScript, args []string) error {
	env := []string{"HOME=" + s.dir, "USER=" + args[0], "P2PCHAT_NAME=" + args[0], "XDG_STATE_HOME=" + filepath.Join(s.dir, "state", args[0])}
	for _, name := range []string{"PATH", "HTTP_PROXY", "SSL_CERT_FILE", "P2PCHAT_CODE", "P2PCHAT_UI", "P2PCHAT_SEND", "P2PCHAT_ACCEPT_FILES", "P2PCHAT_DOWNLOAD_DIR", "P2PCHAT_STORE", keyVariable, configVariable, testAddress, testStillLost, raceOptions} {
		if value := ts.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	p, err := start(s.dir, env, args[1:]...)
	s.cast[args[0]] = p
	return err
}

func (s *stage) find(name string) (*process, error) {
	if p := s.cast[name]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("no process %q was run", name)
}

func (s *stage) say(_ *testscript.TestScript, args []string) error {
	p, err := s.find(args[0])
	if err == nil {
		_, err = fmt.Fprintln(p.in, strings.Join(args[1:], " "))
	}
	return err
}

func (s *stage) eof(_ *testscript.TestScript, args []string) error {
	p, err := s.find(args[0])
	if err == nil {
		err = p.in.Close()
	}
	return err
}

func (s *stage) sees(ts *testscript.TestScript, args []string) error {
	p, err := s.find(args[0])
	if err != nil || len(args) < 3 {
		return errors.Join(err, errors.New("usage: sees NAME out|err REGEXP [VARIABLE]"))
	}
	found, err := map[string]*transcript{"out": p.out, "err": p.err}[args[1]].wait(regexp.MustCompile("(?m)" + args[2]))
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", args[0], err, s.notes())
	}
	if len(args) > 3 {
		ts.Setenv(args[3], found[1])
	}
	return nil
}

// notes is the stderr of the whole cast: the cause is often another's.
func (s *stage) notes() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.cast)) {
		fmt.Fprintf(&b, "the stderr of %s:\n%s\n", name, s.cast[name].err)
	}
	return b.String()
}

func (s *stage) signal(_ *testscript.TestScript, args []string) error {
	p, err := s.find(args[0])
	if err != nil {
		return err
	}
	if err := p.cmd.Process.Signal(signals[args[1]]); err != nil || args[1] != "STOP" {
		return err
	}
	return waitStopped(p.cmd.Process.Pid)
}

func (s *stage) ends(_ *testscript.TestScript, args []string) error {
	p, err := s.find(args[0])
	if err != nil {
		return err
	}
	if err := p.end(); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	want, err := strconv.Atoi(args[1])
	if code := p.cmd.ProcessState.ExitCode(); err == nil && code != want {
		err = fmt.Errorf("%s ended with exit code %d; its stderr:\n%s", args[0], code, p.err)
	}
	return errors.Join(err,
		os.WriteFile(s.dir+"/"+args[0]+".out", []byte(p.out.String()), 0o600),
		os.WriteFile(s.dir+"/"+args[0]+".err", []byte(p.err.String()), 0o600))
}

func (s *stage) certify(_ *testscript.TestScript, args []string) error {
	return certify(s.dir+"/"+args[0], args[1:]...)
}

func certify(name string, hosts ...string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	return errors.Join(err,
		os.WriteFile(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}
