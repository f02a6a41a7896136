package export

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
)

const (
	storeVersion = "v1.8.0"
	storeKey     = "sallyport"
	storeSecret  = "not-a-secret-of-anybody"
)

// storeProgram builds versitygw, an S3 server that keeps object locks and If-None-Match, once a machine.
func storeProgram(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "sallyport-test", "versitygw-"+storeVersion)
	bin := filepath.Join(dir, "versitygw")
	if _, err := os.Stat(bin); err == nil {
		return bin
	}
	cmd := exec.Command("go", "install", "github.com/versity/versitygw/cmd/versitygw@"+storeVersion)
	cmd.Dir = t.TempDir() // outside of this module
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("versitygw %s cannot be built: %v\n%s", storeVersion, err, out)
	}
	return bin
}

// startStore starts the server with a bucket that can hold locks, and gives the bucket's URL.
func startStore(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and starts an S3 server")
	}
	bin := storeProgram(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	dir := t.TempDir()
	for _, d := range []string{"data", "versions"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(bin, "--port", address, "--access", storeKey, "--secret", storeSecret, "posix", "--versioning-dir", filepath.Join(dir, "versions"), filepath.Join(dir, "data"))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("versitygw: %s", said.String())
		}
	})
	url := "http://" + address + "/evidence"
	b, err := newBucket(&Bucket{URL: url, AccessKey: storeKey, SecretKey: storeSecret})
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, answer, err := b.do(context.Background(), http.MethodPut, "", http.Header{"X-Amz-Bucket-Object-Lock-Enabled": {"true"}}, nil)
		if err == nil && resp.StatusCode == 200 {
			return url
		}
		if time.Now().After(deadline) {
			t.Fatalf("no bucket: %v %s", err, answer)
		}
	}
}

