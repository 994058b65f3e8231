package store

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tillgate/internal/payment"
)

// The test binary is also the process that is killed, starved and lied to.
func TestMain(m *testing.M) {
	switch os.Getenv("STORE_CHILD") {
	case "":
		os.Exit(m.Run())
	case "hold":
		childHold()
	case "sell":
		childSell()
	}
}

func childOptions() Options {
	size, _ := strconv.ParseInt(os.Getenv("STORE_SIZE"), 10, 64)
	return Options{Dir: os.Getenv("STORE_DIR"), Destinations: []string{"local"}, SegmentSize: size}
}

// childHold holds the journal until its input ends.
func childHold() {
	s, err := Open(childOptions())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Close()
}

// childSell takes payments and says on its output what it was told is durable.
// STORE_KILL ends it with SIGKILL at that hook. After an error it waits until
// the journal is healthy again, and takes the payment up where the journal
// stands.
func childSell() {
	kill, _ := strconv.Atoi(os.Getenv("STORE_KILL"))
	sales, _ := strconv.Atoi(os.Getenv("STORE_SALES"))
	o, hooks := childOptions(), 0
	o.Hook = func(point string) error {
		if os.Getenv("STORE_NAMES") != "" {
			fmt.Println("hook", point)
		}
		if hooks++; hooks == kill {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
	s, err := Open(o)
	for tries := 0; err != nil && tries < 3; tries++ { // as a supervisor would
		fmt.Println("error open", err)
		s, err = Open(o)
	}
	if err != nil {
		return
	}
	s.backoff = backoff{time.Millisecond, 4 * time.Millisecond}
	for n := range sales {
		id := payment.ID(fmt.Sprintf("sale-%04d", n))
		for tries := 0; !childSale(s, id); tries++ {
			if tries > 20 || !heals(s) {
				fmt.Println("unhealed")
				return
			}
		}
	}
	if err := s.Close(); err != nil {
		fmt.Println("error close", err)
		return
	}
	fmt.Println("done", hooks)
}

func childSale(s *Store, id payment.ID) bool {
	tx := payment.Transaction{
		Request: payment.Request{ID: id, Terminal: "till-1", Operation: payment.Purchase, Amount: payment.Money{Minor: 5000, Currency: "VND"}},
		Attempt: "abcdefghijklmnopqrst", Started: payment.Moment{Time: time.Now(), Clock: payment.ClockSynced},
	}
	rec, known, err := s.Begin(tx)
	if err != nil {
		fmt.Println("error begin", err)
		return false
	}
	if known && rec.State == payment.StateFinal {
		return true // a commit that failed had landed
	}
	fmt.Println("begun", id)
	o := approved(tx)
	st := payment.Step{Kind: payment.StepFinished, ID: id, At: tx.Started, Outcome: &o}
	if err := rec.Apply(st); err != nil {
		fmt.Println("error apply", err)
		return false
	}
	if err := s.Append([]payment.Step{st}, []payment.Event{payment.NewEvent(payment.EventFinal, payment.About(id), tx.Started, false, rec.View())}); err != nil {
		fmt.Println("error append", err)
		return false
	}
	fmt.Println("finished", id)
	s.Acknowledge("local", s.LastSeq())
	return true
}

func heals(s *Store) bool {
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if s.Healthy() == nil {
			return true
		}
	}
	return false
}

// child is a run of the test binary as one of the above, perhaps under strace.
func child(t *testing.T, role, dir string, env []string, wrapper ...string) *exec.Cmd {
	t.Helper()
	args := append(wrapper, os.Args[0], "-test.run=^$")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "STORE_CHILD="+role, "STORE_DIR="+dir, "STORE_SIZE=131072", "STORE_SALES=40", "GOMAXPROCS=1")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// said is what a child told, by its first word.
func said(out []byte) map[string][]string {
	lines := make(map[string][]string)
	for sc := bufio.NewScanner(bytes.NewReader(out)); sc.Scan(); {
		word, rest, _ := strings.Cut(sc.Text(), " ")
		lines[word] = append(lines[word], rest)
	}
	return lines
}

// checkSurvived opens what a child left and compares it with what it had been
// told.
func checkSurvived(t *testing.T, dir string, told map[string][]string) {
	t.Helper()
	s, err := Open(Options{Dir: dir, Destinations: []string{"local"}, SegmentSize: 131072})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	defer s.Close()
	for _, id := range told["begun"] {
		if _, err := s.Find(payment.ID(id)); err != nil {
			t.Errorf("begun payment %s is lost: %v", id, err)
		}
	}
	announced := make(map[string]int)
	events, err := s.Range(1, s.LastSeq(), 1000)
	if err != nil {
		t.Errorf("events: %v", err)
	}
	for i, e := range events {
		if e.Seq != uint64(i+1) {
			t.Errorf("event %d has number %d", i+1, e.Seq)
		}
		announced[strings.TrimPrefix(e.Subject, "payment/")]++
	}
	for _, id := range told["finished"] {
		rec, err := s.Find(payment.ID(id))
		if err != nil || rec.Outcome.Result != payment.Approved {
			t.Errorf("approved payment %s is lost: %s, %v", id, rec.Outcome.Result, err)
		}
	}
	for rec, err := range s.History(Query{}) {
		if err != nil {
			t.Errorf("history: %v", err)
			continue
		}
		want := 0
		if rec.State == payment.StateFinal {
			want = 1
		}
		if announced[string(rec.ID)] != want {
			t.Errorf("payment %s is %s and announced %d times", rec.ID, rec.State, announced[string(rec.ID)])
		}
	}
	if r, err := s.Verify(t.Context()); err != nil || !r.OK() {
		t.Errorf("verify: %+v, %v", r, err)
	}
}

// TestKilledAtEveryWrite ends a process before and after its durable writes:
// all of the first creation and of roll-overs, and some of the commits, which
// are alike. With STORE_CRASH_STATES set it takes every one.
func TestKilledAtEveryWrite(t *testing.T) {
	dir := t.TempDir()
	out, err := child(t, "sell", dir, []string{"STORE_NAMES=1"}).Output()
	told := said(out)
	if err != nil || len(told["done"]) != 1 {
		t.Fatalf("undisturbed: %v\n%s", err, out)
	}
	checkSurvived(t, dir, told)
	rolls := 0
	for n, point := range told["hook"] {
		if point == "rename.after" {
			rolls++
		}
		commit := strings.HasPrefix(point, "commit.")
		if commit && n%17 > 1 && os.Getenv("STORE_CRASH_STATES") == "" {
			continue
		}
		dir := t.TempDir()
		out, err := child(t, "sell", dir, []string{"STORE_KILL=" + strconv.Itoa(n+1)}).Output()
		if err == nil {
			t.Fatalf("hook %d, %s: it was not killed\n%s", n+1, point, out)
		}
		checkSurvived(t, dir, said(out))
		if t.Failed() {
			t.Fatalf("killed at hook %d, %s", n+1, point)
		}
	}
	if rolls < 2 {
		t.Errorf("%d segments were made, want a roll-over among them", rolls)
	}
}

func TestSecondProcess(t *testing.T) {
	dir := t.TempDir()
	cmd := child(t, "hold", dir, nil)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("child: %q, %v", line, err)
	}
	for _, readOnly := range []bool{false, true} {
		_, err := Open(Options{Dir: dir, ReadOnly: readOnly, SegmentSize: 131072})
		held, ok := err.(*HeldError)
		if !ok || held.PID != cmd.Process.Pid || !strings.Contains(err.Error(), dir) {
			t.Errorf("read only %v: %v, want held by process %d", readOnly, err, cmd.Process.Pid)
		}
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Dir: dir, SegmentSize: 131072})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// TestSystemCallsFail lets system calls of the journal fail, once and from then
// on, in a real process. What was acknowledged has to be there afterwards.
func TestSystemCallsFail(t *testing.T) {
	strace := needStrace(t)
	for _, c := range []struct {
		inject string
		heals  bool // the fault passes, so all sales have to come through
	}{
		{"fdatasync:error=EIO:when=5", true},
		{"fdatasync:error=EIO:when=6", true},
		{"fdatasync:error=EIO:when=9+", false},
		{"fsync:error=EIO:when=3", true}, // the first directory entry: Open refuses once
		{"fsync:error=EIO:when=4", true},
		{"fsync:error=EIO:when=4+", false},
		{"pwrite64:error=EIO:when=12", true},
		{"pwrite64:error=ENOSPC:when=31", true},
		{"pwrite64:error=EIO:when=25+", false},
		{"renameat:error=EIO:when=3", true},
		{"fallocate:error=ENOSPC:when=3", true},
		{"fallocate:error=ENOSPC:when=3+", false},
		{"ftruncate:error=EIO:when=3", true},
		{"fallocate:error=EOPNOTSUPP:when=1+", true}, // a file system that cannot: written with zeros
	} {
		t.Run(c.inject, func(t *testing.T) {
			dir, name := t.TempDir(), strings.SplitN(c.inject, ":", 2)[0]
			out, err := child(t, "sell", dir, nil, strace, "-f", "-qq", "-o", os.DevNull, "-e", "trace="+name, "-e", "inject="+c.inject).Output()
			told := said(out)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if c.heals && len(told["done"]) != 1 {
				t.Errorf("it did not recover:\n%s", out)
			}
			checkSurvived(t, dir, told)
		})
	}
}

// needStrace finds strace and makes sure that it may trace.
func needStrace(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: the counts and faults of system calls are not tested")
	}
	if out, err := exec.Command(path, "-qq", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here: %v %s", err, out)
	}
	return path
}
