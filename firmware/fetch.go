package firmware

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Fetcher brings a bundle from an HTTPS server. What was fetched before the
// line broke is not fetched again, also after a restart.
type Fetcher struct {
	Dir    string        // keeps the one bundle that is on its way, or fetched; required
	Client *http.Client  // nil: the system's certificates, and no time limit but Stall
	Stall  time.Duration // a server that sends nothing for so long is gone; 0 means 60 s
	Tries  int           // in a row without a byte of progress; 0 means 8
	Pause  time.Duration // before the second try, doubled up to a minute; 0 means 2 s
}

// CheckAddress refuses an address from which no bundle is fetched. The
// signature protects what is fetched; TLS keeps others from knowing which box
// asks for what, and from feeding it old bundles for ever.
func CheckAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || len(address) > 2048:
		return errors.New("address of a bundle: want https://host/path")
	case u.Scheme != "https":
		return fmt.Errorf("address of a bundle: %.10q is not https", u.Scheme)
	case u.User != nil:
		return errors.New("address of a bundle: no user or password in it")
	}
	return nil
}

// Fetch returns the name of the file that has the bundle. It is not verified.
func (f Fetcher) Fetch(ctx context.Context, address string) (string, error) {
	if err := CheckAddress(address); err != nil {
		return "", err
	}
	f.defaults()
	sum := sha256.Sum256([]byte(address))
	file := filepath.Join(f.Dir, fmt.Sprintf("%x.part", sum[:8]))
	if err := f.forgetOthers(file); err != nil {
		return "", fmt.Errorf("fetch the bundle: %w", err)
	}
	pause, idle := f.Pause, 0
	for {
		got, done, err := f.piece(ctx, address, file)
		if done && err == nil {
			final := strings.TrimSuffix(file, ".part") + ".bundle"
			if err := os.Rename(file, final); err != nil {
				return "", fmt.Errorf("fetch the bundle: %w", err)
			}
			return final, nil
		}
		if permanent := (*refused)(nil); errors.As(err, &permanent) || ctx.Err() != nil {
			return "", fmt.Errorf("fetch the bundle: %w", err)
		}
		if idle++; got > 0 {
			idle, pause = 0, f.Pause
		}
		if idle >= f.Tries {
			return "", fmt.Errorf("fetch the bundle: given up after %d tries: %w", f.Tries, err)
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("fetch the bundle: %w", ctx.Err())
		case <-time.After(pause):
		}
		pause = min(2*pause, time.Minute)
	}
}

func (f *Fetcher) defaults() {
	if f.Client == nil {
		f.Client = &http.Client{CheckRedirect: onlyHTTPS}
	}
	if f.Stall == 0 {
		f.Stall = 60 * time.Second
	}
	if f.Tries == 0 {
		f.Tries = 8
	}
	if f.Pause == 0 {
		f.Pause = 2 * time.Second
	}
}

// forgetOthers removes bundles that were installed, or given up on their way: each
// may be a gigabyte.
func (f *Fetcher) forgetOthers(file string) (err error) {
	for _, pattern := range []string{"*.bundle", "*.part", "*.part.etag"} {
		old, _ := filepath.Glob(filepath.Join(f.Dir, pattern)) // the patterns are good
		for _, name := range old {
			if name != file && name != file+".etag" {
				err = errors.Join(err, os.Remove(name))
			}
		}
	}
	return err
}

func onlyHTTPS(r *http.Request, via []*http.Request) error {
	if r.URL.Scheme != "https" || len(via) > 5 {
		return &refused{errors.New("it is redirected away from https, or too often")}
	}
	return nil
}

// refused is an error that asking again does not mend.
type refused struct{ error }

func (r *refused) Unwrap() error { return r.error }

// piece fetches from where the file ends. The server's mark of the version
// (ETag) is kept beside it, so that two bundles are never joined.
func (f *Fetcher) piece(ctx context.Context, address, file string) (got int64, done bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	have, etag := f.partial(file)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, false, &refused{err}
	}
	if have > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(have, 10)+"-")
		req.Header.Set("If-Range", etag)
	}
	watchdog := time.AfterFunc(f.Stall, cancel)
	defer watchdog.Stop()
	resp, err := f.Client.Do(req)
	if err != nil {
		return 0, false, err
	}
	defer resp.Body.Close()
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	switch {
	case resp.StatusCode == http.StatusPartialContent && have > 0 && strings.HasPrefix(resp.Header.Get("Content-Range"), "bytes "+strconv.FormatInt(have, 10)+"-"):
	case resp.StatusCode == http.StatusOK:
		have, flags = 0, flags|os.O_TRUNC
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable, resp.StatusCode == http.StatusPartialContent:
		return 0, false, errors.Join(fmt.Errorf("the server answers %s", resp.Status), os.Remove(file))
	case resp.StatusCode >= 500, resp.StatusCode == http.StatusTooManyRequests:
		return 0, false, fmt.Errorf("the server answers %s", resp.Status)
	default:
		return 0, false, &refused{fmt.Errorf("the server answers %s", resp.Status)}
	}
	if resp.ContentLength < 0 {
		return 0, false, &refused{errors.New("the server does not say how long it is")}
	}
	if have+resp.ContentLength > MaxBundle {
		return 0, false, &refused{fmt.Errorf("it has more than %d bytes", MaxBundle)}
	}
	if flags&os.O_TRUNC != 0 {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, false, &refused{err}
		}
	}
	if err := space(f.Dir, resp.ContentLength); err != nil {
		return 0, false, &refused{err}
	}
	if flags&os.O_TRUNC != 0 {
		if err := os.WriteFile(file+".etag", []byte(resp.Header.Get("ETag")), 0o600); err != nil {
			return 0, false, &refused{err}
		}
	}
	out, err := os.OpenFile(file, flags, 0o600)
	if err != nil {
		return 0, false, &refused{err}
	}
	got, err = io.Copy(out, &lively{resp.Body, watchdog, f.Stall})
	err = errors.Join(err, out.Sync(), out.Close())
	if err == nil && got != resp.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	return got, err == nil, err
}

// partial is what there is of a bundle. Without a strong mark there is nothing
// to go on from.
func (f *Fetcher) partial(file string) (have int64, etag string) {
	mark, err := os.ReadFile(file + ".etag")
	if err != nil || len(mark) == 0 || len(mark) > 256 || strings.HasPrefix(string(mark), "W/") {
		return 0, ""
	}
	info, err := os.Lstat(file)
	if errors.Is(err, fs.ErrNotExist) || err != nil || !info.Mode().IsRegular() {
		return 0, ""
	}
	return info.Size(), string(mark)
}

// lively lets a watchdog live as long as bytes come.
type lively struct {
	r        io.Reader
	watchdog *time.Timer
	stall    time.Duration
}

func (l *lively) Read(b []byte) (int, error) {
	n, err := l.r.Read(b)
	if n > 0 {
		l.watchdog.Reset(l.stall)
	}
	return n, err
}
