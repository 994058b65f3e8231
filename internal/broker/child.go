//go:build !nobroker

package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Built says whether this binary has the broker in it.
const Built = true

// Main is the child process: it reads a [Config] from stdin, serves until
// stdin ends or the parent is gone, and returns the exit status. It writes one
// line to stdout when clients can connect, and what goes wrong to stderr.
func Main(stdin io.Reader, stdout, stderr io.Writer) int {
	// The parent may have died between fork and the request for its death signal.
	parent := os.Getppid()
	conf, err := readConfig(stdin)
	if err == nil {
		err = serve(conf, stdin, stdout, stderr, parent)
	}
	if err != nil {
		fmt.Fprintln(stderr, "broker:", err)
		return 1
	}
	return 0
}

// memoryLimit keeps the child's heap small: a kiosk has little.
const memoryLimit = 24 << 20

func serve(conf Config, stdin io.Reader, stdout, stderr io.Writer, parent int) error {
	debug.SetMemoryLimit(memoryLimit)
	debug.SetGCPercent(50)
	internal := User{Name: "internal-" + nats.NewInbox()[len(nats.InboxPrefix):], Password: nats.NewInbox()}
	opts, err := conf.options(internal)
	if err != nil {
		return err
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	srv.SetLoggerV2(&logger{w: stderr}, false, false, false)
	// In a goroutine although it does not block: ReadyForConnections then sleeps for
	// 25 ms, in which a client that is already there has its session made. Where
	// makeStreams ran beside that, such a client heard nothing for a second in one
	// of ten starts.
	go srv.Start()
	defer srv.WaitForShutdown()
	defer srv.Shutdown()
	if !srv.ReadyForConnections(startWithin) {
		return errors.New("server is not ready for connections; is the port taken?")
	}
	if err := makeStreams(srv, internal); err != nil {
		return fmt.Errorf("streams: %w", err)
	}
	port := opts.MQTT.Port
	b, err := json.Marshal(ready{port})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "%s\n", b); err != nil {
		return err
	}
	return untilOrphaned(stdin, parent)
}

// untilOrphaned returns when stdin ends or this process has another parent.
func untilOrphaned(stdin io.Reader, parent int) error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, stdin)
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return nil
		case <-tick.C:
			if os.Getppid() != parent {
				return errors.New("parent is gone")
			}
		}
	}
}

func (c Config) options(internal User) (*server.Options, error) {
	o := &server.Options{
		ServerName: "tillgate",
		DontListen: true, // NATS clients have no business here
		NoSigs:     true,
		JetStream:  true,
		StoreDir:   c.StoreDir,

		JetStreamMaxMemory: 1 << 20,
		JetStreamMaxStore:  maxStore,
		MaxConn:            MaxConnections,
		MaxPayload:         MaxPayload,
		MaxPending:         maxPending,
		MQTT: server.MQTTOpts{
			Host: c.Host, Port: c.Port,
			AckWait:       ackWait,
			MaxAckPending: 100,
			AuthTimeout:   5,
		},
	}
	if o.MQTT.Host == "" {
		o.MQTT.Host = "127.0.0.1"
	}
	if o.MQTT.Port == 0 {
		o.MQTT.Port = -1
	}
	for _, u := range c.Users {
		perms := &server.Permissions{Publish: &server.SubjectPermission{}, Subscribe: &server.SubjectPermission{}}
		var err error
		if perms.Publish.Allow, err = allSubjects(u.Publish); err != nil {
			return nil, err
		}
		if perms.Publish.Deny, err = allSubjects(u.Deny); err != nil {
			return nil, err
		}
		if perms.Subscribe.Allow, err = allSubjects(u.Subscribe); err != nil {
			return nil, err
		}
		// The server delivers QoS 1 through these, under the user's permissions.
		perms.Subscribe.Allow = append(perms.Subscribe.Allow, "$MQTT.sub.>")
		o.Users = append(o.Users, &server.User{Username: u.Name, Password: u.Password, Permissions: perms})
	}
	o.Users = append(o.Users, &server.User{Username: internal.Name, Password: internal.Password})
	return o, nil
}

func allSubjects(filters []string) ([]string, error) {
	all := []string{}
	for _, f := range filters {
		s, err := subjects(f)
		if err != nil {
			return nil, err
		}
		all = append(all, s...)
	}
	return slices.Compact(all), nil
}

// makeStreams creates what the MQTT part would create without limits: a full
// store refuses every client, so each stream discards its oldest. Names,
// subjects and policies are those of nats-server 2.15, mqtt.go.
func makeStreams(srv *server.Server, u User) error {
	nc, err := nats.Connect("", nats.InProcessServer(srv), nats.UserInfo(u.Name, u.Password))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startWithin)
	defer cancel()
	for _, conf := range []jetstream.StreamConfig{
		{Name: "$MQTT_msgs", Subjects: []string{"$MQTT.msgs.>"}, Retention: jetstream.InterestPolicy, MaxBytes: maxMessages, MaxAge: maxAge},
		{Name: "$MQTT_rmsgs", Subjects: []string{"$MQTT.rmsgs.>"}, Retention: jetstream.LimitsPolicy, MaxBytes: maxRetained, MaxMsgsPerSubject: 1},
		{Name: "$MQTT_sess", Subjects: []string{"$MQTT.sess.>"}, Retention: jetstream.LimitsPolicy, MaxBytes: maxSessions, MaxMsgsPerSubject: 1},
		{Name: "$MQTT_out", Subjects: []string{"$MQTT.out.>"}, Retention: jetstream.InterestPolicy, MaxBytes: maxSessions, MaxAge: maxAge},
		// A QoS 2 message must not be replaced before its PUBREL; it ages quickly instead.
		{Name: "$MQTT_qos2in", Subjects: []string{"$MQTT.qos2.in.>"}, Retention: jetstream.LimitsPolicy, MaxBytes: maxSessions, MaxAge: time.Minute, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true},
	} {
		conf.Storage, conf.Replicas = jetstream.FileStorage, 1
		if err := makeStream(ctx, js, conf); err != nil {
			return fmt.Errorf("%s: %w", conf.Name, err)
		}
	}
	return nil
}

// makeStream creates a stream, or gives an existing one its limits. A client that
// connects meanwhile makes the server create it between the two: then it is
// there at the next try.
func makeStream(ctx context.Context, js jetstream.JetStream, conf jetstream.StreamConfig) (err error) {
	for range 3 {
		if _, err = js.CreateOrUpdateStream(ctx, conf); !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return err
		}
	}
	return err
}

// logger passes the server's warnings and errors on, one a line. Values of
// messages are in none of them.
type logger struct{ w io.Writer }

func (l *logger) line(level, format string, v []any) {
	fmt.Fprintf(l.w, level+" "+format+"\n", v...)
}
func (l *logger) Warnf(format string, v ...any)  { l.line("warn", format, v) }
func (l *logger) Errorf(format string, v ...any) { l.line("error", format, v) }
func (l *logger) Fatalf(format string, v ...any) { l.line("fatal", format, v); os.Exit(1) }
func (l *logger) Noticef(string, ...any)         {}
func (l *logger) Debugf(string, ...any)          {}
func (l *logger) Tracef(string, ...any)          {}
