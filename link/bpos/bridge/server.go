package bridge

import (
	"bufio"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"sync"

	"tillgate/internal/payment"
)

// Library is a BPOS1Lib as it was loaded: the vendor's for Linux, the COM object,
// a simulator. One goroutine uses it, the one that called [Serve].
type Library interface {
	// Call calls a method that [Methods] has, with as many arguments and of the
	// kinds that it says: int64, bool, string in UTF-8. code is what the method
	// returned, 0 for done. An error that is a [Refusal] says that it was not
	// called; any other that it may have been.
	Call(method string, args []any) (code int, err error)
	// Get reads a property that [Properties] has: int64, string in UTF-8, []byte.
	Get(property string) (any, error)
	// Close gives the library back.
	Close()
}

// ErrAbsent says that a library does not have a method or a property.
var ErrAbsent = &Refusal{FaultAbsent, "this library does not have it"}

// Host is what serves a library.
type Host struct {
	Kind string                  // of the bridge, for hello: linux, windows, simulator
	Open func() (Library, error) // loads the library; the error tells a person what to do
	Log  *slog.Logger            // nil discards
}

// Serve answers on one connection until it ends; then it returns nil. The
// library is loaded at hello and used on the calling goroutine only. hung, if
// not nil, is called when the connection has ended while the library is at work:
// a process ends itself there.
func (h Host) Serve(c io.ReadWriter, hung func()) error {
	s := &server{host: h, w: c}
	if s.host.Log == nil {
		s.host.Log = slog.New(slog.DiscardHandler)
	}
	work := make(chan Request)
	ended := make(chan error, 1)
	gone := make(chan struct{})
	go func() {
		ended <- s.read(c, work, gone)
		if s.ended() && hung != nil {
			hung()
		}
		close(work)
	}()
	for r := range work {
		s.carryOut(r)
	}
	close(gone)
	if s.library != nil {
		s.library.Close()
	}
	return <-ended
}

// server is one connection. The reader refuses what comes too early; everything
// else is done by the goroutine that called Serve.
type server struct {
	host    Host
	library Library // nil before hello

	mu   sync.Mutex // guards what follows
	w    io.Writer
	busy bool
	over bool
}

// read takes lines in until the connection ends.
func (s *server) read(c io.Reader, work chan<- Request, gone <-chan struct{}) error {
	r := bufio.NewReaderSize(c, MaxRequest)
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = r.ReadSlice('\n')
			}
			if err == nil {
				s.refuse(0, refuse(FaultMalformed, "a line longer than %d bytes", MaxRequest))
				continue
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		req, err := ParseRequest(line)
		if err != nil {
			s.refuse(req.ID, err)
			continue
		}
		if !s.take() {
			s.refuse(req.ID, refuse(FaultBusy, "the request before is not answered yet"))
			continue
		}
		select {
		case work <- req:
		case <-gone:
			return nil
		}
	}
}

// take makes the server busy, if it is not.
func (s *server) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.busy
	s.busy = true
	return !was
}

// ended says whether the library is at work now that the connection is over.
func (s *server) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	return s.busy
}

// carryOut answers one request.
func (s *server) carryOut(r Request) {
	a := s.answer(r)
	a.ID = r.ID
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	s.write(a)
}

func (s *server) refuse(id int64, err error) {
	a := faulty(err)
	a.ID = id
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(a)
}

func (s *server) write(a Answer) {
	if s.over {
		return
	}
	b, err := a.Line()
	if err != nil { // a library that gives more than the guide says
		f := faulty(refuse(FaultFailed, "the answer of the library is too long for a line"))
		f.ID = a.ID
		b, err = f.Line()
	}
	if err == nil {
		_, err = s.w.Write(b)
	}
	if err != nil {
		s.host.Log.Debug("the gateway does not hear the bridge", "err", err)
	}
}

// faulty is the answer that says err.
func faulty(err error) Answer {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return Answer{Error: r.Fault, Text: r.Text}
	}
	return Answer{Error: FaultFailed, Text: clean(err.Error())}
}

func (s *server) answer(r Request) Answer {
	switch {
	case r.Hello != 0:
		return s.hello(r.Hello)
	case s.library == nil:
		return faulty(refuse(FaultVersion, "hello is the first request"))
	case r.Call != "":
		code, err := s.library.Call(r.Call, r.Args)
		if err != nil {
			return faulty(err)
		}
		return Answer{Code: &code}
	}
	return s.get(r.Get)
}

func (s *server) hello(version int) Answer {
	if version != Version {
		return faulty(refuse(FaultVersion, "the bridge speaks version %d of the protocol, not %d: install bridge and gateway of one release", Version, version))
	}
	if s.library == nil {
		l, err := s.host.Open()
		if err != nil {
			return faulty(refuse(FaultLibrary, "%s", clean(err.Error())))
		}
		s.library = l
	}
	v, _ := s.library.Get("LibraryVersion")
	text, _ := v.(string)
	return Answer{Hello: Version, Kind: s.host.Kind, Library: clean(text)}
}

// get reads properties. One that the library does not have is null; if the
// library fails at one, the answer is that.
func (s *server) get(names []string) Answer {
	a := Answer{Values: map[string]any{}}
	for _, name := range names {
		v, err := s.library.Get(name)
		switch {
		case errors.Is(err, ErrAbsent):
			a.Values[name] = nil
			continue
		case err != nil:
			return faulty(err)
		}
		p, _ := FindProperty(name)
		a.Values[name] = p.give(v)
	}
	return a
}

// give is a value as it goes over the line: bounded, and a card number cut.
func (p Property) give(v any) any {
	switch v := v.(type) {
	case string:
		if p.Masked {
			return payment.MaskPAN(v).String()
		}
		r := []rune(v)
		return string(r[:min(len(r), p.Max)])
	case []byte:
		return base64.StdEncoding.EncodeToString(v[:min(len(v), p.Max)])
	case int64:
		most := int64(MaxNumber)
		if p.Kind == Byte {
			most = 255
		}
		if v < 0 || v > most { // an answer that cannot be: as if it were not there
			return nil
		}
		return v
	}
	return nil
}
