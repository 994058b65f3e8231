package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strconv"
	"syscall"

	"tillgate/internal/payment"
)

type eventsCmd struct {
	From   uint64 `help:"First event. Default: the last twenty." placeholder:"N"`
	Follow bool   `short:"f" help:"Go on with those to come, until Ctrl-C."`
	JSON   bool   `name:"json" help:"Print one event a line as JSON."`
}

func (eventsCmd) Help() string {
	return `    tillgate events --follow
    tillgate events --from 1 --json > events.ndjson`
}

func (e *eventsCmd) Run(a *app) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, stop := signal.NotifyContext(a.ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	for ev, err := range c.Events(ctx, e.From, e.Follow) {
		switch {
		case errors.Is(err, context.Canceled):
			return nil
		case err != nil:
			return err
		case e.JSON:
			err = asJSON(a.Out, ev)
		default:
			err = showEvent(a.Out, ev)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// showEvent is one event on one line.
func showEvent(w io.Writer, e payment.Event) error {
	_, err := fmt.Fprintf(w, "%s  #%s  %s\n", e.Time.Local().Format("15:04:05"), strconv.FormatUint(e.Seq, 10), eventText(e))
	return err
}

func eventText(e payment.Event) string {
	var r payment.Record
	if err := json.Unmarshal(e.Data, &r); err == nil && r.ID != "" {
		return fmt.Sprintf("%s  %s  %s", e.Type, r.ID, sentence(r))
	}
	data := string(e.Data)
	if len(data) > 200 {
		data = data[:200] + "…"
	}
	return fmt.Sprintf("%s  %s", e.Type, payment.Printable(data))
}