// sealedLog is a log of several segments.
func sealedLog(t *testing.T) *testLog {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	log, err := audit.Open(dir, audit.Options{SegmentSize: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	l := &testLog{t: t, dir: dir, log: log, seqs: map[string]uint64{}}
	for range 10 {
		l.fill(100)
	}
	return l
}

func bucketConfig(url string) Config {
	return Config{Name: "vault", Bucket: &Bucket{URL: url, Prefix: "node-1", AccessKey: storeKey, SecretKey: storeSecret, Lock: Compliance, Retain: time.Hour}}
}

// waitSealed waits until all sealed segments are taken.
func waitSealed(t *testing.T, l *testLog, r *running) []audit.Segment {
	t.Helper()
	sealed, err := audit.Sealed(l.dir)
	if err != nil || len(sealed) < 3 {
		t.Fatal(len(sealed), err)
	}
	r.waitPosition(sealed[len(sealed)-1].Last)
	return sealed
}

func TestSealedSegmentsAreInTheBucketAndStay(t *testing.T) {
	url := startStore(t)
	l := sealedLog(t)
	dir := t.TempDir()
	r := start(t, l, dir, bucketConfig(url))
	sealed := waitSealed(t, l, r)
	r.finish()
	log := r.exporters[0].(*uploader).cursor.Log
	b, err := newBucket(&Bucket{URL: url, AccessKey: storeKey, SecretKey: storeSecret})
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	ctx := context.Background()
	back := t.TempDir()
	for _, s := range sealed {
		resp, data, err := b.do(ctx, http.MethodGet, "node-1/"+log+"/"+s.Name, http.Header{}, nil)
		if err != nil || resp.StatusCode != 200 || !bytes.Equal(data, read(t, filepath.Join(l.dir, s.Name))) {
			t.Fatalf("%s: %v %v, %d bytes", s.Name, err, resp, len(data))
		}
		req, err := http.NewRequest(http.MethodGet, url+"/node-1/"+log+"/"+s.Name+"?retention", nil)
		if err != nil {
			t.Fatal(err)
		}
		if code, text := b.signed(t, req); code != http.StatusOK || !strings.Contains(text, "<Mode>COMPLIANCE</Mode>") {
			t.Errorf("the lock of %s: %d %s", s.Name, code, text)
		}
		if err := os.WriteFile(filepath.Join(back, s.Name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// What comes back is the log, for who has its keys.
	if err := os.CopyFS(filepath.Join(back, "keys"), os.DirFS(filepath.Join(l.dir, "keys"))); err != nil {
		t.Fatal(err)
	}
	n := uint64(0)
	if err := audit.Read(back, func(*access.Record) error { n++; return nil }); err != nil || n != sealed[len(sealed)-1].Last {
		t.Errorf("%d records come back, %v", n, err)
	}
	// Nobody writes over one, or takes a version away.
	key := "node-1/" + log + "/" + sealed[0].Name
	if err := b.put(ctx, key, []byte("another past")); !isRejected(err) {
		t.Errorf("written over: %v", err)
	}
	resp, _, err := b.do(ctx, http.MethodHead, key, http.Header{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	version := resp.Header.Get("X-Amz-Version-Id")
	req, err := http.NewRequest(http.MethodDelete, url+"/"+key+"?versionId="+version, nil)
	if err != nil || version == "" {
		t.Fatal(err, version)
	}
	if code, _ := b.signed(t, req); code != http.StatusForbidden {
		t.Errorf("a locked version is deleted: %d", code)
	}
	// A cursor that was lost costs nothing but a look.
	if err := os.Remove(cursorPath(dir, "vault")); err != nil {
		t.Fatal(err)
	}
	r = start(t, l, dir, bucketConfig(url))
	waitSealed(t, l, r)
	r.finish()
}

func (b *bucket) signed(t *testing.T, req *http.Request) (code int, text string) {
	t.Helper()
	if err := b.sign(context.Background(), req, nil); err != nil {
		t.Fatal(err)
	}
	resp, err := b.poster.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func TestAnotherObjectInThePlaceOfASegmentStops(t *testing.T) {
	url := startStore(t)
	l := sealedLog(t)
	tail, err := audit.OpenTail(l.dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	log := tail.LogID()
	tail.Close()
	sealed, err := audit.Sealed(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBucket(&Bucket{URL: url, AccessKey: storeKey, SecretKey: storeSecret})
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	if err := b.put(context.Background(), "node-1/"+log+"/"+sealed[1].Name, []byte("forged")); err != nil {
		t.Fatal(err)
	}
	r := start(t, l, t.TempDir(), bucketConfig(url))
	st := r.waitState(Stopped)
	r.finish()
	if want := fmt.Sprintf("stopped at record %d: the receiver rejects it: there is another object called", sealed[1].First); !strings.Contains(st.Error, want) || st.Position != sealed[0].Last {
		t.Errorf("%+v, want %q", st, want)
	}
}

func TestABucketThatIsDown(t *testing.T) {
	url := startStore(t)
	l := sealedLog(t)
	dir := t.TempDir()
	c := bucketConfig("http://127.0.0.1:1/evidence")
	r := start(t, l, dir, c)
	r.waitState(Retrying)
	r.cut()
	r = start(t, l, dir, bucketConfig(url))
	waitSealed(t, l, r)
	r.finish()
	var st Status
	if err := json.Unmarshal(read(t, filepath.Join(dir, "vault"+statusSuffix)), &st); err != nil || st.State != Running {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestBucketsThatMakeNoSense(t *testing.T) {
	good := *bucketConfig("https://s3.example.com/evidence").Bucket
	for _, tc := range []struct {
		name   string
		change func(*Bucket)
	}{
		{"no bucket", func(b *Bucket) { b.URL = "https://s3.example.com" }},
		{"no key", func(b *Bucket) { b.SecretKey = "" }},
		{"a lock for no time", func(b *Bucket) { b.Retain = 0 }},
		{"a time without a lock", func(b *Bucket) { b.Lock = NoLock }},
		{"an unknown lock", func(b *Bucket) { b.Lock = "padlock" }},
	} {
		b := good
		tc.change(&b)
		if _, err := newBucket(&b); err == nil {
			t.Errorf("accepted: %s", tc.name)
		}
	}
}
