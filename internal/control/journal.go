package control

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tillgate/internal/payment"
)

func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	q, err := readQuery(r.URL.Query())
	if err != nil {
		fail(w, err)
		return
	}
	var send func(any) bool
	sent := 0
	for rec, err := range s.o.Journal.History(q) {
		if err != nil {
			if send == nil {
				fail(w, err)
			} else {
				send(problem{Error: err.Error(), Reason: payment.ReasonOf(err)})
			}
			return
		}
		if send == nil {
			send = lines(w)
		}
		if sent++; !send(rec.View()) || sent == q.Limit || r.Context().Err() != nil {
			return
		}
	}
	if send == nil {
		lines(w)
	}
}

func readQuery(v url.Values) (Query, error) {
	q := Query{Limit: 100}
	texts := map[string]*string{"order": &q.Order, "last4": &q.Last4, "auth": &q.Auth, "terminal": &q.Terminal}
	times := map[string]*time.Time{"since": &q.Since, "until": &q.Until}
	for key, values := range v {
		value := values[0]
		var err error
		if p, ok := texts[key]; ok {
			*p = value
		} else if p, ok := times[key]; ok {
			*p, err = time.Parse(time.RFC3339, value)
		} else if key == "limit" {
			q.Limit, err = strconv.Atoi(value)
		} else {
			err = fmt.Errorf("no such parameter")
		}
		if err != nil || len(values) > 1 || len(value) > maxText {
			return q, payment.Refuse(payment.ReasonInvalid, "parameter %.40q cannot be read", key)
		}
	}
	if q.Limit < 1 || q.Limit > MaxLimit {
		return q, payment.Refuse(payment.ReasonInvalid, "limit must be between 1 and %d", MaxLimit)
	}
	if q.Last4 != "" && (len(q.Last4) != 4 || strings.Trim(q.Last4, "0123456789") != "") {
		return q, payment.Refuse(payment.ReasonInvalid, "last4 must be four digits: more of a card number is never kept")
	}
	return q, nil
}

func (s *Server) entry(w http.ResponseWriter, r *http.Request) {
	id := payment.ID(r.PathValue("id"))
	rec, err := s.o.Journal.Find(id)
	if err != nil {
		fail(w, err)
		return
	}
	steps, err := s.o.Journal.Steps(id)
	if err != nil {
		fail(w, err)
		return
	}
	for i, st := range steps {
		if st.Transaction != nil {
			tx := *st.Transaction
			tx.Baseline = payment.Baseline{}
			steps[i].Transaction = &tx
		}
	}
	writeJSON(w, http.StatusOK, Entry{rec.View(), steps})
}

func (s *Server) verify(w http.ResponseWriter, r *http.Request) {
	c, err := s.o.Journal.Verify(r.Context())
	if err != nil {
		fail(w, err)
		return
	}
	writeJSON(w, http.StatusOK, c)
}

// backup has the gateway write a copy, as its own user: the journal is not
// sent through the socket, and not written twice on a small disk.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) {
	var c copyTo
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, MaxCommand))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		fail(w, payment.Refuse(payment.ReasonInvalid, "not a backup request: %v", err))
		return
	}
	if !filepath.IsAbs(c.Dir) || filepath.Clean(c.Dir) != c.Dir {
		fail(w, payment.Refuse(payment.ReasonInvalid, "the folder must be named by its full path"))
		return
	}
	s.o.Log.Info("backup of the journal", "dir", c.Dir, "by", peer(r.Context()))
	if err := s.o.Journal.Backup(r.Context(), c.Dir); err != nil {
		fail(w, err)
		return
	}
	writeJSON(w, http.StatusOK, struct{}{})
}

// events sends events from a number on, and with follow=1 those to come.
// Without a number it begins with the last twenty.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var from uint64
	if text := q.Get("from"); text != "" {
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil || n == 0 {
			fail(w, payment.Refuse(payment.ReasonInvalid, "from must be the number of an event, 1 or more"))
			return
		}
		from = n
	} else if last := s.o.Journal.LastSeq(); last > 20 {
		from = last - 19
	} else {
		from = 1
	}
	follow := q.Get("follow") == "1"
	send := lines(w)
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush() // the headers: the other side knows that it is heard
	}
	for {
		more := s.o.Journal.Changed()
		for from <= s.o.Journal.LastSeq() {
			const page = 256
			events, err := s.o.Journal.Range(from, s.o.Journal.LastSeq(), page)
			if err != nil {
				send(problem{Error: err.Error(), Reason: payment.ReasonOf(err)})
				return
			}
			if len(events) == 0 {
				break
			}
			for _, e := range events {
				if !send(e) {
					return
				}
				from = e.Seq + 1
			}
		}
		if !follow {
			return
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return
		case <-s.stopping:
			return
		}
	}
}
